"""Instances that a test kills: `python -m tests.faults.instances` runs requests and events in forks of itself.

A fork is a new instance that has imported everything, so that a kill meets the work and not the start. A line of input
is one `Work`; the lines that come back are the fork's process id, its result unless it was killed, and `ended`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path as File
from queue import Empty, SimpleQueue
from types import SimpleNamespace
from typing import Any, NamedTuple

from handler import events
from handler.core.config import Config
from handler.core.context import Clock, Instance
from handler.notices.sinks.client import Network
from tests.fault_proxy import FaultProxy
from tests.faults.paths import PATHS
from tests.faults.service import Service
from tests.handler.client import Answered, context
from tests.handler.keys_fixtures import LocalOss, OssClock

ROOT = File(__file__).parents[2]
SECONDS = 120  # that work may take
KILLED = Answered(0, {}, "{}", "")  # what a client got from an instance that was killed


class Work(NamedTuple):
    """An attempt of a path through the HTTP service, or an event where `path` is empty."""

    config: Config
    path: str
    prepared: Any

    def run(self) -> object:
        if not self.path:
            return self._answer_event()
        nobody = LocalOss("", File(), None, OssClock())  # type: ignore[arg-type]
        return PATHS[self.path].attempt(Service(self.config, nobody, FaultProxy(""), count()), self.prepared)

    def _answer_event(self) -> dict[str, Any]:
        invocation = context()
        invocation.function = SimpleNamespace(timeout=120)
        instance = Instance(self.config, Clock())
        with contextlib.redirect_stdout(io.StringIO()):
            return events.answer(self.prepared, invocation, lambda: instance, network=Network())


class Instances:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._running: SimpleQueue[int] = SimpleQueue()  # process ids

    def run(self, work: Work) -> Any:
        """The result, None if the work was killed, by `kill_running` in another thread."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(pickle.dumps(work).hex() + "\n")
        self._process.stdin.flush()
        pid, found = int(self._process.stdout.readline()), None
        self._running.put(pid)
        watchdog = threading.Timer(SECONDS, _kill, [pid])
        watchdog.start()
        while (line := self._process.stdout.readline()) != "ended\n":
            assert line, "the process of the instances has ended"
            found = json.loads(line)
        watchdog.cancel()
        with contextlib.suppress(Empty):  # otherwise `kill_running` has taken it
            self._running.get_nowait()
        return found

    def answer(self, work: Work) -> Answered:
        """The response of the HTTP service, `KILLED` without one."""
        result = self.run(work)
        return KILLED if result is None else Answered(*result)

    def kill_running(self) -> None:
        """Kills what runs, once it does; of many calls the first."""
        with contextlib.suppress(Empty):
            _kill(self._running.get(timeout=1))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.kill(pid, signal.SIGKILL)


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
    import handler.core.auth
    import handler.core.keys.file_store
    import handler.web.endpoints.multipart
    import handler.web.endpoints.open_share
    import handler.web.endpoints.shares
    import handler.web.endpoints.upload_page  # noqa: F401

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
