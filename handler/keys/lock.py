"""One writer at a time: a lock beside the keys document, with its owner and the time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from signer.times import rfc3339

from ..errors import HandlerError
from ..times import parse_rfc3339
from .location import MISSING, KeysStore, KeysStoreError

SUFFIX = ".lock"
BREAKABLE = 300  # seconds after which a lock may be broken
PATIENCE = 15.0  # seconds that a writer waits for another
_PAUSE = 0.1


class KeysLocked(HandlerError):
    """Somebody else writes, or has taken the lock."""

    code = "keys_locked"


class Holder(NamedTuple):
    """Who holds a lock, and since when (Unix seconds)."""

    owner: str
    since: float


@contextmanager
def held(place: KeysStore, *, break_old: bool = False, patience: float = PATIENCE) -> Iterator[Callable[[], None]]:
    """Holds the lock of a keys document; what is given asks, right before a write, whether it still is ours.

    Waits `patience` seconds for another writer. With `break_old` a lock of more than five minutes is removed first.
    Raises `KeysLocked` and `KeysStoreError`.
    """
    lock = place.sibling(SUFFIX)
    mine = json.dumps({"owner": _owner(), "at": rfc3339(time.time()), "nonce": os.urandom(12).hex()}).encode()
    if break_old:
        _break(lock)
    _acquire(lock, mine, patience)

    def check() -> None:
        if _content(lock) != mine:
            raise KeysLocked("The lock was broken by somebody else: nothing was written; run the command again.")

    try:
        yield check
    finally:
        # Whose lock was broken leaves the next one's alone.
        with suppress(KeysStoreError):
            if _content(lock) == mine:
                lock.remove()


def _acquire(lock: KeysStore, mine: bytes, patience: float) -> None:
    give_up_at = time.monotonic() + patience
    while not lock.create(mine):
        if time.monotonic() >= give_up_at:
            raise KeysLocked(_held_by(lock))
        time.sleep(_PAUSE)


def _break(lock: KeysStore) -> None:
    content = _content(lock)
    if content is None:
        return
    holder = _holder(content)
    if holder is not None and time.time() - holder.since < BREAKABLE:
        raise KeysLocked(
            f"The lock is not old enough to be broken: {holder.owner} holds it since {rfc3339(holder.since)}; wait "
            f"until it is {BREAKABLE // 60} minutes old."
        )
    if holder is None:
        # One that names nobody may only just be being written.
        time.sleep(_PAUSE)
        if _content(lock) != content:
            raise KeysLocked("The lock has just been taken by somebody else: try again.")
    lock.remove()


def _held_by(lock: KeysStore) -> str:
    holder = _holder(_content(lock) or b"")
    who = f"{holder.owner} since {rfc3339(holder.since)}" if holder is not None else "somebody"
    return (
        f"The keys are being changed by {who} ({lock}): try again; if that writer is gone, --break-lock removes a lock "
        f"that is more than {BREAKABLE // 60} minutes old."
    )


def _content(lock: KeysStore) -> bytes | None:
    try:
        return lock.read().document
    except KeysStoreError as error:
        if error.code != MISSING:
            raise
        return None


def _holder(content: bytes) -> Holder | None:
    """The holder that a lock names, None where it names none."""
    try:
        document = json.loads(content)
        owner, since = document["owner"], parse_rfc3339(document["at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(owner, str) or since is None:
        return None
    printable = "".join(character for character in owner if character.isprintable())
    return Holder(printable[:100], since)


def _owner() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
