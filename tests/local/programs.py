"""`python -m local` and its relatives as processes of their own, whose output is read line by line."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
SECONDS = 60
# As `python -m`, but they notice changes at once.
QUICK = {
    "local": "from local import command; command.POLL_INTERVAL, command.SETTLED = 0.05, 0.1; exit(command.main())",
    "signer": "from signer.cli import oss, run; oss.POLL_INTERVAL, oss.SETTLED = 0.05, 0.1; exit(run())",
}


class Program:
    """A running program, with the lines of both its outputs in the order in which they arrive."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put(None)

    def wait_for(self, part: str) -> str:
        """The next line that contains `part`."""
        while (line := self._queue.get(timeout=SECONDS)) is not None:
            self.lines.append(line)
            if part in line:
                return line
        raise AssertionError(f"The program ended without {part!r}: {''.join(self.lines)}")

    def end(self) -> int:
        """The status of the program, once it has ended; `lines` are complete then."""
        while (line := self._queue.get(timeout=SECONDS)) is not None:
            self.lines.append(line)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        """Closes the pipe of a program that has ended."""
        self._reader.join(SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def http(self) -> str:
        """The address of the first http function, as it was printed."""
        match = re.search(r"^  links-http-dev +(\S+)$", self.output, re.MULTILINE)
        assert match
        return match[1]


@contextmanager
def started(
    *arguments: str,
    folder: Path = ROOT,
    module: str = "local",
    ports: bool = True,
    quick: bool = False,
    errors: IO[bytes] | None = None,
    path: Path = ROOT,
) -> Iterator[Program]:
    """A program on free ports, killed at the latest at the end of the block. `errors` is for its standard error.

    `path` is where it is imported from.
    """
    program_arguments = ["-c", QUICK[module]] if quick else ["-m", module]
    command = [
        sys.executable,
        *program_arguments,
        *(["--http-port", "0", "--oss-port", "0"] if ports else []),
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
        stdout=subprocess.PIPE,
        stderr=errors or subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    program = Program(process)
    try:
        yield program
    finally:
        watchdog.cancel()
        process.kill()
        process.wait(SECONDS)
        program.close()
