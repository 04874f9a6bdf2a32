"""What a bulk run writes to.

A file is written under another name beside it, and replaced when it is complete: a part of a CSV file looks like all of
it. Standard output ends with a complete record, also after Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..common.files import draft_name, keep_draft
from ..errors import SignerError
from .bulk_formats import Format

_CLOSED = -1
_STDOUT = 1  # descriptors


class OutputFailed(SignerError):
    """The output cannot be written; the message names it and says what became of it."""

    code = "output_failed"


class Output:
    """The output of a run. Ctrl-C and SIGTERM raise `KeyboardInterrupt`, but only after `uninterrupted` is done.

    If `is_complete` is false after the run, `outcome` is a sentence that says what there is instead, and `stopped_by`
    the signal.
    """

    def __init__(self, path: str, record_format: Format) -> None:
        self.is_complete = False
        self.outcome = "Nothing was written."
        self._is_stdout = path == "-"
        self._name = "Standard output" if self._is_stdout else path
        self._path = os.path.realpath(path)  # a symbolic link stays one
        self._format = record_format
        self._descriptor = _CLOSED
        self._draft: str | None = None
        self._mode = 0o600
        self._is_busy = False
        self._is_interrupted = False
        self.stopped_by = signal.SIGINT

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Writes the format's head, and its tail after the block. Raises `OutputFailed` and `BrokenPipeError`."""
        # What is ignored, as SIGINT is where a script starts a program with &, stays ignored.
        numbers = [
            n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN
        ]
        handlers = {number: signal.signal(number, self._interrupt) for number in numbers}
        try:
            with self._failures():
                self._open()
            with self.uninterrupted():
                self.write(self._format.head)
            try:
                yield
            except (OutputFailed, BrokenPipeError):
                raise
            except BaseException:
                if self._draft is None:
                    with self.uninterrupted():
                        self.write(self._format.tail)
                raise
            self._is_busy = True  # a first signal is too late now
            self.write(self._format.tail)
            with self._failures():
                self._keep()
        finally:
            self._discard()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def write(self, string: str) -> None:
        """Writes the entire string. Raises `OutputFailed` and `BrokenPipeError`."""
        data = memoryview(string.encode())
        with self._failures():
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

    def _interrupt(self, number: int, frame: object) -> None:
        """Handles a signal. A second one is not delayed: the reader of a pipe may have stopped."""
        self.stopped_by = signal.Signals(number)
        if self._is_busy and not self._is_interrupted:
            self._is_interrupted = True
        else:
            raise KeyboardInterrupt

    def _open(self) -> None:
        """Opens standard output, or a draft. Only its owner may read a new file."""
        if self._is_stdout:
            self._descriptor = _STDOUT
            self.outcome = "The output is incomplete."
            return
        if os.path.exists(self._path):
            self.outcome = "The previous file was kept."
            mode = os.stat(self._path).st_mode
            if not stat.S_ISREG(mode):
                raise OSError(
                    None, "it is not a regular file: for a pipe or a device, use standard output"
                )
            # A file that may not be written may not be replaced either.
            os.close(os.open(self._path, os.O_WRONLY))
            self._mode = stat.S_IMODE(mode)
        self._draft = draft_name(self._path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._draft, flags, 0o600)

    def _keep(self) -> None:
        """Puts a draft in the place of the file, in one step and after all of it is on the disk."""
        if self._draft is not None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            keep_draft(self._draft, self._path, self._mode)
            self._draft = None
        self.is_complete = True

    def _discard(self) -> None:
        if self._draft is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            with suppress(OSError):  # it may not exist yet
                os.unlink(self._draft)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(
                f"{self._name} cannot be written ({error.strerror}). {self.outcome}"
            ) from None
