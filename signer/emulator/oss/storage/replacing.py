"""Replaces and removes files. Windows refuses both for as long as somebody reads the file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 1.0  # seconds
_INTERVAL = 0.02  # seconds


class FileInUse(Exception):
    """The file could not be replaced or removed within a second."""


def replace(source: Path, target: Path) -> None:
    """Raises `FileInUse`, and `OSError` for another reason than missing permission."""
    _try_again(lambda: os.replace(source, target))


def remove(path: Path, *, missing_ok: bool = False) -> None:
    """Raises as `replace`."""
    _try_again(lambda: path.unlink(missing_ok=missing_ok))


def _try_again(action: Callable[[], None]) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() >= end:
                raise FileInUse from None
            time.sleep(_INTERVAL)
