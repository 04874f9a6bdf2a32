"""Ctrl-C and SIGTERM: the program cleans up and ends, without a traceback."""

from __future__ import annotations

import signal
from collections.abc import Callable
from importlib import import_module
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
        _handle(handled, leave)


def _handle(number: int, action: Callable[[int, object], object] | signal.Handlers) -> None:
    """Leaves ignored what whoever started this ignores, as a script for its jobs in the background."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, action)


def run(module: str, name: str, target: str) -> int:
    """The status of a module's `main`. `target` of make installs what the program, whose `name` is shown, imports."""
    # The imports take a moment: until the program handles Ctrl-C itself, it ends the process without a traceback.
    _handle(signal.SIGINT, signal.SIG_DFL)
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        advice = f"Run {target}, which installs it."
        raise SystemExit(
            f"{name}: the Python package {error.name} is not installed. {advice}"
        ) from None
    status: int = main()
    return status
