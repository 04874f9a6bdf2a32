"""The file that a bulk run writes. It ends with a complete record, also after Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .bulk_formats import Format


class Output:
    """An open file. Ctrl-C and SIGTERM raise `KeyboardInterrupt`, but only after `uninterrupted` is done."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_busy = False
        self._is_interrupted = False

    def write(self, string: str) -> None:
        """Writes the entire string. Raises `OSError`."""
        data = memoryview(string.encode())
        while data:
            data = data[os.write(self._descriptor, data) :]

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Delays the first signal until the block is done."""
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False
        if self._is_interrupted:
            raise KeyboardInterrupt

    def interrupt(self, number: int, frame: object) -> None:
        """Handles a signal. A second one is not delayed: the reader of a pipe may have stopped."""
        if self._is_busy and not self._is_interrupted:
            self._is_interrupted = True
        else:
            raise KeyboardInterrupt


@contextmanager
def open_output(path: str, record_format: Format) -> Iterator[Output]:
    """Writes the format's head; "-" is standard output, and only its owner may read a new file. Raises `OSError`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
    descriptor = 1 if path == "-" else os.open(path, flags, 0o600)
    output = Output(descriptor)
    handlers = {number: signal.signal(number, output.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with output.uninterrupted():
            output.write(record_format.head)
        yield output
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if path != "-":
            os.close(descriptor)
