"""Asynchronous invocations: queued, run and retried as Function Compute does; and the timers that start some.

An event that fails after its last retry would go to the failure destination; here it goes to the log and `failures`.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from signer.emulator.oss import CreatedObject
from signer.emulator.ram import ACCOUNT
from signer.times import rfc3339

from ..errors import LocalError
from . import oss_events
from .functions import Function, Trigger
from .invocation import new_request_id
from .runtime import UNHANDLED, Outcome, Runtime, write_line
from .schedule import schedule

WORKERS = 4
BACKOFF = 1.0  # seconds before the first retry, doubled before each further one


class AsyncInvocation(NamedTuple):
    """One event in the queue; `retry_count` says how often it was retried so far."""

    function: Function
    event: bytes
    request_id: str
    retry_count: int = 0


class Dispatcher:
    """Runs events in the background, up to `WORKERS` at once, until it is closed."""

    def __init__(
        self,
        runtime: Runtime,
        functions: tuple[Function, ...],
        *,
        log: IO[Any] | int | None = None,
        backoff: float = BACKOFF,
    ) -> None:
        """Raises `InvalidSchedule` for a timer's cron expression."""
        self.failures: list[dict[str, Any]] = []
        self._runtime = runtime
        self._functions = tuple(function for function in functions if function.runs_locally)
        self._log = log
        self._backoff = backoff
        self._queue: queue.SimpleQueue[AsyncInvocation | None] = queue.SimpleQueue()
        self._pending = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        timers = [
            (function, trigger, schedule(str(trigger.config.get("cronExpression") or "")))
            for function in self._functions
            for trigger in function.triggers
            if trigger.kind == "timer" and trigger.config.get("enable") is True
        ]
        for timer in timers:
            threading.Thread(target=self._run_timer, args=timer, daemon=True).start()
        for _ in range(WORKERS):
            threading.Thread(target=self._work, daemon=True).start()

    def created(self, created: CreatedObject) -> None:
        """Submits the event of a new object to every function with a matching trigger."""
        for function in self._functions:
            for trigger in function.triggers:
                if oss_events.matches(trigger, created):
                    self.submit(
                        function, oss_events.object_created(function, trigger, created, time.time())
                    )

    def submit(self, function: Function, event: bytes) -> str:
        """Queues an invocation and returns its request id, which its retries keep."""
        invocation = AsyncInvocation(function, event, new_request_id())
        with self._changed:
            self._pending += 1
        self._queue.put(invocation)
        return invocation.request_id

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is queued or running; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, timeout)

    def close(self) -> None:
        """Starts no further invocations. Those that run are stopped by `Runtime.close`."""
        self._closed.set()
        for _ in range(WORKERS):
            self._queue.put(None)

    def _work(self) -> None:
        while (invocation := self._queue.get()) is not None:
            name = invocation.function.name
            try:
                outcome = self._runtime.invoke(
                    name,
                    invocation.event,
                    request_id=invocation.request_id,
                    retry_count=invocation.retry_count,
                )
            except LocalError as error:
                write_line(self._log, f"local: {name}: {error}")
                self._done()
                continue
            except (OSError, RuntimeError) as error:
                # The system has no process, thread or file left for the function, but may have one later.
                write_line(self._log, f"local: {name} could not be started: {error}")
                payload = json.dumps(
                    {"errorMessage": str(error), "errorType": type(error).__name__}
                ).encode()
                outcome = Outcome(invocation.request_id, payload, UNHANDLED)
            self._settle(invocation, outcome)

    def _settle(self, invocation: AsyncInvocation, outcome: Outcome) -> None:
        if outcome.error_type is None or self._closed.is_set():
            self._done()
        elif invocation.retry_count < invocation.function.retries:
            retry = invocation._replace(retry_count=invocation.retry_count + 1)
            call_later(self._backoff * 2**invocation.retry_count, lambda: self._queue.put(retry))
        else:
            self._report_failure(invocation, outcome)
            self._done()

    def _report_failure(self, invocation: AsyncInvocation, outcome: Outcome) -> None:
        function = invocation.function
        attempts = invocation.retry_count + 1
        failure = {
            "timestamp": int(time.time() * 1000),
            "requestContext": {
                "requestId": invocation.request_id,
                "functionArn": f"acs:fc:{function.region}:{ACCOUNT}:functions/{function.name}",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": invocation.event.decode("utf-8", "replace"),
            "responseContext": {"statusCode": 200, "functionError": outcome.error_type},
            "responsePayload": outcome.payload.decode("utf-8", "replace"),
        }
        self.failures.append(failure)
        destination = function.destinations.get("onFailure") or "not configured"
        times = "once" if attempts == 1 else f"{attempts} times"
        report = f"Failure destination ({destination}): {json.dumps(failure)}"
        write_line(self._log, f"local: {function.name} failed {times}. {report}")

    def _run_timer(
        self, function: Function, trigger: Trigger, next_tick: Callable[[float], float | None]
    ) -> None:
        tick = next_tick(time.time())
        while tick is not None and not self._closed.wait(max(tick - time.time(), 0)):
            event = {
                "triggerTime": rfc3339(tick),
                "triggerName": trigger.name,
                "payload": str(trigger.config.get("payload") or ""),
            }
            self.submit(function, json.dumps(event, ensure_ascii=False).encode())
            tick = next_tick(tick)
            now = time.time()
            # After the clock has jumped ahead, or the laptop has slept, the ticks in between are left out.
            if tick is not None and tick < now:
                tick = next_tick(now)

    def _done(self) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()


def call_later(seconds: float, function: Callable[[], None]) -> None:
    """Calls `function` after a pause, unless the process ends before."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
