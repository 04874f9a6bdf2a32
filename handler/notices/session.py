"""A session with a sink: what is due is sent while its lease is held, and each failure is remembered where it happened.

A delivery that fails by itself waits by itself, and a sink that takes no message is paused. Nothing else is remembered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from signer.common.listing import PAGE

from ..core.cloud.concurrency import THREADS, map_concurrently
from ..core.cloud.oss import StoreError
from ..core.errors import HandlerError
from ..core.outbox import NO_LINK, OBJECT, REFUSED, SINK, Delivery
from . import timing
from .linking import Linker
from .probe import Probe
from .session_context import SessionEnded, SinkContext, map_in_session
from .sink_queue import Pause
from .sinks import batches
from .sinks.base import DeliveryFailed
from .sinks.delivery import BY_MESSAGE, deliver

Message = tuple[Delivery, ...]


class Outcome(NamedTuple):
    """What became of a message: why the message failed, and where; and why the session ends. None: it does not."""

    failure: Exception | None = None
    failed: str = SINK
    end: HandlerError | None = None


class Due(NamedTuple):
    """What is due: what never failed, what failed at the sink, what its mount gave no link to, what has none itself.

    Where the last two may be many, some are chosen, so both are in random order.
    """

    fresh: list[Delivery]
    failed: list[Delivery]
    held: list[Delivery]
    unlinked: list[Delivery]

    def candidates(self) -> list[Delivery]:
        """What a paused sink is asked with, in random order: what it never takes would otherwise always come first."""
        fresh = random.sample(self.fresh, len(self.fresh))
        others = [*self.failed, *self.held[: timing.WITHOUT_LINK]]
        random.shuffle(others)
        return [*fresh, *others, *self.unlinked[: timing.WITHOUT_LINK]]


def sort_due(due: Iterable[Delivery]) -> Due:
    parts = Due(fresh=[], failed=[], held=[], unlinked=[])
    places = {"": parts.fresh, NO_LINK: parts.held, OBJECT: parts.unlinked}
    for each in due:
        places.get(each.failed, parts.failed).append(each)
    random.shuffle(parts.held)
    random.shuffle(parts.unlinked)
    return parts


class SinkSession:
    """What one sink gets in one invocation, under a lease for each list of what is due.

    `_accepted` counts messages, `_single_failures` are of notices that were sent alone, and `_size` is how many
    notices the next message may have.
    """

    def __init__(self, context: SinkContext, pause: Pause | None) -> None:
        self._context = context
        self._linker = Linker(context)
        self._probe = Probe(context, pause)
        self._lock = Lock()
        self._accepted = 0
        self._single_failures: list[DeliveryFailed] = []
        self._size = timing.FIRST_MESSAGE if pause is None else 1

    def send(self, deliveries: Sequence[Delivery]) -> bool:
        """Sends what was not sent yet. Returns whether to look for more. Raises why the sink takes nothing."""
        unique: dict[str, Delivery] = {}
        # A notice may wait twice, as after a kill: the second is left until the first is done.
        for each in deliveries:
            unique.setdefault(each.id or each.name, each)
        self._context.seen.update(each.name for each in unique.values())
        end: HandlerError | None = None
        try:
            self._send_due(list(unique.values()))
        except SessionEnded as ended:
            end = ended.error
        self._remember(deliveries, end)
        if end is not None and not (end.code == "out_of_time" and self._accepted):
            raise end
        removed = self._context.sending.tally.removed
        return end is None and any(not each.tries or each.path in removed for each in deliveries)

    def _send_due(self, due: list[Delivery]) -> None:
        """First what never failed, then what failed at the sink; of what had no link, little until one can be made."""
        parts = sort_due(due)
        if self._probe.pause is not None:
            self._check_marks()
            asked = self._probe.ask(parts.candidates(), self._send_alone)
            parts = sort_due(each for each in due if each.name not in asked)
        self._send_all(parts.fresh)
        self._send_all(parts.failed)
        if self._send_all(parts.held[: timing.WITHOUT_LINK]):
            self._send_all(parts.held[timing.WITHOUT_LINK :])
        self._send_all(parts.unlinked[: timing.WITHOUT_OBJECT])

    def _send_alone(self, delivery: Delivery) -> None:
        linked, _ = self._linker.link([delivery])
        self._send_messages(linked)

    def _send_all(self, deliveries: Iterable[Delivery]) -> bool:
        """Makes links, sends what has one, and so on. Returns whether any has."""
        waiting = deque(deliveries)
        any_linked = False
        while waiting:
            self._context.time.check()
            batch = [waiting.popleft() for _ in range(min(timing.LINKS, len(waiting)))]
            linked, left = self._linker.link(batch)
            waiting.extendleft(reversed(left))
            self._send_messages(linked)
            any_linked |= bool(linked)
        return any_linked

    def _send_messages(self, linked: list[Delivery]) -> None:
        if self._context.sink.kind == "webhook":
            single = [(each,) for each in linked if not each.notice.digest]
            map_in_session(self._send_message, single)
            linked = [each for each in linked if each.notice.digest]
        messages = deque(batches(self._context.kind, linked))
        while messages:
            message = messages.popleft()
            size = self._fitting_size()
            if len(message) > size:
                messages.appendleft(message[size:])
            messages.extendleft(reversed(self._send_message(message[:size])))

    def _fitting_size(self) -> int:
        """The notices of the next message: as many as can be marked in time."""
        left = self._context.time.left()
        size = self._size
        while size > 1 and self._linker.mark_time(size) > left:
            size //= 2
        return size

    def _send_message(self, message: Message) -> list[Message]:
        """Sends a message. Returns the halves to try of one that failed. Raises `SessionEnded`."""
        outcome = self._try(message)
        if self._context.kind.MIN_INTERVAL:  # also before another one may take the lease
            self._context.clock.own.sleep(self._context.kind.MIN_INTERVAL)
        middle = len(message) // 2
        if outcome.failure is not None and not middle:
            accepts = self._accepted > 0
            self._context.fail(message[0], outcome.failure, outcome.failed, accepts=accepts)
        if outcome.end is not None:
            raise SessionEnded(outcome.end)
        if outcome.failure is None or not middle:
            return []
        return [message[:middle], message[middle:]]

    def _try(self, message: Message) -> Outcome:
        """Sends a message once, and marks its notices where it was accepted."""
        is_probe = self._probe.is_open
        fault = self._context.time.fault(self._linker.mark_time(len(message)))
        if fault is not None:
            return Outcome(end=fault)
        sending = self._context.sending
        now = self._context.clock.earliest()
        began = self._context.clock.own.monotonic()
        try:
            deliver(self._context.kind, self._context.sink, message, sending.network, now)
        except DeliveryFailed as error:
            return self._refused(message, error, is_probe=is_probe)
        except HandlerError as error:
            return Outcome(end=error)
        except Exception as error:
            return Outcome(failure=error)
        seconds = self._context.clock.own.monotonic() - began
        return Outcome(end=self._mark_all(message, seconds))

    def _refused(self, message: Message, error: DeliveryFailed, *, is_probe: bool) -> Outcome:
        """What a failure means: for the size of messages, for this one, and for the session."""
        middle = len(message) // 2
        with self._lock:
            self._size = middle or self._size
            if not middle:
                self._single_failures.append(error)
            is_by_message = middle and self._accepted and error.code in BY_MESSAGE
            is_down = error.is_down and not is_by_message
            is_many = len(self._single_failures) >= timing.MAX_ALONE and not self._accepted
        # While nothing is accepted the sink is to blame, unless it was asked with this one alone.
        is_the_sinks = error.is_down and not self._accepted and not is_probe
        return Outcome(
            failure=None if is_the_sinks else error,
            failed=REFUSED if error.is_refused else SINK,
            end=error if is_down or is_probe or is_many else None,
        )

    def _mark_all(self, message: Message, seconds: float) -> HandlerError | None:
        """Marks the notices of a message that was accepted after so many seconds. Returns why the session ends."""
        with self._lock:
            if 2 * seconds < timing.TRY:  # otherwise twice as many may be too many
                self._size = max(self._size, 2 * len(message))
            self._accepted += 1
            self._probe.close()
        end: HandlerError | None = None
        for start in range(0, len(message), THREADS):
            # Where the time is over, another one may send now: this one only marks.
            faults = [self._context.time.fault()]
            faults += map_concurrently(self._mark, message[start : start + THREADS])
            end = next((fault for fault in reversed(faults) if fault is not None), end)
        return end

    def _mark(self, delivery: Delivery) -> StoreError | None:
        """Marks a notice as sent. Returns why it is not."""
        tally = self._context.sending.tally
        try:
            self._context.queue.mark_done(delivery)
            tally.remove(delivery, "sent")
        except StoreError as error:
            tally.add("not_marked")
            tally.add("sent")
            return error
        return None

    def _check_marks(self) -> None:
        """Raises `SessionEnded` where no mark can be written."""
        try:
            self._context.queue.check_marks()
        except StoreError as error:
            raise SessionEnded(error) from None

    def _remember(self, deliveries: Sequence[Delivery], end: HandlerError | None) -> None:
        """Remembers whether the sink takes messages."""
        if not self._context.time.is_ours():  # another one may know better
            return
        is_unmarked = isinstance(end, StoreError) and self._accepted
        all_refused = all(error.is_refused for error in self._single_failures)
        if isinstance(end, DeliveryFailed):
            self._probe.lengthen(end.retry_after)
            self._set_aside(deliveries, end)
        elif is_unmarked or (not self._accepted and not all_refused):
            self._probe.lengthen(0.0)
        else:
            self._probe.lift()

    def _set_aside(self, deliveries: Sequence[Delivery], end: DeliveryFailed) -> None:
        """Moves what waited too long to the dead, and a page of which the sink takes nothing behind what follows."""
        sending = self._context.sending
        sending.dead_letter_overdue(deliveries, self._context.sink.retry_for, end.code)
        others = deliveries if end.is_refused and len(deliveries) >= PAGE else []
        seen = self._context.seen
        fresh = [each for each in others if not each.failed and each.id not in seen]
        sending.move_in_time(lambda each: self._context.queue.postpone(each, SINK), fresh)
