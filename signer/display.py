"""Makes strings fit for people and terminals, whoever wrote them and whatever damage moved a secret into them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .redaction import REDACTED, redact

RUN = 16  # characters in a row that show too much of a secret

# A signature, a token, an access key with its scope, or without, also in small letters as in a host.
_NAMELESS = re.compile(
    r"[0-9a-f]{64}|cais[\w+/=%-]{56,}|(?<![\w.])[\w.]+(?:/|%2F)[0-9]{8}(?:(?:/|%2F)[\w-]+){2}(?:/|%2F)aliyun_v4_request"
    r"|(?:LTAI|STS\.)[0-9a-z]{12,}",
    re.IGNORECASE,
)
# C0 and C1, line and paragraph separators, and what changes the direction of writing (Unicode UAX 9), as JSON escapes.
_CONTROLS = (*range(32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {control: f"\\u{control:04x}" for control in _CONTROLS}


def printable(line: str) -> str:
    """The line with escapes such as `\\u001b` for control characters, line breaks and marks of direction."""
    return line.translate(_ESCAPES)


def pieces_of(secrets: Iterable[str]) -> frozenset[str]:
    """Every run of 16 characters of the secrets, in small letters."""
    return frozenset(secret[i : i + RUN].lower() for secret in secrets for i in range(len(secret) - RUN + 1))


def redact_pieces(string: str, pieces: frozenset[str] = frozenset()) -> str:
    """As `redact`, and replaces these pieces, and what looks like a part of a link that is secret, without its name."""
    string = _NAMELESS.sub(REDACTED, redact(string))
    starts = (at for at in range(len(string) - RUN + 1 if pieces else 0) if string[at : at + RUN].lower() in pieces)
    hidden = {at for start in starts for at in range(start, start + RUN)}
    marked = "".join("\ufdd0" if at in hidden else letter for at, letter in enumerate(string))
    return re.sub("\ufdd0+", REDACTED, marked)
