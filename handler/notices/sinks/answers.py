"""What the answers of chat robots say: a 200 with a code of their own."""

from __future__ import annotations

import json

from .base import Verdict


def robot_verdict(body: bytes, *members: str, again: frozenset[int], later: frozenset[int]) -> Verdict:
    """The verdict by the first member that is there; `again` and `later` are codes of a rate or a busy service.

    An answer that broke off, or that is no JSON, says nothing of what became of the message: it is sent again.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Verdict("again", "no_answer")
    found = next((document[name] for name in members if name in document), None) if isinstance(document, dict) else None
    if type(found) is not int:
        return Verdict("refused", "no_code")
    if found == 0:
        return Verdict("told")
    if found in again:
        return Verdict("again", str(found))
    return Verdict("later" if found in later else "refused", str(found))
