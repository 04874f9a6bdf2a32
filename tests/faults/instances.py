"""Instances that a test ends or stops: `python -m tests.faults.instances` runs requests and events in forks of itself.

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
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path as File
from queue import Empty, SimpleQueue
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from handler import events
from handler.core.config import Config
from handler.core.context import Instance
from handler.notices.sinks.client import Network
from tests.fault_proxy import FaultProxy
from tests.faults.paths import PATHS
from tests.faults.service import Service
from tests.handler.client import Answered, context
from tests.handler.keys_fixtures import LocalOss, OssClock
from tests.handler.notice_fixtures import FakeClock

ROOT = File(__file__).parents[2]
_THREADS = ThreadPoolExecutor(8)
SECONDS = 120  # that work may take
KILLED = Answered(0, {}, "{}", "")  # what a client got from an instance that was killed


class SharedClock(FakeClock):
    """A clock that instances follow through a file, so that it goes on for those that are stopped."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file = file
        self._writing = threading.Lock()
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        with self._writing:
            super().sleep(seconds)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, struct.pack("d", self.moved))  # at once, for those that read it meanwhile
            os.close(descriptor)

    @staticmethod
    @contextmanager
    def followed(file: File) -> Iterator[None]:
        def follow(real: Callable[[], float]) -> Callable[[], float]:
            return lambda: real() + float(struct.unpack("d", file.read_bytes())[0])

        with patch.object(time, "time", follow(time.time)), patch.object(time, "monotonic", follow(time.monotonic)):
            yield


class Work(NamedTuple):
    """An attempt of a path through the HTTP service, or an event by the clock of a `SharedClock`'s file."""

    config: Config
    path: str
    prepared: Any
    clock: File = File()

    def run(self) -> object:
        if not self.path:
            return self._answer_event()
        nobody = LocalOss("", File(), None, OssClock())  # type: ignore[arg-type]
        return PATHS[self.path].attempt(Service(self.config, nobody, FaultProxy(""), count()), self.prepared)

    def _answer_event(self) -> dict[str, Any]:
        clock = FakeClock()  # its pauses are those of this instance alone
        invocation = context()
        invocation.function = SimpleNamespace(timeout=120)
        instance = Instance(self.config, clock.clock())
        with SharedClock.followed(self.clock), clock.everywhere(), contextlib.redirect_stdout(io.StringIO()):
            return events.answer(self.prepared, invocation, lambda: instance, network=Network())


class Run:
    """Work that runs in a process of its own."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self.pid = int(lines.readline())
        self._meanwhile: Future[None] | None = None
        self._watchdog = threading.Timer(SECONDS, self._send, [signal.SIGKILL])
        self._watchdog.start()

    def interrupt(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Kills it, or stops it for as long as `meanwhile` takes."""
        self._send(signal.SIGSTOP if meanwhile else signal.SIGKILL)
        if meanwhile:
            self._meanwhile = _THREADS.submit(self._go_on_after, meanwhile)

    def _go_on_after(self, meanwhile: Callable[[], None]) -> None:
        try:
            meanwhile()
        finally:
            self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)

    def result(self) -> Any:
        """None if it was killed or failed."""
        found: Any = None
        while (line := self._lines.readline()) != "ended\n":
            assert line, "the process of the instances has ended"
            found = json.loads(line)
        if self._meanwhile:
            self._meanwhile.result(SECONDS)
        self._watchdog.cancel()
        return found


class Instances:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._running: SimpleQueue[Run] = SimpleQueue()

    def run(self, work: Work) -> Any:
        """The result, None if the work was killed, by `interrupt_running` in another thread."""
        assert self._process.stdin
        self._process.stdin.write(pickle.dumps(work).hex() + "\n")
        self._process.stdin.flush()
        run = Run(self._process.stdout)
        self._running.put(run)
        result = run.result()
        with contextlib.suppress(Empty):  # otherwise `interrupt_running` has taken it
            self._running.get_nowait()
        return result

    def answer(self, work: Work) -> Answered:
        """The response of the HTTP service, `KILLED` without one."""
        result = self.run(work)
        return KILLED if result is None else Answered(*result)

    def interrupt_running(self, meanwhile: Callable[[], None] | None = None) -> None:
        """As `interrupt`, for what runs, once it does."""
        self._running.get(timeout=SECONDS).interrupt(meanwhile)


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
