"""What the commands write, safe for a terminal whoever chose a part of it, and what is pasted there."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable

import click

from ..common.display import printable

TICK = 0.5  # seconds
TICKS = 10  # with text, until the reader is reminded how to end it


def echo(lines: str, *, err: bool = False) -> None:
    """Prints lines, without what a terminal would obey or reorder."""
    click.echo("\n".join(map(printable, lines.split("\n"))), err=err)


def print_json(document: object) -> None:
    """Prints JSON: indented on a terminal, on one line for programs."""
    echo(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def read(description: str, file_command: str) -> str:
    """The pasted lines until Ctrl-D; `file_command` reads a file instead, where lines are cut.

    A terminal itself cuts a line of more than 1,024 (macOS) or 4,096 bytes (Linux).
    With `readline`, `input` takes lines of any length, and keys edit them. Whatever ends it, also a signal, the
    terminal is as before.
    """
    lines = list[str]()
    end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
    line_buffer: Callable[[], str] = str
    ticks = itertools.count(1)

    def remind(*_: object) -> None:
        """Nobody reads the prompt above what they pasted. An exception may be pending: nothing here clears it.

        A signal may come within the handler of the one before: each takes a number of its own.
        """
        if (lines or line_buffer()) and next(ticks) == TICKS:
            os.write(2, b"\nPress Enter, then Ctrl-D.\n")

    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):  # Windows lacks two
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            # `readline` sets the terminal back.
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    if hasattr(signal, "setitimer"):
        # A signal that comes just before `readline` waits for a key is handled only after one more.
        signal.signal(signal.SIGALRM, remind)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    # `input` edits only if standard output is a terminal, and prompts there: it is standard error meanwhile.
    output = os.dup(1)
    try:
        if os.isatty(2) or not os.isatty(1):
            os.dup2(2, 1)
        try:
            import readline

            line_buffer = readline.get_line_buffer
        except ImportError:  # Windows
            description += f" (longer than 1,000 characters: {file_command})"
        while True:
            try:
                lines.append(
                    input("" if lines else f"Paste {description}, then press Enter and {end}:\n")
                )
            except UnicodeDecodeError:
                # It goes on, so that no shell takes the next lines for commands.
                lines.append("(not UTF-8)")
            except SystemError as error:  # Python 3.10 wraps what the handler of a signal raised
                raise error.__cause__ or error from None
    except EOFError:
        return "\n".join(lines)
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        os.dup2(output, 1)
        os.close(output)
