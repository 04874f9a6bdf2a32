"""What the parts of a session with one sink share: the sink, its queue, its time, and why the session ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.lease import Lease
from ..core.cloud.oss import UNREACHABLE, StoreError
from ..core.cloud.oss_clock import OssClock
from ..core.errors import HandlerError
from ..core.outbox import REFUSED, Delivery
from . import timing
from .sending import Sending
from .sink_queue import SinkQueue
from .sinks import KINDS, Sink, SinkKind

Item = TypeVar("Item")
Result = TypeVar("Result")


class SessionEnded(Exception):
    """No further message is sent to the sink: it is down, the time is over, or what was sent cannot be marked."""

    def __init__(self, error: HandlerError) -> None:
        super().__init__(error.code)
        self.error = error


class SinkContext(NamedTuple):
    """One sink in one invocation. `seen` has the names of entries that were tried, and the ids of notices that failed.

    What was seen is left alone for the rest of the invocation.
    """

    sending: Sending
    sink: Sink
    queue: SinkQueue
    seen: set[str]

    @property
    def kind(self) -> SinkKind:
        return KINDS[self.sink.kind]

    @property
    def clock(self) -> OssClock:
        return self.sending.state.clock

    def fail(
        self, delivery: Delivery, error: Exception, failed: str, *, accepts: bool = False
    ) -> None:
        """Lets a delivery that failed by itself wait by itself, or moves it to the dead letters.

        `accepts` says whether the sink accepted others. Raises `SessionEnded` where OSS cannot be reached.
        """
        if delivery.id:
            self.seen.add(delivery.id)
        code = self.sending.tally.fail(delivery.sink, error)
        if isinstance(error, StoreError):  # it stays where it is
            if error.code == UNREACHABLE:
                raise SessionEnded(error)
            return
        age = self.clock.earliest() - delivery.since
        is_refused = failed == delivery.failed == REFUSED and delivery.in_a_row >= timing.REFUSALS
        try:
            if age > self.sink.retry_for or (is_refused and accepts and age >= timing.REFUSED_FOR):
                self.sending.dead_letter(delivery, code)
            else:
                self.queue.postpone(delivery, failed)
        except StoreError as failure:
            self.fail(delivery, failure, failed, accepts=accepts)


class SessionTime(NamedTuple):
    """How long a session may send: until the invocation's `deadline` (of `clock.own.monotonic`), under a lease."""

    deadline: float
    clock: OssClock
    lease: Lease

    def left(self) -> float:
        """The seconds until the last try must begin."""
        return self.deadline - timing.TRY - self.clock.own.monotonic()

    def fault(self, more: float = 0.0) -> HandlerError | None:
        """Why a try, and `more` seconds, do not fit into the time, or a try not into the lease; None where they do."""
        try:
            if more <= self.left() and self.lease.has_time():
                return None
        except StoreError as error:
            return error
        return HandlerError(
            "There was no time for a message. It will be sent later.", code="out_of_time"
        )

    def check(self) -> None:
        """Raises `SessionEnded` unless a try fits."""
        fault = self.fault()
        if fault is not None:
            raise SessionEnded(fault)


def map_in_session(func: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """As `map_concurrently`; after the session ended in one call, no other begins."""
    ends: list[SessionEnded] = []

    def call(item: Item) -> Result:
        if ends:
            raise ends[0]
        try:
            return func(item)
        except SessionEnded as end:
            ends.append(end)
            raise

    return map_concurrently(call, items)
