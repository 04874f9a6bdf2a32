"""Ctrl-C and SIGTERM: the program cleans up and ends, without a traceback."""

from __future__ import annotations

import signal
from typing import NoReturn

INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended


def exit_on_signals(status: int = INTERRUPTED) -> None:
    """From now on Ctrl-C and SIGTERM raise `SystemExit` in the main thread."""

    def leave(number: int, frame: object) -> NoReturn:
        # A second Ctrl-C must not interrupt the cleanup that the first one started.
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        raise SystemExit(status)

    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, leave)
