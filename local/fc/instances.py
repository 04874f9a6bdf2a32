"""Instances of a function: worker processes, each with one request at a time, and the pool that leases them."""

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
    """The instance did not answer in time; it is ended."""


class InstanceExited(LocalError):
    """The instance ended without an answer: `sys.exit`, a crash, or the stack's own end."""


class Instance:
    """A worker process. Not for two threads at once: a pool leases it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: IO[Any] | int | None = None) -> None:
        """Starts the process; `log` is where what the function prints goes (default: this process's stderr)."""
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=dict(environment),
            # A Ctrl-C at the terminal is for the stack alone, and what the function starts ends with it.
            start_new_session=True,
        )

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, header: dict[str, Any], body: bytes, timeout: float) -> tuple[bool, bytes]:
        """Sends one frame and waits `timeout` seconds: whether it went well, and the result or the error's JSON.

        Raises `InstanceTimedOut` or `InstanceExited`; the process is gone then.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The answer and the timer race: whichever has the lock first decides.
        decision = threading.Lock()
        decided: list[str] = []

        def stop() -> None:
            with decision:
                if not decided:
                    decided.append("late")
                    self.end()

        timer = threading.Timer(timeout, stop)
        timer.daemon = True
        timer.start()
        try:
            write_frame(self._process.stdin, header, body)
            answer = read_frame(self._process.stdout)
        except (OSError, ValueError):
            answer = None
        timer.cancel()
        with decision:
            if not decided:
                decided.append("in time")
        if answer is not None and decided == ["in time"]:
            return bool(answer[0]["ok"]), answer[1]
        self.end()
        if decided == ["late"]:
            raise InstanceTimedOut(f"The function did not answer within {timeout:g} seconds.")
        raise InstanceExited("The function's process ended before it answered.")

    def end(self) -> None:
        """Ends the process and all that it started."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Ends the process and closes its pipes; nobody may be asking it."""
        self.end()
        for pipe in (self._process.stdin, self._process.stdout):
            # What was not read by the process any more cannot be flushed.
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


class Pool:
    """Up to `limit` instances of one function, started when all others are busy; further requests wait."""

    def __init__(self, start: Callable[[], Instance], limit: int) -> None:
        self._start = start
        self._limit = limit
        self._changed = threading.Condition()
        self._idle: list[Instance] = []
        self._count = 0
        self._all: set[Instance] = set()
        self._closed = False

    @contextmanager
    def lease(self) -> Iterator[Instance]:
        """An instance for one request. It is kept only if it lives at the end and nothing was raised."""
        instance = self._take()
        keep = False
        try:
            yield instance
            keep = True
        finally:
            self._give_back(instance, keep)

    def processes(self) -> tuple[int, ...]:
        """The process ids of all instances."""
        with self._changed:
            return tuple(instance.process_id for instance in self._all)

    def close(self) -> None:
        """Ends every instance, also those that are busy."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = self._all.difference(idle)
            self._changed.notify_all()
        for instance in busy:
            instance.end()
        for instance in idle:
            self._forget(instance)

    def _take(self) -> Instance:
        with self._changed:
            while True:
                if self._closed:
                    raise InstanceExited("The stack is ending.")
                if self._idle:
                    instance = self._idle.pop()
                    if instance.is_alive:
                        return instance
                    instance.release()
                    self._all.discard(instance)
                    self._count -= 1
                if self._count < self._limit:
                    self._count += 1
                    break
                self._changed.wait()
        try:
            instance = self._start()
        except BaseException:
            self._forget(None)
            raise
        with self._changed:
            self._all.add(instance)
            closed = self._closed
        if closed:
            self._forget(instance)
            raise InstanceExited("The stack is ending.")
        return instance

    def _give_back(self, instance: Instance, keep: bool) -> None:
        with self._changed:
            if keep and not self._closed and instance.is_alive:
                self._idle.append(instance)
                self._changed.notify()
                return
        self._forget(instance)

    def _forget(self, instance: Instance | None) -> None:
        if instance is not None:
            instance.release()
        with self._changed:
            self._count -= 1
            if instance is not None:
                self._all.discard(instance)
            self._changed.notify()
