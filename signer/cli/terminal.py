"""Reads what is pasted on a terminal, which itself cuts a line of more than 1,024 (macOS) or 4,096 bytes (Linux).

So canonical mode, in which a terminal collects and edits lines, is off meanwhile; the keys that edit work here.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import select
import signal
import sys
import termios
from collections.abc import Callable
from typing import Any

from ..display import printable

# Seconds. Python handles a signal that comes just before a call only after it, and `fg` may send none.
TICK = 0.5
_STDERR = 2
_END = "\x04"  # Ctrl-D
# What Backspace (two codes), Ctrl-U and Ctrl-W leave of a line.
_EDITS: dict[str, Callable[[str], str]] = {
    "\x7f": lambda line: line[:-1],
    "\b": lambda line: line[:-1],
    "\x15": lambda line: "",
    "\x17": lambda line: "".join(line.rstrip().rpartition(" ")[:2]),
}
_KEYS = re.compile(f"([{_END}{''.join(_EDITS)}])")


def read(prompt: str, limit: int) -> str:
    """What is pasted or typed on standard input until Ctrl-D, or at least `limit` characters.

    Whatever ends it, also SIGTERM, SIGHUP and SIGQUIT, the terminal is as before.
    """
    terminal = _Terminal(prompt)
    handlers: dict[signal.Signals, Callable[[int, Any], object]] = dict.fromkeys(
        (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT), lambda number, _: sys.exit(128 + number)
    )
    handlers |= {signal.SIGTSTP: terminal.suspend, signal.SIGCONT: terminal.enter}
    unhandled = [number for number in handlers if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in unhandled:
            signal.signal(number, handlers[number])
        terminal.enter()
        terminal.read(limit)
    finally:
        terminal.restore()
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)
    return terminal.typed


class _Terminal:
    """Standard input. While another process is in the foreground, as after `bg`, its mode is not ours to change."""

    def __init__(self, prompt: str) -> None:
        self.typed = ""
        self._prompt = prompt
        self._descriptor = sys.stdin.fileno()
        self._before: list[Any] = []

    def enter(self, *_: object) -> None:
        """Leaves canonical mode, and only then prompts: what is pasted before is cut."""
        mode = termios.tcgetattr(self._descriptor)
        if self._is_ours() and mode[3] & termios.ICANON:
            self._before = termios.tcgetattr(self._descriptor)
            mode[3] = mode[3] & ~termios.ICANON | termios.ECHOCTL  # it shows controls as ^U, and obeys none
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
            # Not through sys.stderr, which fails in a handler of a signal that came while it was used.
            os.write(_STDERR, "\n".join(map(printable, (self._prompt, *self.typed.split("\n")))).encode())

    def read(self, limit: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        while len(self.typed) < limit:
            while not select.select([self._descriptor], [], [], TICK)[0]:
                self.enter()
            received = os.read(self._descriptor, limit)
            if not received:  # the terminal is gone
                return
            for part in _KEYS.split(decoder.decode(received)):
                if part == _END:
                    self._erase(0, b"\n" if self.typed[-1:].strip("\n") else b"")
                    return
                if part in _EDITS:
                    line = self.typed[self.typed.rfind("\n") + 1 :]
                    removed = len(line) - len(_EDITS[part](line))
                    self.typed = self.typed[: len(self.typed) - removed]
                    self._erase(removed)
                else:  # without what a terminal may send before and after what is pasted
                    self.typed = (self.typed + part).replace("\x1b[200~", "").replace("\x1b[201~", "")

    def restore(self) -> None:
        """Sets the mode from before. What was not read is dropped: no shell takes the rest of a link for a command."""
        if self._before and self._is_ours():
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)

    def suspend(self, *_: object) -> None:
        """Handles Ctrl-Z: stops as without a handler, but with the terminal as before."""
        self.restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self.suspend)
        self.enter()  # without job control, it has not stopped, and no SIGCONT comes

    def _erase(self, columns: int, then: bytes = b"") -> None:
        """Removes the last columns that the terminal shows, and the two of a key such as ^U."""
        if self._before and self._before[3] & termios.ECHO and os.isatty(_STDERR):
            os.write(_STDERR, b"\b \b" * (columns + 2) + then)

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError as error:
            return error.errno == errno.ENOTTY  # not the terminal of this session, so no shell shares it
