"""Instances that a test kills: `python -m tests.faults.instances` runs each request or event in a fork of itself.

A fork is a new instance that has imported everything, so that a kill meets the work and not the start. A line of input
is one `Work`; the lines that come back are the fork's process id, its result unless it was killed, and `ended`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path as File
from queue import Empty, SimpleQueue
from types import SimpleNamespace
from typing import Any, NamedTuple

from handler import events
from handler.config import Config
from handler.context import Instance
from handler.notices.sinks.client import Network
from tests.fault_proxy import FaultProxy
from tests.faults.paths import PATHS
from tests.faults.service import Service
from tests.handler.client import Answered, context
from tests.handler.keys_fixtures import LocalOss, OssClock
from tests.handler.notice_fixtures import FakeClock

ROOT = File(__file__).parents[2]
KILLED = Answered(0, {}, "{}", "")  # what a client got from an instance that was killed


class Work(NamedTuple):
    """An attempt of a path through the HTTP service, or an event. The clock is `moved` seconds ahead."""

    config: Config
    path: str
    prepared: Any
    moved: float = 0.0

    def run(self) -> object:
        if not self.path:
            return self._answer_event()
        nobody = LocalOss("", File(), None, OssClock())  # type: ignore[arg-type]
        return PATHS[self.path].attempt(Service(self.config, nobody, FaultProxy(""), count()), self.prepared)

    def _answer_event(self) -> dict[str, Any]:
        clock = FakeClock()
        clock.moved = self.moved
        invocation = context()
        invocation.function = SimpleNamespace(timeout=120)
        instance = Instance(self.config, clock.clock())
        with clock.everywhere(), contextlib.redirect_stdout(io.StringIO()):
            return events.answer(self.prepared, invocation, lambda: instance, network=Network())


class Run:
    """Work that runs in a process of its own."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self.pid = int(lines.readline())
        self.began = time.monotonic()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, 9)

    def result(self) -> Any:
        """None if it was killed."""
        found: Any = None
        while (line := self._lines.readline()) != "ended\n":
            assert line, "the process of the instances has ended"
            found = json.loads(line)
        return found


class Instances:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._running: SimpleQueue[Run] = SimpleQueue()

    def start(self, work: Work) -> Run:
        assert self._process.stdin
        self._process.stdin.write(pickle.dumps(work).hex() + "\n")
        self._process.stdin.flush()
        return Run(self._process.stdout)

    def run(self, work: Work, kill: Callable[[Run], None] = lambda run: None) -> Any:
        """The result, None if the work was killed: by `kill`, or by `kill_running` in another thread."""
        run = self.start(work)
        self._running.put(run)
        kill(run)
        result = run.result()
        with contextlib.suppress(Empty):  # otherwise `kill_running` has taken it
            self._running.get_nowait()
        return result

    def answer(self, work: Work) -> Answered:
        """The response of the HTTP service, `KILLED` without one."""
        result = self.run(work)
        return KILLED if result is None else Answered(*result)

    def kill_running(self) -> None:
        """Kills what runs, once it does."""
        self._running.get().kill()


@contextmanager
def instances() -> Iterator[Instances]:
    """Ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.instances"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Instances(process)
        finally:
            process.kill()


def main() -> None:
    # What work imports is imported here, but nothing is sent: forks must not share a connection.
    import handler.auth
    import handler.endpoints.multipart
    import handler.endpoints.open_share
    import handler.endpoints.shares
    import handler.endpoints.upload_page
    import handler.keys.file_store  # noqa: F401

    for line in sys.stdin:
        work: Work = pickle.loads(bytes.fromhex(line))  # noqa: S301 - of this test
        child = os.fork()
        if child == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            result = json.dumps(work.run())
            os.write(1, f"{result}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    # As the module that `Work` is pickled by.
    from tests.faults.instances import main as serve

    serve()
