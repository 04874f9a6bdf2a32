"""What a bulk run writes to.

A file is written under another name beside it, and replaced when it is complete: a part of a CSV file looks like all of
it. Standard output, pipes, devices and symbolic links are written directly, and end with a complete record, also after
Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import SignerError
from ..files import draft_name, keep_draft
from .bulk_formats import Format

_CLOSED, _STDOUT = -1, 1  # descriptors
_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


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
        self._path = path
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
        signals = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        handlers = {number: signal.signal(number, self._interrupt) for number in signals}
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
        """Opens standard output, a draft, or the file itself. Only its owner may read a new file."""
        if self._path == "-":
            self._descriptor = _STDOUT
        elif not self._open_draft():
            self._descriptor = os.open(self._path, _FLAGS | os.O_TRUNC, 0o600)
        if self._draft is None:
            self.outcome = "The output is incomplete."

    def _open_draft(self) -> bool:
        """False if only the file itself can be written: another would not have its kind, names, owner or group."""
        try:
            before = os.lstat(self._path)
        except FileNotFoundError:
            before = None
        if not self._path or (before and not (stat.S_ISREG(before.st_mode) and before.st_nlink == 1)):
            return False
        if before:
            os.close(os.open(self._path, os.O_WRONLY))  # a file that may not be written may not be replaced either
        draft = draft_name(self._path)
        try:
            self._draft = draft
            self._descriptor = os.open(draft, _FLAGS | os.O_EXCL, 0o600)
        except OSError as error:
            self._draft = None
            if error.errno in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
                return False  # the file itself may be allowed
            raise
        if before:
            status = os.fstat(self._descriptor)
            if (status.st_uid, status.st_gid) != (before.st_uid, before.st_gid):
                self._discard()
                return False
            self._mode = stat.S_IMODE(before.st_mode)
            self.outcome = "The previous file was kept."
        return True

    def _keep(self) -> None:
        """Puts a draft in the place of the file, in one step and after all of it is on the disk."""
        if self._draft is not None:
            os.fsync(self._descriptor)
        self._close()
        if self._draft is not None:
            keep_draft(self._draft, self._path, self._mode)
        self.is_complete = True

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor not in (_CLOSED, _STDOUT):
            os.close(descriptor)

    def _discard(self) -> None:
        with suppress(OSError):
            self._close()
        if self._draft is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._draft)
            self._draft = None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "Standard output" if self._path == "-" else self._path
            raise OutputFailed(f"{name} cannot be written ({error.strerror}). {self.outcome}") from None
