"""Makes strings fit for people and terminals, whoever wrote them and whatever damage moved a secret into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from unicodedata import category

from ..redaction import REDACTED, redact

RUN = 16  # characters in a row that show too much of a secret

# A signature, a token, an access key with its scope, or without, also in small letters as in a host.
_NAMELESS = re.compile(
    r"[0-9a-f]{64}|cais[\w+/=%-]{56,}|(?<![\w.])[\w.]+(?:/|%2F)[0-9]{8}(?:(?:/|%2F)[\w-]+){2}(?:/|%2F)aliyun_v4_request"
    r"|(?:LTAI|STS\.)[0-9a-z]{12,}",
    re.IGNORECASE,
)
# The end of a token whose name and beginning were lost, such as by a cut at the question mark.
_RUN = re.compile(r"(?:[A-Za-z0-9+/=]|%2[BF]|%3D){24,}")
# A name of words, and without hexadecimal digits in a row.
_WORDS = re.compile(
    r"(?!.*[0-9A-Fa-f]{16})(?:.*[a-z]{3,}(?:[-_.]|$)|[A-Z]?[a-z]+(?:[A-Z][a-z]+)*$)"
)
# Controls (C0, C1), what is invisible or changes the direction of writing (UAX 9), separators of lines and paragraphs,
# and surrogates, which no output can encode. Not all that `str.isprintable` refuses: U+3000 and U+202F are spaces in
# people's file names, private use has glyphs, and what this Python's Unicode does not know may be next year's letter.
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # Persian, Hindi and emoji are spelt with them


def printable(line: str) -> str:
    """The line with JSON's escapes, such as `\\u001b`, for what a terminal obeys and for what people cannot see."""
    return line if line.isprintable() else "".join(map(_escape, line))


def _escape(letter: str) -> str:
    if letter in _JOINERS or category(letter) not in _UNSAFE:
        return letter
    units = letter.encode("utf-16-be", "surrogatepass").hex(" ", 2)  # JSON writes U+E0001 as two
    return "".join(f"\\u{unit}" for unit in units.split())


def pieces_of(secrets: Iterable[str]) -> frozenset[str]:
    """Every run of 16 characters of the secrets, in small letters."""
    return frozenset(
        secret[i : i + RUN].lower() for secret in secrets for i in range(len(secret) - RUN + 1)
    )


def redact_pieces(string: str, pieces: frozenset[str] = frozenset()) -> str:
    """As `redact`, and replaces these pieces, and what looks like a part of a link that is secret, without its name."""
    string = _RUN.sub(_redact_random, _NAMELESS.sub(REDACTED, redact(string)))
    starts = (
        at
        for at in range(len(string) - RUN + 1 if pieces else 0)
        if string[at : at + RUN].lower() in pieces
    )
    hidden = {at for start in starts for at in range(start, start + RUN)}
    marked = "".join("\ufdd0" if at in hidden else letter for at, letter in enumerate(string))
    return re.sub("\ufdd0+", REDACTED, marked)


def _redact_random(run: re.Match[str]) -> str:
    """Base64 changes between small letters, capitals and digits at two of three letters, and a path at few."""
    kinds = [(letter.islower(), letter.isupper(), letter.isdigit()) for letter in run[0]]
    changes = sum(one != other for one, other in pairwise(kinds))
    # All three kinds: a SHA-1 in hexadecimal is a usual name.
    return (
        REDACTED
        if changes > 0.45 * len(kinds) and all(map(any, zip(*kinds, strict=True)))
        else run[0]
    )


def join_names(names: Sequence[str]) -> str:
    """Up to five names for a sentence."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(printable_name(name) for name in names[:5]) + more


def printable_name(name: str) -> str:
    """The name, or "a parameter" where the name may be a piece of a secret."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name) and not _looks_secret(name)
        else "a parameter"
    )


def _looks_secret(name: str) -> bool:
    """Whether a name looks less like words than like a part of a signature or of base64, or has a part of one."""
    return len(name) > 11 and _WORDS.match(name) is None
