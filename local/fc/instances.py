"""Instances of a function: worker processes that handle one request at a time, and the pool that leases them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..errors import LocalError
from .worker import read_frame, write_frame

_WORKER = Path(__file__).with_name("worker.py")


class InstanceTimedOut(LocalError):
    """The instance did not answer in time and was stopped."""


class InstanceExited(LocalError):
    """The instance ended without an answer: `sys.exit`, a crash, or because the stack was closed."""


class Instance:
    """A worker process. Not thread-safe: a pool leases it."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], log: IO[Any] | int | None = None
    ) -> None:
        """Starts the process; `log` receives what the function prints (default: this process's stderr)."""
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=dict(environment),
            # So that Ctrl-C at the terminal reaches the stack only, and `stop` reaches what the function starts.
            start_new_session=True,
        )

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def call(self, header: dict[str, Any], body: bytes, timeout: float) -> tuple[bool, bytes]:
        """Sends one frame and waits `timeout` seconds: True and the result, or False and the error as JSON.

        Raises `InstanceTimedOut` or `InstanceExited`; the process has ended then.
        """
        assert self._process.stdin is not None  # noqa: S101 - for mypy: both are pipes
        assert self._process.stdout is not None  # noqa: S101
        decided = threading.Lock()  # by the answer or by the timer, whichever takes it first

        def time_out() -> None:
            if decided.acquire(blocking=False):
                self.stop()

        timer = threading.Timer(timeout, time_out)
        timer.daemon = True
        timer.start()
        try:
            write_frame(self._process.stdin, header, body)
            answer = read_frame(self._process.stdout)
        except (OSError, ValueError):
            answer = None
        timer.cancel()
        is_late = not decided.acquire(blocking=False)
        if answer is not None and not is_late:
            return bool(answer[0]["ok"]), answer[1]
        self.stop()
        if is_late:
            raise InstanceTimedOut(f"The function did not answer within {timeout:g} seconds.")
        raise InstanceExited("The function's process ended before it answered.")

    def stop(self) -> None:
        """Kills the process and everything that it started."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def release(self) -> None:
        """Stops the process and closes its pipes; no call may be under way."""
        self.stop()
        for pipe in (self._process.stdin, self._process.stdout):
            # Closing flushes, and the process reads no more.
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


class Pool:
    """Up to `limit` instances of one function, started when all others are busy; further requests wait.

    `load` makes one that `start` returned ready for requests.
    """

    def __init__(
        self, start: Callable[[], Instance], load: Callable[[Instance], None], limit: int
    ) -> None:
        self._start = start
        self._load = load
        self._limit = limit
        self._changed = threading.Condition()
        self._idle: list[Instance] = []
        self._count = 0
        self._all: set[Instance] = set()
        self._generation = 0
        self._closed = False

    @contextmanager
    def lease(self) -> Iterator[Instance]:
        """An instance for one request. It is reused only if it is alive at the end and nothing was raised."""
        generation = self._generation  # before a start, during which files may change
        instance = self._take()
        reuse = False
        try:
            yield instance
            reuse = True
        finally:
            self._give_back(instance, generation, reuse)

    def processes(self) -> tuple[int, ...]:
        """The process ids of all instances."""
        with self._changed:
            return tuple(instance.process_id for instance in self._all)

    def renew(self) -> None:
        """Makes every further request use an instance that starts after this; busy instances finish their request."""
        with self._changed:
            idle = self._idle
            self._idle = []
            self._generation += 1
        for instance in idle:
            self._remove(instance)

    def close(self) -> None:
        """Stops every instance, also those that are busy or load."""
        with self._changed:
            self._closed = True
            idle = self._idle
            self._idle = []
            busy = self._all.difference(idle)
            self._changed.notify_all()
        for instance in busy:
            instance.stop()
        for instance in idle:
            self._remove(instance)

    def _take(self) -> Instance:
        with self._changed:
            while True:
                if self._closed:
                    raise InstanceExited("The stack is closing.")
                if self._idle:
                    instance = self._idle.pop()
                    if instance.is_alive:
                        return instance
                    self._remove(instance)
                if self._count < self._limit:
                    self._count += 1
                    break
                self._changed.wait()
        try:
            instance = self._start()
        except BaseException:
            self._remove(None)
            raise
        with self._changed:
            self._all.add(instance)
            closed = self._closed
        if closed:
            self._remove(instance)
            raise InstanceExited("The stack is closing.")
        try:
            self._load(instance)
        except BaseException:
            self._remove(instance)
            raise
        return instance

    def _give_back(self, instance: Instance, generation: int, reuse: bool) -> None:
        with self._changed:
            if reuse and not self._closed and generation == self._generation and instance.is_alive:
                self._idle.append(instance)
                self._changed.notify()
                return
        self._remove(instance)

    def _remove(self, instance: Instance | None) -> None:
        """Removes an instance, or with None one that could not be started, and lets a waiting request start another."""
        if instance is not None:
            instance.release()
        with self._changed:
            self._count -= 1
            if instance is not None:
                self._all.discard(instance)
            self._changed.notify()
