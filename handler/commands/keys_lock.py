"""The lock of a keys document: one writer at a time, also after a crash and after a response that was lost.

In OSS it is a lease, `keys.json.lock.{slot}`, in slots of 120 seconds of OSS's clock. Whatever its holder sends expires
before its last slot ends, and nothing is ever broken. Beside a file it is `keys.json.lock`, which the system locks, and
unlocks when the process ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from signer.times import rfc3339

from ..core.cloud.lease import Lease
from ..core.cloud.oss import EXPIRES_IN, REFUSED, UNREACHABLE, StoreError
from ..core.cloud.store import Store
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.keys.file_store import FileStore

LOCK = ".lock."
SLOT = 120  # its objects, by slot of so many seconds
NEED = EXPIRES_IN + 20.0  # seconds: OSS accepts a change so long, and its servers' clocks differ
FRESH = 10.0  # seconds in which the time of an answer of OSS counts
LOCK_TIMEOUT = 15.0
LONG_TIMEOUT = 360.0  # seconds; the second with --wait
POLL = 0.5  # seconds between two tries
BLOCKED = SLOT + int(NEED)  # seconds that a lock may remain without its writer
WAIT = "Try again, or use --wait to wait for up to six minutes."
HELD_TOO_LONG = "The lock was held for too long, so nothing was written. Run the command again."

Write = Callable[[bytes], None]


class KeysLocked(HandlerError):
    """Another writer holds the lock, or we held ours for too long."""

    code = "keys_locked"


class NotConfirmed(HandlerError):
    """OSS did not confirm a change, which may still be made."""

    code = "not_confirmed"


@contextmanager
def locked(
    store: FileStore | Store,
    notify: Callable[[str], None],
    *,
    timeout: float = LOCK_TIMEOUT,
    clock: Clock,
) -> Iterator[Write]:
    """Holds the lock of a keys document, and yields the function that replaces the document.

    Waits `timeout` seconds for another writer. `notify` receives a sentence where the lock remains. Entering and
    writing raise `KeysLocked`, `NotConfirmed` and `StoreError`, after which the document is unchanged, but for
    `NotConfirmed`. What is written must differ from what it replaces: it is read to learn whether it was written.
    """
    ours = json.dumps(
        {"owner": _this_process(), "at": rfc3339(clock.now()), "nonce": os.urandom(12).hex()}
    ).encode()
    if isinstance(store, FileStore):
        with _locked_file(f"{os.path.realpath(store.path)}.lock", ours, timeout, clock):
            yield store.replace
        return
    lease = Lease(store, LOCK, SLOT, NEED, ours)
    is_settled = True

    def write(document: bytes) -> None:
        nonlocal is_settled
        if store.clock.age() >= FRESH:
            store.ask_time("")
        if not lease.has_time():
            raise KeysLocked(HELD_TOO_LONG)
        # However late it is sent, it expires before the lease ends.
        issued_at = min(store.clock.earliest(), lease.ends_at - NEED)
        is_settled = False
        try:
            store.replace("", document, retry=False, issued_at=issued_at)
        except StoreError as error:
            is_settled = error.code != UNREACHABLE or _content(store) == document
            if error.status == 403 and store.clock.latest() >= issued_at + EXPIRES_IN:
                raise KeysLocked(HELD_TOO_LONG) from None
            if error.code != UNREACHABLE:
                raise
            if not is_settled:
                raise NotConfirmed(
                    f"{store}: {error.sentence.rstrip('.')}. The change was not confirmed, and may still be made "
                    "within a minute. Then check the document with show, and run the command again if necessary."
                ) from None
        is_settled = True

    try:
        _acquire(store, lease, timeout, clock)
        yield write
    finally:
        is_released = False
        try:
            # While a change may still be made, the lock must keep other writers out.
            is_released = is_settled and lease.release()
        finally:
            if not is_released:
                notify(
                    f"OSS did not confirm everything. The lock may keep other writers out for {BLOCKED} seconds."
                )


def _acquire(store: Store, lease: Lease, timeout: float, clock: Clock) -> None:
    deadline = clock.monotonic() + timeout
    store.ask_time("")
    while not (lease.acquire() and lease.has_time()):
        if clock.monotonic() >= deadline:
            slot = int(store.clock.latest() // SLOT)
            until = rfc3339((slot + (2 if store.read(f"{LOCK}{slot + 1}") else 1)) * SLOT)
            holder = f"{_holder(lease.holder)}, until {until} at most unless that command goes on"
            raise KeysLocked(f"The keys document is locked by {holder}. {WAIT}")
        clock.sleep(POLL)


@contextmanager
def _locked_file(path: str, ours: bytes, timeout: float, clock: Clock) -> Iterator[None]:
    """Locks a file that stays, because a writer that waits for it has it open."""
    deadline = clock.monotonic() + timeout
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        raise _no_lock(path, "this system has no flock") from None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError("lock", 0, REFUSED, str(error.strerror)) from None
    with open(descriptor, "r+b", buffering=0) as file:
        while True:
            try:
                flock(file, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() >= deadline:
                    holder = f"{_holder(file.read(4096))} ({path})"
                    raise KeysLocked(f"The keys document is locked by {holder}. {WAIT}") from None
                clock.sleep(POLL)
            except OSError as error:
                raise _no_lock(path, str(error.strerror)) from None
        with suppress(OSError):  # on a full disk it has no name, but it is locked
            file.truncate(file.write(ours))
        yield


def _no_lock(path: str, reason: str) -> HandlerError:
    return HandlerError(
        f"{path} cannot be locked ({reason}). Keep the keys document on a local disk, or in OSS.",
        code="no_lock",
    )


def _content(store: Store) -> bytes | None:
    try:
        stored = store.read("")
    except StoreError:
        return None
    return stored.body if stored else None


def _holder(content: bytes) -> str:
    """Who holds a lock, and since when, as far as its content says."""
    try:
        document = json.loads(content)
        holder = f"{document['owner']} since {document['at']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return "another writer"
    return holder[:130]


def _this_process() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
