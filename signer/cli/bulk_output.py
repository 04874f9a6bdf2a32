"""The file that a bulk run writes: whole records only, whenever it ends, and where it is to go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import SignerError
from .bulk_formats import Format, Place

_BLOCK = 1 << 16
_LONGEST = 1 << 22  # bytes, behind the last record


class CannotResume(SignerError):
    """The file is not the beginning of what is to be written."""

    code = "cannot_resume"


class Interruption:
    """Ctrl-C and SIGTERM, held back while records are written.

    Within `listening`, a signal raises `KeyboardInterrupt`, but never in the middle of `held`.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._came = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes both signals over, and gives them back."""
        before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What happens within is done whole."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._came:
            raise KeyboardInterrupt

    def _take(self, number: int, frame: object) -> None:
        # A second signal is impatience: nothing is held back any more.
        if self._is_held and not self._came:
            self._came = True
        else:
            raise KeyboardInterrupt


class Output(NamedTuple):
    """An open file, its format, and the last record that it already had."""

    descriptor: int
    format: Format
    last: Place | None

    def write(self, text: str) -> None:
        """All of a text. Raises `OSError`."""
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self.descriptor, data) :]

    def end(self) -> None:
        """What makes the file whole."""
        self.write(self.format.tail)


@contextmanager
def opened(path: str, form: Format, *, resume: bool) -> Iterator[Output]:
    """A file for links ("-" is standard output), readable for its owner alone. Raises `OSError`, `CannotResume`."""
    if path == "-":
        output = Output(1, form, None)
        output.write(form.head)
        yield output
        return
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | (0 if resume else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    try:
        end, last = 0, None
        if resume:
            end, last = _whole(descriptor, form)
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
        output = Output(descriptor, form, last)
        if end == 0:
            output.write(form.head)
        yield output
    finally:
        os.close(descriptor)


def _whole(descriptor: int, form: Format) -> tuple[int, Place | None]:
    """Where the last whole record ends and which it is; the head's end, or 0, and None where there is none.

    Raises `CannotResume` for a file that this format did not begin.
    """
    size, head = os.fstat(descriptor).st_size, form.head.encode()
    start = _read(descriptor, 0, len(head))
    if start != head:
        if head.startswith(start) and size == len(start):
            return 0, None  # ended before its head was written
        raise _foreign()
    tail, position = b"", size
    while position > len(head):
        step = min(_BLOCK, position - len(head))
        position -= step
        tail = _read(descriptor, position, step) + tail
        lines = tail.split(b"\n")
        # The first piece may be the end of a longer line, unless all has been read; the last is no whole line.
        for index in range(len(lines) - 2, -1 if position == len(head) else 0, -1):
            place = form.place(lines[index].decode(errors="replace") + "\n")
            if place is not None:
                return position + len(b"\n".join(lines[: index + 1])) + 1, place
        if len(tail) > _LONGEST:
            raise _foreign()
    rest = tail.decode(errors="replace")
    # What is left is the end of a file without records, or the beginning of its first one.
    if form.tail.startswith(rest) or ("\n" not in rest and form.begins(rest)):
        return len(head), None
    raise _foreign()


def _read(descriptor: int, position: int, size: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    data = b""
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _foreign() -> CannotResume:
    return CannotResume("The output is no file that this format goes on with: name another, or leave --resume out.")
