"""The record of a limited or revocable share in the state prefix, `shares/{id}.json`, and the index of these shares.

The index has an empty object for each share, `index/{caller}/{seconds}-{id}`: of each caller, the newest come first.
`caller` stands for the caller's id and the owner, `seconds` are those from the creation until 2286.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, NamedTuple

from ..cloud.oss import StoreError
from ..cloud.store import Store
from ..errors import Problem

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("path", "target", "method", "owner"), str),
    **dict.fromkeys(("expires_at", "created_at"), int),
    **dict.fromkeys(("uses", "revoked_at"), (int, type(None))),
    "upload": (dict, type(None)),
}
INDEX = "index/"
_LAST = 9_999_999_999  # Unix seconds


class Record(NamedTuple):
    """The stored facts of a share: `uses` is the number that it allows (None without a limit), times are Unix seconds.

    `owner` is the caller's id, `upload` the limits of an upload share. The names are those of the stored JSON.
    """

    path: str
    target: str
    method: str
    uses: int | None
    expires_at: int
    owner: str
    created_at: int
    revoked_at: int | None = None
    upload: dict[str, Any] | None = None


def index_of(owner: str, caller_id: str) -> str:
    """The folder in the index with the shares of a caller; no two users of an issuer have the same."""
    digest = sha256(f"{owner}\n{caller_id}".encode()).hexdigest()
    return f"{INDEX}{digest[:32]}/"


def create(state: Store, owner: str, record: Record) -> str:
    """Writes the entry in the index, then the record, and returns its id. Raises the 503 `state_unavailable`."""
    # The second try has a new id: if the first arrives late, no share uses it.
    for last in (False, True):
        record_id = token_urlsafe(9)
        try:
            state.replace(f"{index_of(owner, record.owner)}{_LAST - record.created_at}-{record_id}", b"")
            save(state, record_id, record)
            break
        except StoreError:
            if last:
                raise
    return record_id


def save(state: Store, record_id: str, record: Record) -> None:
    """Writes the record. Raises the 503 `state_unavailable`.

    Only a revocation is retried: a repeated first record could arrive last and undo a revocation.
    """
    body = json.dumps({"version": 1, **record._asdict()}).encode()
    state.replace(_name(record_id), body, retry=record.revoked_at is not None)


def load(state: Store, record_id: str) -> Record | None:
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


def _name(record_id: str) -> str:
    return f"shares/{record_id}.json"
