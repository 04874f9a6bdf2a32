"""Asynchronous invocations: queued, run, and tried again as Function Compute does; and the timers that start some.

What still fails after its last try would go to the failure destination; here it stands in the log and in `failures`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from ..errors import LocalError
from ..oss import CreatedObject
from . import oss_events
from .functions import Function, Trigger
from .invocation import new_request_id
from .runtime import Outcome, Runtime
from .s_yaml import ACCOUNT_ID
from .schedule import schedule

WORKERS = 4
BACKOFF = 1.0  # seconds before the first retry, doubled before each further one


@dataclass(frozen=True)
class Asked:
    """One asynchronous invocation; `tried` is how often it ran."""

    function: Function
    event: bytes
    request_id: str
    tried: int = 0


class Dispatcher:
    """Runs events in the background, up to a few at once, until it is closed."""

    def __init__(
        self,
        runtime: Runtime,
        functions: tuple[Function, ...],
        *,
        log: IO[Any] | int | None = None,
        backoff: float = BACKOFF,
    ) -> None:
        """Raises `BadSchedule` for a timer whose expression is none."""
        self.failures: list[dict[str, Any]] = []
        self._runtime = runtime
        self._functions = tuple(function for function in functions if function.runs_here)
        self._log = log
        self._backoff = backoff
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._pending = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._timers: list[threading.Thread] = []
        for function in self._functions:
            for trigger in function.triggers:
                if trigger.kind == "timer" and trigger.config.get("enable") is True:
                    following = schedule(str(trigger.config.get("cronExpression") or ""))
                    self._timers.append(
                        threading.Thread(target=self._tick, args=(function, trigger, following), daemon=True)
                    )
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for thread in (*workers, *self._timers):
            thread.start()

    def created(self, created: CreatedObject) -> None:
        """Makes an event of a new object for every function whose trigger means it."""
        for function in self._functions:
            for trigger in function.triggers:
                if oss_events.is_meant(trigger, created):
                    self.submit(function, oss_events.event_of(function, trigger, created, time.time()))

    def submit(self, function: Function, event: bytes) -> str:
        """Queues an invocation; its request id, which its retries keep."""
        asked = Asked(function, event, new_request_id())
        with self._changed:
            self._pending += 1
        self._queue.put(asked)
        return asked.request_id

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is queued or running; False where that takes longer (seconds)."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, timeout)

    def timers_end(self) -> None:
        """Waits for timers that have no tick left."""
        for thread in self._timers:
            thread.join()

    def close(self) -> None:
        """Starts nothing more. What runs ends with the runtime."""
        self._closed.set()
        for _ in range(WORKERS):
            self._queue.put(None)

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None:
            try:
                outcome = self._runtime.invoke(
                    asked.function.name, asked.event, request_id=asked.request_id, retry_count=asked.tried
                )
                self._settle(asked, outcome)
            except LocalError as error:
                self._say(f"local: {asked.function.name}: {error}")
                self._end()

    def _settle(self, asked: Asked, outcome: Outcome) -> None:
        if outcome.error_type is None or self._closed.is_set():
            self._end()
        elif asked.tried < asked.function.retries:
            delay = self._backoff * 2**asked.tried
            again = Asked(asked.function, asked.event, asked.request_id, asked.tried + 1)
            later(delay, lambda: self._queue.put(again))
        else:
            self._give_up(asked, outcome)
            self._end()

    def _give_up(self, asked: Asked, outcome: Outcome) -> None:
        function = asked.function
        record = {
            "timestamp": int(time.time() * 1000),
            "requestContext": {
                "requestId": asked.request_id,
                "functionArn": f"acs:fc:{function.region}:{ACCOUNT_ID}:functions/{function.name}",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": asked.tried + 1,
            },
            "requestPayload": asked.event.decode("utf-8", "replace"),
            "responseContext": {"statusCode": 200, "functionError": outcome.error_type},
            "responsePayload": outcome.payload.decode("utf-8", "replace"),
        }
        self.failures.append(record)
        where = function.failure_destination or "none is configured"
        what = f"{function.name} failed {asked.tried + 1} times; for its failure destination ({where})"
        self._say(f"local: {what}: {json.dumps(record)}")

    def _tick(self, function: Function, trigger: Trigger, following: Callable[[float], float | None]) -> None:
        moment = following(time.time())
        while moment is not None and not self._closed.wait(max(moment - time.time(), 0)):
            event = {
                "triggerTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
                "triggerName": trigger.name,
                "payload": str(trigger.config.get("payload") or ""),
            }
            self.submit(function, json.dumps(event, ensure_ascii=False).encode())
            moment = following(moment)

    def _end(self) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()

    def _say(self, line: str) -> None:
        target = self._log if self._log is not None else sys.stderr
        with suppress(OSError, ValueError):
            os.write(target if isinstance(target, int) else target.fileno(), f"{line}\n".encode())


def later(seconds: float, act: Callable[[], None]) -> None:
    """Does something after a pause, unless the process ends before."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
