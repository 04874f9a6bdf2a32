"""The record of a limited or revocable share in the state prefix, `shares/{id}.json`, and its uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import Problem
from ..state import State

REUSE = 600.0  # seconds in which the same page may send its form again without another use

_TYPES: Mapping[str, type | tuple[type, ...]] = {
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
    """The stored facts of a share: `uses` is the number that it allows (None without a limit), times are Unix seconds.

    `maker` is the caller's id, `upload` the limits of an upload share. The names are those of the stored JSON.
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
    """Writes the record. Raises the 503 `state_unavailable`.

    Only a revocation is retried: a repeated first record could arrive last and undo a revocation.
    """
    body = json.dumps({"version": 1, **record._asdict()}).encode()
    state.write(_name(record_id), body, retry=record.revoked_at is not None)


def load(state: State, record_id: str) -> Record | None:
    """The record, None if it does not exist. Raises the 503 `state_unavailable` if it cannot be read."""
    stored = state.read(_name(record_id))
    if stored is None:
        return None
    try:
        document = json.loads(stored.body)
        members = {name: document[name] for name in _TYPES}
        if document["version"] != 1 or not all(isinstance(members[name], type_) for name, type_ in _TYPES.items()):
            raise ValueError
        return Record(**members)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Problem("state_unavailable") from None


def load_active(state: State, record_id: str) -> Record:
    """The record of a share that may be opened. Raises the 410 `share_record_missing` or `share_revoked`."""
    record = load(state, record_id)
    if record is None:
        raise Problem("share_record_missing")
    if record.revoked_at is not None:
        raise Problem("share_revoked")
    return record


def used(state: State, record_id: str, uses: int) -> int:
    """How many uses are claimed. They are claimed in order, so a binary search finds it."""
    low, high = 0, uses
    while low < high:
        middle = (low + high + 1) // 2
        if state.read(_use(record_id, middle)) is None:
            high = middle - 1
        else:
            low = middle
    return low


def claim_use(state: State, record_id: str, uses: int, nonce: str, now: float) -> int:
    """The number of the use that `nonce` claims now or claimed in the last ten minutes.

    Raises the 410 `share_used_up` if other nonces hold all uses, and a 503 if the state is unavailable.
    """
    state.probe(now)
    for number in range(1, uses + 1):
        claimed = state.claim(_use(record_id, number), nonce.encode())
        if claimed.body == nonce.encode() and claimed.age <= REUSE:
            return number
    raise Problem("share_used_up")


def claim_file(state: State, record_id: str, files: int, claim: str, now: float, *, again: bool) -> int:
    """The number of a file of an upload share for `claim`: a free one, or with `again` the one that it already holds.

    Raises the 410 `share_full` if other claims hold all numbers, and a 503 if the state is unavailable.
    """
    state.probe(now)
    taken = used(state, record_id, files)
    for number in range(taken, 0, -1) if again else ():
        stored = state.read(_use(record_id, number))
        if stored is not None and stored.body == claim.encode():
            return number
    for free in range(taken + 1, files + 1):
        if state.claim(_use(record_id, free), claim.encode()).body == claim.encode():
            return free
    raise Problem("share_full")


def _name(record_id: str) -> str:
    return f"shares/{record_id}.json"


def _use(record_id: str, number: int) -> str:
    return f"uses/{record_id}/{number}"
