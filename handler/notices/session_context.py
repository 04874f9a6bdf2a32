"""What the parts of a session with one sink share: the sink, its queue, its time, and why the session ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.oss import UNREACHABLE, StoreError
from ..core.cloud.oss_clock import OssClock
from ..core.cloud.store import Store
from ..core.errors import HandlerError
from ..core.outbox import REFUSED, Delivery
from . import timing
from .sending import Sending
from .sink_queue import SinkQueue, sink_lease
from .sinks import KINDS, Sink, SinkKind

Item = TypeVar("Item")
Result = TypeVar("Result")


class SessionEnded(Exception):
    """No further message is sent to the sink: it is down, the time is over, or what was sent cannot be marked."""

    def __init__(self, error: HandlerError) -> None:
        super().__init__(error.code)
        self.error = error


class SessionTime:
    """How long a session may send: until the invocation's `deadline` (of `clock.own.monotonic`), under a lease."""

    def __init__(self, state: Store, sink: str, deadline: float) -> None:
        self._state = state
        self._sink = sink
        self._deadline = deadline
        self._lease = sink_lease(state, sink)

    def begin(self) -> bool:
        """Takes a new lease; False if another one holds it. Raises `StoreError`."""
        self._lease = sink_lease(self._state, self._sink)
        return self._lease.acquire()

    def end(self) -> None:
        """Lets others send."""
        self._lease.release()

    def is_ours(self) -> bool:
        """Whether nobody else may have sent since."""
        return self._lease.has_time(1.0 - timing.NEED)

    def left(self) -> float:
        """The seconds until the last try must begin."""
        return self._deadline - timing.TRY - self._state.clock.own.monotonic()

    def fault(self, more: float = 0.0) -> HandlerError | None:
        """Why a try, and `more` seconds, do not fit into the time, or a try not into the lease; None where they do."""
        try:
            if more <= self.left() and self._lease.has_time():
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


class SinkContext(NamedTuple):
    """One sink in one invocation, and its time.

    `seen` has the names of entries that were tried, and the ids of notices that failed: what is left alone for the rest
    of the invocation.
    """

    sending: Sending
    sink: Sink
    queue: SinkQueue
    time: SessionTime
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
        if isinstance(error, StoreError):
            self._leave(delivery, error)
            return
        code = self._note(delivery, error)
        age = self.clock.earliest() - delivery.since
        is_refused = failed == delivery.failed == REFUSED and delivery.in_a_row >= timing.REFUSALS
        try:
            if age > self.sink.retry_for or (is_refused and accepts and age >= timing.REFUSED_FOR):
                self.sending.dead_letter(delivery, code)
            else:
                self.queue.postpone(delivery, failed)
        except StoreError as fault:
            self._leave(delivery, fault)

    def _leave(self, delivery: Delivery, error: StoreError) -> None:
        """Leaves a delivery where it is. Raises `SessionEnded` where OSS cannot be reached."""
        self._note(delivery, error)
        if error.code == UNREACHABLE:
            raise SessionEnded(error)

    def _note(self, delivery: Delivery, error: Exception) -> str:
        """Notes that a delivery failed. Returns the code."""
        if delivery.id:
            self.seen.add(delivery.id)
        return self.sending.tally.fail(delivery.sink, error)


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
