"""A notice with its link, as programs get it, and as people see it."""

from __future__ import annotations

import re
import unicodedata

from signer.sizes import format_size
from signer.times import rfc3339

from ...core.outbox import Delivery, Notice

MAX_NAME = 160  # characters shown of a name

# Unicode categories of line breaks, control characters, and what has no width or changes the direction of writing.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What shows nothing although its category is visible: Unicode's other Default_Ignorable_Code_Points (Hangul fillers and
# Khmer's inherent vowels), the blank pattern of braille, the blanks of hieroglyphs, Khitan and musical notation.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U00013441\U00013442\U00016fe4\U0001d159"
)
_SPACES = re.compile(r"\s+")
# What is markup in the markdown of a chat becomes its full-width form, which looks alike and means nothing. Backslash
# escapes would not help: each service has its own, or none.
_FULL_WIDTH = str.maketrans(
    {character: chr(ord(character) + 0xFEE0) for character in "\\`*[]()<>#|!~@&{}$^"}
)
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_LIST_MARKER = re.compile(r"^(?:[-+=]+|[0-9]+[.)])(?=\s|$)")


def document(delivery: Delivery) -> dict[str, object]:
    """A notice as programs get it: times are RFC 3339 in UTC, `size` is in bytes, None means unknown.

    Whoever uploads chooses bucket, key and path: programs get them as they are, people only through `file_name`.
    """
    notice = delivery.notice
    return {
        "id": delivery.id,
        "on": notice.on,
        "give": notice.give or None,
        "mount": notice.mount,
        "path": delivery.link.path,
        "bucket": notice.bucket,
        "key": notice.key,
        "size": notice.size,
        "mark": notice.mark,
        "happened_at": None if notice.happened_at is None else rfc3339(notice.happened_at),
        "url": delivery.link.url or None,
        "expires_at": delivery.link.expires_at or None,
        "version": notice.version,
        **{name: getattr(notice, name) for name in _more(notice)},
    }


def _more(notice: Notice) -> tuple[str, ...]:
    """The members that only some notices have."""
    if notice.share:
        return "share", "title", "owner", "uses_left"
    return ("title",) if notice.title else ()


def file_name(delivery: Delivery) -> str:
    """The path below the mount, or that of a mount that is shared itself, for a chat."""
    path = delivery.link.path
    return escape_markup(path[len(delivery.notice.mount) :] or path)


def display_name(name: str) -> str:
    """A name on one line, without invisible characters and never empty to the eye; a long one loses its middle."""
    hidden = {
        letter for letter in name if letter in _BLANK or unicodedata.category(letter) in _HIDDEN
    }
    shown = "".join("\ufffd" if letter in hidden else letter for letter in name)
    shown = _SPACES.sub(" ", shown).strip()
    # A mark (a variation selector is one, too) shows only on a letter before it, and a slash alone names nothing.
    if all(letter in " /" or unicodedata.category(letter).startswith("M") for letter in shown):
        shown = f"\ufffd{shown}"
    if len(shown) > MAX_NAME:
        shown = f"{shown[: MAX_NAME - 60]} … {shown[-56:]}"
    return shown


def escape_markup(name: str) -> str:
    """A name that cannot form any markup, mention or link in a chat."""
    escaped = display_name(name).translate(_FULL_WIDTH).replace("://", "\uff1a//")
    escaped = _LOOSE_UNDERSCORE.sub(lambda match: "\uff3f" * len(match[0]), escaped)
    return _LIST_MARKER.sub(lambda match: f"·{match[0]}", escaped)


def details(delivery: Delivery, form: str = "({})") -> str:
    """`(1.4 MB, until 2026-03-08 06:41 UTC)`, without an unknown size; of a use, `was opened` and what is known."""
    notice = delivery.notice
    time = delivery.link.expires_at or rfc3339(notice.happened_at or 0)
    minute = f"{time[:10]} {time[11:16]} UTC"
    title = f" ({escape_markup(notice.title)})" if notice.title else ""
    if notice.share:
        left = "" if notice.uses_left is None else f", {_count(notice.uses_left, 'use')} left"
        return f"was opened {minute}{title}{left}"
    size = "" if notice.size is None else f"{format_size(notice.size)}, "
    return f"{form.format(f'{size}until {minute}')}{title}"


def title(deliveries: tuple[Delivery, ...]) -> str:
    """The title of a message; it contains nothing that an uploader chose."""
    uses = sum(bool(delivery.notice.share) for delivery in deliveries)
    counts = {"new file": len(deliveries) - uses, "share use": uses}
    return ", ".join(_count(count, noun) for noun, count in counts.items() if count)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def safe_url(url: str) -> str:
    """A URL that cannot end a markdown link: what URL encoding leaves as it is and markdown does not is encoded."""
    return re.sub(r"[^A-Za-z0-9:/?&=%._~+#-]", lambda match: f"%{ord(match[0]):02X}", url)
