"""The keys of an invocation: read at most once a minute, and kept for ten minutes more while they cannot be read.

A revoked key is accepted for `FRESH` seconds at most, or `FRESH + GRACE` while the document cannot be read.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import audit
from ..cloud import oss
from ..cloud.oss import MISSING, REFUSED, UNREACHABLE, WRONG_CLOCK, StoreError
from ..cloud.store import Store, store_at
from ..config import Location
from ..context import Invocation
from ..errors import Problem
from . import InvalidKeys, Keys, parse
from .file_store import FileStore

FRESH = 60  # seconds in which the keys are not read again
GRACE = 600  # seconds after these in which the last valid keys are used if no others can be read
PAUSE = 10  # seconds between two attempts that fail

_REASONS = {
    MISSING: "it does not exist",
    REFUSED: "access to it is denied",
    UNREACHABLE: "it cannot be reached",
    WRONG_CLOCK: "OSS refuses the clock of this instance",
    InvalidKeys.code: "it is malformed",
}


class _Cached(NamedTuple):
    keys: Keys
    version: str
    read_at: float
    failed_at: float | None


class KeysMemory:
    """What an instance remembers of the keys document."""

    def __init__(self) -> None:
        self.cached: _Cached | None = None


def current_keys(invocation: Invocation) -> Keys:
    """The keys of an invocation. Raises the 503 `keys_unavailable` without valid keys."""
    config, now = invocation.config, invocation.now
    if config.keys_document is None:
        raise _unavailable("links.toml does not name one", "Add keys = … to it.")
    memory = invocation.instance.memory(KeysMemory)
    cached = memory.cached
    if cached is not None:
        age = now - cached.read_at
        paused = cached.failed_at is not None and 0 <= now - cached.failed_at < PAUSE
        if 0 <= age < FRESH or (paused and 0 <= age < FRESH + GRACE):
            return cached.keys
    try:
        store: FileStore | Store
        if isinstance(config.keys_document, Location):
            store = store_at(oss.client_for(invocation), config.keys_document, invocation.instance.clock)
        else:
            store = FileStore(str(config.keys_document))
        stored = store.read("", cached.version if cached is not None else "")
        if stored is None:
            raise StoreError("GetObject", 404, MISSING, "")
        if cached is None or stored.etag != cached.version:
            cached = _Cached(parse(stored.body), stored.etag, now, None)
    except (StoreError, InvalidKeys) as error:
        reason = _REASONS[error.code]
        if cached is None or not 0 <= now - cached.read_at < FRESH + GRACE:
            raise _unavailable(reason) from None
        memory.cached = cached._replace(failed_at=now)
        audit.write({"warning": "keys_not_renewed", "why": reason, "age": round(now - cached.read_at)})
        return cached.keys
    memory.cached = cached._replace(read_at=now, failed_at=None)
    return cached.keys


def _unavailable(reason: str, action: str = "Run python -m handler.keys show, and fix what it reports.") -> Problem:
    if reason == _REASONS[WRONG_CLOCK]:
        action = "Deploy again, so that the function gets new instances."
    return Problem("keys_unavailable", f"The keys document cannot be used: {reason}. {action}")
