"""The keys as an invocation has them: read once a minute at most, kept while the place cannot be asked.

A key that was revoked lives for `FRESH` seconds at most, or `FRESH + GRACE` where the document cannot be read.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import audit, oss
from ..config import Policy
from ..credentials import of_invocation
from ..errors import Problem
from . import InvalidKeys, Keys, parse
from .location import FilePlace, OssPlace, Place, PlaceError, location

FRESH = 60  # seconds without a look at the document
GRACE = 600  # seconds beyond these in which the last good one serves
PAUSE = 10  # seconds between two looks that fail

_WHY = {
    "missing": "there is no document",
    "refused": "they may not be read",
    "unreachable": "they cannot be reached",
    "invalid_keys": "the document is malformed",
}


class _Kept(NamedTuple):
    keys: Keys
    version: str
    read_at: float
    failed_at: float | None


_kept: dict[tuple[object, ...], _Kept] = {}


def current(policy: Policy, context: object, now: float) -> Keys:
    """The keys of an invocation. Raises a 503 `Problem` where there are none to go by; never opens anything."""
    if policy.keys is None:
        raise _unavailable("links.toml names none", "add keys = … to it")
    name = (policy.keys, policy.oss_endpoint)
    kept = _kept.get(name)
    if kept is not None:
        age = now - kept.read_at
        paused = kept.failed_at is not None and 0 <= now - kept.failed_at < PAUSE
        if 0 <= age < FRESH or (paused and 0 <= age < FRESH + GRACE):
            return kept.keys
    try:
        found = _place(policy, context).read(kept.version if kept is not None else "")
        if found.document is not None or kept is None:
            kept = _Kept(parse(found.document or b""), found.version, now, None)
    except (PlaceError, InvalidKeys) as error:
        if kept is None or not 0 <= now - kept.read_at < FRESH + GRACE:
            raise _unavailable(_WHY[error.code]) from None
        _kept[name] = kept._replace(failed_at=now)
        audit.write({"warning": "keys_not_renewed", "why": _WHY[error.code], "age": round(now - kept.read_at)})
        return kept.keys
    _kept[name] = kept._replace(read_at=now, failed_at=None)
    return kept.keys


def _place(policy: Policy, context: object) -> Place:
    where = policy.keys or ""
    if where.startswith("file:"):
        return FilePlace(where[len("file:") :])
    return OssPlace(location(where), oss.store(policy, of_invocation(context).credentials))


def _unavailable(why: str, how: str = "python -m handler.keys show tells more") -> Problem:
    return Problem(
        503, "keys_unavailable", f"This service has no keys to go by ({why}): its operators can mend that; {how}."
    )
