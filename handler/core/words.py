"""What the sender of a share writes for those who open it.

A further text is a field of `Words` and its rule in `RULES`: the route of shares, the stored record, its revocation and
its page follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .errors import bad_body

# Controls but the line feed, and what UTF-8 cannot write; compiled at its first use.
_UNFIT = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]"


class Words(NamedTuple):
    """Each as text, None where the sender wrote nothing. They may name a person, so a revocation empties them."""

    title: str | None = None
    message: str | None = None


class TextRule(NamedTuple):
    """How long a text may be, in code points, and whether it may have line feeds."""

    max_length: int
    has_lines: bool = False


RULES: Mapping[str, TextRule] = {
    "title": TextRule(120),
    "message": TextRule(500, has_lines=True),
}


def read_words(members: Mapping[str, str | None]) -> Words:
    """The words among the members of a request. Raises the 400 `bad_body`."""
    return Words(*(_read(name, members[name]) for name in Words._fields))


def _read(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    rule = RULES[name]
    text = value.replace("\r\n", "\n")
    if not 1 <= len(text) <= rule.max_length or not text.strip():
        raise bad_body(f'"{name}" must have 1 to {rule.max_length} characters, not only spaces')
    if re.search(_UNFIT, text) or ("\n" in text and not rule.has_lines):
        raise bad_body(f'"{name}" must be valid UTF-8 without control characters')
    return text
