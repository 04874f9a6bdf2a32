"""The keys of an invocation: read at most once a minute, and kept for ten minutes more while they cannot be read.

A revoked key is accepted for `FRESH` seconds at most, or `FRESH + GRACE` while the document cannot be read. One request
reads at a time; meanwhile, the others use the keys that there are.
"""

from __future__ import annotations

from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from .. import audit
from ..cloud import oss
from ..cloud.oss import MISSING, REFUSED, UNREACHABLE, WRONG_CLOCK, StoreError
from ..cloud.oss_clock import OssMemory
from ..cloud.store import StoredObject, store_at
from ..config import Location
from ..context import Invocation
from ..errors import Problem
from .document import Keys, parse
from .fields import InvalidKeys
from .file_store import FileStore

if TYPE_CHECKING:
    from ..cloud.http_client import Bound

FRESH = 60  # seconds in which the keys are not read again
GRACE = 600  # seconds after these in which the last valid keys are used if no others can be read
PAUSE = 10  # seconds after an attempt that failed
TIMEOUT = 2.0  # seconds for an attempt while there are keys to use instead

_REASONS = {
    MISSING: "it does not exist",
    REFUSED: "access to it is denied",
    WRONG_CLOCK: "OSS refuses the clock of this instance",
    InvalidKeys.code: "it is malformed",
}


class _Cached(NamedTuple):
    keys: Keys
    version: str
    read_at: float


class KeysMemory:
    """What an instance remembers: the last valid keys, and why and until when it leaves the document alone.

    The pause ends by our clock or by the monotonic one, whichever is first: one can be set back, and the other may
    stand still while the instance is frozen.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.cached: _Cached | None = None
        self.reason = ""
        self.paused_until = (0.0, 0.0)


def current_keys(invocation: Invocation) -> Keys:
    """The keys of an invocation. Raises the 503 `keys_unavailable` without valid keys."""
    if invocation.config.keys_document is None:
        raise _unavailable("links.toml does not name one", "Add keys = … to it.")
    memory = invocation.instance.memory(KeysMemory)
    cached = memory.cached
    age = invocation.now - cached.read_at if cached is not None else -1.0
    if cached is not None and 0 <= age < FRESH:
        return cached.keys
    is_usable = 0 <= age < FRESH + GRACE
    if memory.lock.acquire(blocking=not is_usable):
        try:
            # Another request may have read the document, or failed to, before this one had the lock.
            until, monotonic_until = memory.paused_until
            is_paused = (
                invocation.now < until and invocation.instance.clock.monotonic() < monotonic_until
            )
            if memory.cached is cached and not is_paused:
                _renew(memory, invocation, is_usable)
        finally:
            memory.lock.release()
    latest = memory.cached
    if latest is None or (latest is cached and not is_usable):
        raise _unavailable(memory.reason)
    return latest.keys


def _renew(memory: KeysMemory, invocation: Invocation, is_usable: bool) -> None:
    """Reads the document, or notes that it cannot be read; `is_usable` says whether there are keys to use instead."""
    cached = memory.cached
    clock = invocation.instance.clock
    known = cached.version if cached is not None else ""
    started = clock.monotonic()
    try:
        stored = _read_in_time(invocation, known) if is_usable else _read(invocation, known)
        if stored is None:
            raise StoreError("GetObject", 404, MISSING, "")
        keys = cached.keys if cached is not None and stored.etag == known else parse(stored.body)
    except (StoreError, InvalidKeys) as error:
        ended = clock.monotonic()
        memory.reason = _REASONS.get(error.code, error.sentence)
        memory.paused_until = (invocation.now + ended - started + PAUSE, ended + PAUSE)
        if cached is not None and is_usable:
            age = round(invocation.now - cached.read_at)
            audit.write({"warning": "keys_not_renewed", "why": memory.reason, "age": age})
        return
    memory.cached = _Cached(keys, stored.etag, invocation.now)


def _read_in_time(invocation: Invocation, known: str) -> StoredObject | None:
    from ..cloud.http_client import within

    try:
        return within(TIMEOUT, lambda bound: _read(invocation, known, bound))
    except (TimeoutError, RuntimeError):  # RuntimeError: no further thread can be started
        raise StoreError("", 0, UNREACHABLE, oss.NO_ANSWER) from None


def _read(invocation: Invocation, known: str, bound: Bound | None = None) -> StoredObject | None:
    document = invocation.config.keys_document
    if not isinstance(document, Location):
        return FileStore(str(document)).read("", known)
    client = oss.client_for(invocation)
    memory = invocation.instance.memory(OssMemory)
    store = store_at(client, document, invocation.instance.clock, memory)
    if bound is None:
        return store.read("", known)
    with closing(type(client.connections)(bound)) as connections:
        return store._replace(client=client._replace(connections=connections)).read("", known)


def _unavailable(
    reason: str, action: str = "Run python -m handler.commands keys show, and fix what it reports."
) -> Problem:
    if reason == _REASONS[WRONG_CLOCK]:
        action = "Deploy again, so that the function gets new instances."
    return Problem("keys_unavailable", f"The keys document cannot be used: {reason}. {action}")
