"""The record of a limited or revocable share, in the state prefix: `shares/{id}.json`, and its uses beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import Problem
from ..state import State, unavailable
from . import gone

REUSE = 600.0  # seconds in which the same page may be sent again and cost nothing

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "path": str,
    "target": str,
    "method": str,
    "uses": (int, type(None)),
    "ends_at": int,
    "maker": str,
    "created_at": int,
    "revoked_at": (int, type(None)),
    "upload": (dict, type(None)),
}


class Record(NamedTuple):
    """What is kept of a share: `uses` is how many it allows (None without a limit), times in Unix seconds.

    `maker` is the caller's id; `upload` the bounds of an upload share.
    """

    path: str
    target: str
    method: str
    uses: int | None
    ends_at: int
    maker: str
    created_at: int
    revoked_at: int | None = None
    upload: dict[str, Any] | None = None


def save(state: State, record_id: str, record: Record) -> None:
    """Writes the record. Raises a 503 `Problem`.

    One that revokes nothing is sent once: were it sent again, the first could arrive last of all and undo a revocation.
    """
    body = json.dumps({"version": 1, **record._asdict()}).encode()
    state.write(_name(record_id), body, retry=record.revoked_at is not None)


def load(state: State, record_id: str) -> Record | None:
    """The record, None where there is none. Raises a 503 `Problem` for one that cannot be read or understood."""
    found = state.read(_name(record_id))
    if found is None:
        return None
    try:
        document = json.loads(found.body)
        members = {name: document[name] for name in _KINDS}
        if document["version"] != 1 or not all(isinstance(members[name], kind) for name, kind in _KINDS.items()):
            raise ValueError
        return Record(**members)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise unavailable() from None


def opened(state: State, record_id: str) -> Record:
    """The record of a share that is being opened. Raises a 410 `Problem` where it was revoked, or where none is."""
    record = load(state, record_id)
    if record is None:
        raise gone("share_record_missing", "This link was withdrawn: ask its sender for a new one.")
    if record.revoked_at is not None:
        raise gone("share_revoked", "This link was withdrawn by its sender: ask for a new one.")
    return record


def used(state: State, record_id: str, uses: int) -> int:
    """How many uses are claimed; they are claimed in order."""
    least, most = 0, uses
    while least < most:
        middle = (least + most + 1) // 2
        if state.read(_use(record_id, middle)) is None:
            most = middle - 1
        else:
            least = middle
    return least


def claim_use(state: State, record_id: str, uses: int, nonce: str, now: float) -> int:
    """The number of the use that belongs to `nonce`, claimed now or a little while ago.

    Raises a 410 `Problem` when every use is another's, 503 where the state cannot tell.
    """
    state.probe(now)
    for number in range(1, uses + 1):
        found = state.claim(_use(record_id, number), nonce.encode())
        if found.body == nonce.encode() and found.age <= REUSE:
            return number
    raise used_up()


def claim_file(state: State, record_id: str, files: int, claim: str, now: float, *, again: bool) -> int:
    """The number of an upload share's file that belongs to `claim`: with `again` the one it has, else a free one.

    Raises a 410 `Problem` when every number is another's, 503 where the state cannot tell.
    """
    state.probe(now)
    taken = used(state, record_id, files)
    for number in range(taken, 0, -1) if again else ():
        found = state.read(_use(record_id, number))
        if found is not None and found.body == claim.encode():
            return number
    for free in range(taken + 1, files + 1):
        if state.claim(_use(record_id, free), claim.encode()).body == claim.encode():
            return free
    raise gone("share_full", "As many files have been sent as this link takes: ask its sender for a new one.")


def used_up() -> Problem:
    """No use is left."""
    return gone("share_used_up", "This link has been used as often as it may be: ask its sender for a new one.")


def _name(record_id: str) -> str:
    return f"shares/{record_id}.json"


def _use(record_id: str, number: int) -> str:
    return f"uses/{record_id}/{number}"
