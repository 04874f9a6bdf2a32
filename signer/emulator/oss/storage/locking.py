"""Locks between threads and processes, on a file that holds nothing else, as both kinds of system have them."""

from __future__ import annotations

import sys
import time
from typing import BinaryIO

_INTERVAL = 0.01  # seconds


def lock(file: BinaryIO, *, wait: bool = True) -> None:
    """Locks the open file until it is closed, also by the end of the process.

    Raises `BlockingIOError` if it is locked and `wait` is false, another `OSError` on a file system without locks.
    """
    while not _try_lock(file, wait=wait):
        if not wait:
            raise BlockingIOError
        time.sleep(_INTERVAL)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO, *, wait: bool) -> bool:
        """One try, whatever `wait` is: Windows waits for ten seconds at most."""
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO, *, wait: bool) -> bool:
        """Waits itself."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
