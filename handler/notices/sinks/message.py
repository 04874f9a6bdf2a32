"""What is told of one object, and how it is shown to people."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

MAX_NAME = 160  # characters shown of a name

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
# Line breaks of all kinds, controls, and what turns the direction of text or has no width.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = re.compile(r"\s+")


class Told(NamedTuple):
    """One notice with its link. `id` is the notice's own, `url` and the rest are what is given.

    Times are RFC 3339 in UTC; `size` is in bytes; what is not known is None. `bucket` and `key` are data of whoever
    uploaded: for programs as they are, for people only through `shown`.
    """

    id: str
    on: str
    give: str
    mount: str
    path: str
    bucket: str
    key: str
    name: str
    size: int | None
    mark: str
    happened_at: str | None
    url: str
    expires_at: str

    def document(self) -> dict[str, object]:
        """The notice as programs get it."""
        return {
            "id": self.id,
            "on": self.on,
            "give": self.give,
            "mount": self.mount,
            "path": self.path,
            "bucket": self.bucket,
            "key": self.key,
            "size": self.size,
            "mark": self.mark,
            "happened_at": self.happened_at,
            "url": self.url,
            "expires_at": self.expires_at,
        }


def shown(name: str) -> str:
    """A name on one line, without controls and what hides or turns text; a long one loses its middle."""
    plain = "".join("\ufffd" if unicodedata.category(letter) in _HIDDEN else letter for letter in name)
    plain = _SPACES.sub(" ", plain).strip() or "\ufffd"
    if len(plain) > MAX_NAME:
        plain = f"{plain[: MAX_NAME - 60]} … {plain[-56:]}"
    return plain


# What means something in the markdown of a chat, and the wide form that looks like it and means nothing. Backslashes
# are no way: the services' markdowns know none, or each its own.
_WIDE = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in "\\`*[]()<>#|!~@&{}$^"})
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_AT_START = re.compile(r"^(?:[-+=]+|[0-9]+[.)])(?=\s|$)")


def harmless(name: str) -> str:
    """A name that no markdown and no mention of a chat can be made of."""
    plain = shown(name).translate(_WIDE).replace("://", "\uff1a//")
    plain = _LOOSE_UNDERSCORE.sub(lambda found: "\uff3f" * len(found[0]), plain)
    return _AT_START.sub(lambda found: f"·{found[0]}", plain)


def size_of(told: Told) -> str:
    """`14 bytes`, `1.4 MB`; empty where it is not known."""
    if told.size is None:
        return ""
    size, unit = float(told.size), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{told.size} bytes" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def end_of(told: Told) -> str:
    """`until 2026-03-08 06:41 UTC`."""
    return f"until {told.expires_at[:10]} {told.expires_at[11:16]} UTC"


def facts_of(told: Told) -> str:
    """Size and end, on one line."""
    return ", ".join(filter(None, (size_of(told), end_of(told))))


def title_of(tolds: tuple[Told, ...]) -> str:
    """What a message is about, without a word of anybody else."""
    return "1 new file" if len(tolds) == 1 else f"{len(tolds)} new files"


def safe_url(url: str) -> str:
    """A link that ends no markdown: what quoting leaves open in it is encoded."""
    return re.sub(r"[^A-Za-z0-9:/?&=%._~+#-]", lambda found: f"%{ord(found[0]):02X}", url)
