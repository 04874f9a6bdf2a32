"""The lock of a keys document: one writer at a time, also after a crash and after a response that was lost.

In OSS it is a lease, `keys.json.lock.{slot}`, in slots of 120 seconds of OSS's clock. Whatever its holder sends expires
before its last slot ends, and nothing is ever broken. Beside a file it is `keys.json.lock`, which the system locks, and
unlocks when the process ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from signer.times import rfc3339

from ..cloud.lease import Lease
from ..cloud.oss import UNREACHABLE, StoreError
from ..cloud.store import Store
from ..context import Clock
from ..errors import HandlerError
from ..keys.file_store import FileStore

SLOT = 120  # seconds
NEED = 80.0  # seconds of a slot that a change needs: OSS accepts it for 60, and its servers' clocks differ
FRESH = 10.0  # seconds in which the time of an answer of OSS counts
LOCK_TIMEOUT, LONG_TIMEOUT = 15.0, 360.0  # seconds; the second with --wait
POLL = 0.5  # seconds between two tries
BLOCKED = f"{SLOT + int(NEED)} seconds"

Write = Callable[[bytes], None]


class KeysLocked(HandlerError):
    """Another writer holds the lock, or we held ours for too long."""

    code = "keys_locked"


class NotConfirmed(HandlerError):
    """OSS did not confirm a change, which may still be made."""

    code = "not_confirmed"


@contextmanager
def locked(
    store: FileStore | Store, notify: Callable[[str], None], *, timeout: float = LOCK_TIMEOUT, clock: Clock
) -> Iterator[Write]:
    """Holds the lock of a keys document, and yields the function that replaces the document.

    Waits `timeout` seconds for another writer. `notify` receives a sentence where the lock remains. Entering and
    writing raise `KeysLocked`, `NotConfirmed` and `StoreError`, after which the document is unchanged, but for
    `NotConfirmed`.
    """
    ours = json.dumps({"owner": _this_process(), "at": rfc3339(clock.now()), "nonce": os.urandom(12).hex()}).encode()
    if isinstance(store, FileStore):
        with _locked_file(f"{os.path.realpath(store.path)}.lock", ours, timeout, clock):
            yield store.replace
        return
    lease = Lease(store, ".lock.", SLOT, NEED, ours)
    is_settled = True

    def write(document: bytes) -> None:
        nonlocal is_settled
        if store.clock.age() >= FRESH:
            store.ask_time("")
        if not lease.has_time():
            raise KeysLocked("The lock was held for too long, so nothing was written. Run the command again.")
        try:
            store.replace("", document, retry=False, issued_at=store.clock.earliest())
        except StoreError as error:
            if error.code != UNREACHABLE:
                raise
            is_settled = False
            if _content(store) != document:
                raise NotConfirmed(
                    f"{store}: {error.sentence}. The change was not confirmed, and may still be made within a minute. "
                    f"The lock keeps other writers out for up to {BLOCKED}. Then check the document with show."
                ) from None
            is_settled = True

    try:
        _take(store, lease, timeout, clock)
        yield write
    finally:
        # While a change may still be made, the lock must keep other writers out.
        if is_settled and not lease.release():
            notify(f"OSS did not confirm that the lock was removed. It may keep other writers out for {BLOCKED}.")


def _take(store: Store, lease: Lease, timeout: float, clock: Clock) -> None:
    deadline = clock.monotonic() + timeout
    store.ask_time("")
    while not lease.take():
        if clock.monotonic() >= deadline:
            until = rfc3339(lease.blocked_until())
            raise KeysLocked(
                f"The keys document is locked by {_holder(lease.holder)}, until {until} at most unless that command "
                "goes on. Try again, or use --wait to wait for up to six minutes."
            )
        clock.sleep(POLL)


@contextmanager
def _locked_file(path: str, ours: bytes, timeout: float, clock: Clock) -> Iterator[None]:
    """Locks a file that stays, because a writer that waits for it has it open."""
    deadline = clock.monotonic() + timeout
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except (OSError, ImportError) as error:
        raise _no_lock(path, error) from None
    with open(descriptor, "r+b") as file:
        while True:
            try:
                flock(file, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() >= deadline:
                    raise KeysLocked(
                        f"The keys document is locked by {_holder(file.read(4096))} ({path}). Try again, or use --wait."
                    ) from None
                clock.sleep(POLL)
            except OSError as error:
                raise _no_lock(path, error) from None
        file.write(ours)
        file.truncate()
        file.flush()
        yield


def _no_lock(path: str, error: Exception) -> HandlerError:
    reason = getattr(error, "strerror", None) or "this system has no such locks"
    return HandlerError(
        f"{path} cannot be locked ({reason}). Move the keys document to a disk with locks, and a folder where you may "
        "write.",
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
    return "".join(character for character in holder if character.isprintable())[:130]


def _this_process() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
