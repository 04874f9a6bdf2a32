"""The lock of a keys document: one writer at a time, also after a crash and after a response that was lost.

A lock is a file or an object that is created only if it does not exist: `keys.json.lock`. It belongs to its writer for
`BREAKABLE_AFTER` seconds by the clock of the store. Whatever the writer sends expires before that, so when a lock can
be broken, nothing that its writer sent can still arrive.

A lock is broken by creating its successor, whose name contains the hash of its content. Of several writers that break
one lock, exactly one creates the successor, and thereby holds the lock. Removing the first lock releases all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import NamedTuple

from signer.times import rfc3339

from ..cloud.oss import EXPIRES_IN
from ..context import Clock
from ..errors import HandlerError
from ..keys.file_store import MISSING, UNREACHABLE, KeysStore, KeysStoreError, Unconfirmed, no_time

BREAKABLE_AFTER = 300  # seconds
LOCK_TIMEOUT = 15.0  # seconds
MARGIN = 10  # seconds; the clocks of OSS's servers differ, and an accepted request takes a moment
UNREACHABLE_TIMEOUT = 180  # seconds
_RETRY_INTERVAL = 0.1  # seconds
_WATCH_INTERVAL = 5.0  # seconds

Write = Callable[[bytes], None]


class KeysLocked(HandlerError):
    """Another writer holds the lock, or ours was broken or became too old."""

    code = "keys_locked"


class _Lock(NamedTuple):
    """A lock that was read at `read_at` (Unix seconds), and its age in seconds, both by the clock of the store.

    The age is negative where the lock is dated in the future.
    """

    store: KeysStore
    content: bytes
    age: float
    read_at: float


@contextmanager
def locked(
    store: KeysStore,
    notify: Callable[[str], None],
    *,
    break_old: bool = False,
    timeout: float = LOCK_TIMEOUT,
    clock: Clock,
) -> Iterator[Write]:
    """Holds the lock of a keys document, and yields the function that replaces the document.

    Waits `timeout` seconds for another writer. With `break_old`, a lock that did not change for five minutes is broken.
    `notify` receives a sentence before a wait of more than a few seconds. Entering and writing raise `KeysLocked` and
    `KeysStoreError`; after an error of writing, the document is unchanged unless the message says otherwise.
    """
    owner = {"owner": _this_process(), "at": rfc3339(clock.now()), "nonce": os.urandom(12).hex()}
    ours = json.dumps(owner).encode()
    chain = _acquire(store.sibling(".lock"), ours, notify, break_old, timeout, clock)
    settled = True

    def write(document: bytes) -> None:
        nonlocal settled
        issued_at = _check(chain)
        settled = False
        try:
            store.replace(document, issued_at)
        except Unconfirmed as error:
            notify("The response to the change was lost. Waiting until OSS would refuse the request.")
            stored = _settle(store, error.expires_at, clock)
            settled = True
            if stored != document:
                alone = _content(chain[-1].store) == ours
                result = "The change was not made." if alone else "Another writer has changed the document since."
                raise KeysStoreError(
                    f"{error.sentence} {result} Check the document with show, and run the command again if necessary.",
                    code=UNREACHABLE,
                ) from None
        except KeysStoreError:
            settled = True
            raise
        settled = True

    try:
        yield write
    finally:
        # While a change may still be carried out, the lock must keep other writers out: they can break it later.
        if settled:
            with suppress(KeysStoreError, KeysLocked):
                _release(chain, notify, clock)


def _acquire(
    first: KeysStore, ours: bytes, notify: Callable[[str], None], break_old: bool, timeout: float, clock: Clock
) -> list[_Lock]:
    """The locks from the first one to our own: more than one if locks were broken."""
    deadline = clock.monotonic() + timeout
    seen: bytes | None = None
    seen_at = 0.0
    while True:
        if first.create(ours):
            return [_Lock(first, ours, 0.0, clock.now())]
        interval = _RETRY_INTERVAL
        chain = _chain(first)
        if chain:
            last = chain[-1]
            watched = break_old and last.age < -MARGIN
            interval = _WATCH_INTERVAL if watched else _RETRY_INTERVAL
            if last.content != seen:
                seen, seen_at = last.content, clock.monotonic()
                if watched:
                    notify("The lock is dated in the future. Waiting until it has not changed for five minutes.")
                    deadline = max(deadline, seen_at + BREAKABLE_AFTER + timeout)
            if break_old and max(last.age, clock.monotonic() - seen_at) >= BREAKABLE_AFTER:
                successor = _successor(first, last.content)
                if successor.create(ours):
                    chain = _chain(first)
                    if chain and chain[-1].content == ours:
                        return chain
                    _discard(successor)  # the lock was released at the same time
        if clock.monotonic() >= deadline:
            raise _held(chain[-1] if chain else None)
        clock.sleep(interval)


def _check(chain: list[_Lock]) -> float:
    """The time by the clock of the store, at which a change can be sent because the lock is still ours.

    Raises `KeysLocked` if it was broken, or could be before the change expires.
    """
    ours = chain[-1]
    current = _read(ours.store)
    broken = _read(_successor(chain[0].store, ours.content)) is not None
    if current is None or current.content != ours.content or broken:
        raise KeysLocked("Another writer broke the lock, so nothing was written. Run the command again.")
    if current.age + EXPIRES_IN + MARGIN > BREAKABLE_AFTER:
        raise KeysLocked("The lock was held for too long, so nothing was written. Run the command again.")
    return current.read_at


def _release(chain: list[_Lock], notify: Callable[[str], None], clock: Clock) -> None:
    """Removes the locks if the last one is still ours; the first one first, because it is what keeps others out."""
    first = chain[0]
    while True:
        try:
            first.store.remove(_check(chain))
            break
        except Unconfirmed as error:
            notify("The response to removing the lock was lost. Waiting until OSS would refuse the request.")
            if _settle(first.store, error.expires_at, clock) != first.content:
                break
    for lock in chain[1:]:
        _discard(lock.store)


def _settle(store: KeysStore, expires_at: float, clock: Clock) -> bytes | None:
    """What is stored (None: nothing) once a request that expires at `expires_at` can no longer change it."""
    deadline = clock.monotonic() + UNREACHABLE_TIMEOUT
    while True:
        try:
            remaining = expires_at + MARGIN - store.now()
            if remaining < 0:
                return _content(store)
            deadline = clock.monotonic() + UNREACHABLE_TIMEOUT
        except KeysStoreError:
            remaining = _WATCH_INTERVAL
            if clock.monotonic() >= deadline:
                raise KeysStoreError(
                    f"{store}: OSS did not confirm the change, and it cannot be read whether the change was made. The "
                    "lock remains, because the change may still be made. When OSS can be reached again, check the "
                    f"document with show, and run the command with --break-lock after {BREAKABLE_AFTER // 60} minutes.",
                    code=UNREACHABLE,
                ) from None
        clock.sleep(max(remaining, 1.0))


def _chain(first: KeysStore) -> list[_Lock]:
    """The first lock, and the successor of each lock that was broken; empty without a lock."""
    chain: list[_Lock] = []
    store = first
    while (lock := _read(store)) is not None:
        chain.append(lock)
        store = _successor(first, lock.content)
    return chain


def _successor(first: KeysStore, broken: bytes) -> KeysStore:
    return first.sibling("." + sha256(broken).hexdigest()[:16])


def _read(store: KeysStore) -> _Lock | None:
    try:
        snapshot = store.read()
    except KeysStoreError as error:
        if error.code != MISSING:
            raise
        return None
    if snapshot.changed_at is None or snapshot.read_at is None:
        raise no_time(store)
    return _Lock(store, snapshot.document or b"", snapshot.read_at - snapshot.changed_at, snapshot.read_at)


def _content(store: KeysStore) -> bytes | None:
    lock = _read(store)
    return None if lock is None else lock.content


def _discard(store: KeysStore) -> None:
    """Removes a lock that no longer belongs to anybody."""
    with suppress(KeysStoreError):
        store.remove(store.now())


def _held(lock: _Lock | None) -> KeysLocked:
    writer, where = (_holder(lock.content), f" ({lock.store})") if lock is not None else ("another writer", "")
    return KeysLocked(
        f"The keys document is locked by {writer}{where}. Try again. If that writer is gone, use --break-lock, which "
        f"breaks a lock that did not change for {BREAKABLE_AFTER // 60} minutes."
    )


def _holder(content: bytes) -> str:
    """Who holds a lock, and since when, as far as its content says."""
    try:
        document = json.loads(content)
        holder = f"{document['owner']} since {document['at']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return "another writer"
    return "".join(character for character in holder if character.isprintable())[:130]


def _this_process() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
