"""A session with a sink: what is due is sent while its lease is held, and each failure is remembered where it happened.

A delivery that fails alone waits by itself, and a sink that takes no message is paused. Nothing else is remembered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from math import ceil
from secrets import token_hex
from threading import Lock

from ..core.cloud.concurrency import THREADS, map_concurrently
from ..core.cloud.lease import Lease
from ..core.cloud.oss import UNREACHABLE, StoreError
from ..core.cloud.store import PAGE, Store, state_for
from ..core.context import Invocation
from ..core.errors import HandlerError
from ..core.keys import Keys, current
from ..core.outbox import NO_LINK, REFUSED, SINK, Delivery
from . import timing
from .issuer import LinkIssuer
from .sink_queue import UNREADABLE, Pause, SinkQueue
from .sinks import KINDS, Sink, batches
from .sinks.base import DeliveryFailed
from .sinks.client import Network
from .sinks.delivery import BY_MESSAGE, deliver
from .tally import Tally


class Sending:
    """What the sessions of one invocation share; `deadline` is of the instance's `clock.monotonic`."""

    def __init__(self, invocation: Invocation, network: Network, deadline: float) -> None:
        self.invocation = invocation
        self.network = network
        self.deadline = deadline
        self.issuer = LinkIssuer(invocation)
        self.tally = Tally()
        self._lock = Lock()

    @cached_property
    def state(self) -> Store:
        """Raises `state_required`, `no_credentials` and the like."""
        return state_for(self.invocation)

    def keys(self) -> Keys:
        """Raises a `HandlerError` also where claims do not work, without which no lease would."""
        with self._lock:  # one thread asks, the others find it remembered
            self.state.probe(self.invocation.now)
            return current.current_keys(self.invocation)

    def queue(self, sink: str) -> SinkQueue:
        return SinkQueue(self.state, sink)

    def is_repeated(self, delivery: Delivery) -> bool:
        """Whether the notice was sent; then the entry is deleted."""
        queue = self.queue(delivery.sink)
        is_done = queue.is_done(delivery)
        if is_done:
            queue.delete(delivery)
            self.tally.remove(delivery, "repeated")
        return is_done

    def bury(self, delivery: Delivery, code: str) -> None:
        """Moves an entry to the dead, unless its notice was sent."""
        if not self.is_repeated(delivery):
            is_moved = self.queue(delivery.sink).bury(delivery, code)
            self.tally.remove(delivery, dead=code if is_moved else "")

    def bury_overdue(self, deliveries: Iterable[Delivery], retry_for: float, code: str) -> None:
        """Moves what still waits after `retry_for` seconds to the dead, as long as there is time."""
        now = self.state.clock.earliest()
        overdue = [
            each
            for each in deliveries
            if now - each.since > retry_for and each.path not in self.tally.removed
        ]
        self.move_in_time(lambda each: self.bury(each, code), overdue)

    def move_in_time(
        self, move: Callable[[Delivery], None], deliveries: Iterable[Delivery]
    ) -> None:
        clock = self.invocation.instance.clock
        map_concurrently(
            lambda each: move(each) if clock.monotonic() < self.deadline else None, deliveries
        )


class SinkSession:
    """What one sink gets in one invocation, under a lease for each list of what is due.

    `handled` are the names of entries, and the ids of notices that failed: they are left alone for the rest of the
    invocation. `pause` is what the last failure of the sink left, None after a success.
    """

    def __init__(self, sending: Sending, sink: Sink, pause: Pause | None) -> None:
        self.handled: set[str] = set()
        self._sending = sending
        self._sink = sink
        self._kind = KINDS[sink.kind]
        self._pause = pause
        self._queue = sending.queue(sink.name)
        self._clock = sending.state.clock
        self._tally = sending.tally
        self._lease: Lease
        self._lock = Lock()
        # What changes: messages that were accepted; what failed alone; notices that the next message may have; seconds
        # that OSS needs for a link; what the trial was made with; why no message is sent any more.
        self._accepted = 0
        self._alone: list[DeliveryFailed] = []
        self._size = timing.FIRST_MESSAGE if pause is None else 1
        self._link_time = 0.0
        self._trial: Delivery | None = None
        self._end: HandlerError | None = None

    @property
    def _is_on_trial(self) -> bool:
        return self._pause is not None and not self._accepted

    def send(self, lease: Lease, deliveries: Sequence[Delivery]) -> bool:
        """Sends what was not sent yet. Returns whether to look for more. Raises why the sink takes nothing."""
        self._lease = lease
        self._end = None
        unique: dict[str, Delivery] = {}
        for each in (
            deliveries
        ):  # a notice may wait twice, as after a kill: the second is left until the first is done
            unique.setdefault(each.id or each.name, each)
        self.handled |= {each.name for each in unique.values()}
        try:
            if self._pause is not None:
                self._queue.check_marks()
            self._send_due(list(unique.values()))
        except HandlerError as error:
            self._end = self._end or error
        self._remember(deliveries)
        if self._end is not None and not (self._end.code == "out_of_time" and self._accepted):
            raise self._end
        return self._end is None and any(
            not each.tries or each.path in self._tally.removed for each in deliveries
        )

    def _send_due(self, due: list[Delivery]) -> None:
        """First what never failed, then what failed at the sink; of what had no link, little until one can be made."""
        fresh = [each for each in due if not each.failed]
        failed = [each for each in due if each.failed in (REFUSED, SINK)]
        unlinked = sorted(
            (each for each in due if each.failed == NO_LINK), key=lambda each: -each.since
        )
        # What it does not take may all come first.
        for each in random.sample(fresh, len(fresh)) + failed + unlinked[: timing.WITHOUT_LINK]:
            if not self._is_on_trial or self._end is not None:
                break
            self._trial = each
            next(group for group in (fresh, failed, unlinked) if each in group).remove(each)
            self._send_messages(self._linked([each])[0])
        self._send_all(fresh)
        self._send_all(failed)
        if self._send_all(unlinked[: timing.WITHOUT_LINK]):
            self._send_all(unlinked[timing.WITHOUT_LINK :])

    def _send_all(self, deliveries: Iterable[Delivery]) -> bool:
        """Makes links, sends what has one, and so on. Returns whether any has."""
        waiting = deque(deliveries)
        any_linked = False
        while waiting and self._end is None:
            self._check_time(0)
            linked, left = self._linked(
                [waiting.popleft() for _ in range(min(timing.LINKS, len(waiting)))]
            )
            waiting.extendleft(reversed(left))
            self._send_messages(linked)
            any_linked |= bool(linked)
        return any_linked

    def _linked(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """What has its link, and what is left after half of the time, so that messages can be sent."""
        own = self._clock.own
        began = own.monotonic()
        until = began + max(0.0, self._sending.deadline - timing.TRY - began) / 2
        prepared = map_concurrently(
            lambda each: self._prepare(each) if own.monotonic() <= until else each, deliveries
        )
        linked = [each for each in prepared if each is not None and each.link.path]
        if linked:
            self._link_time = (own.monotonic() - began) * min(THREADS, len(linked)) / len(linked)
        return linked, [each for each in prepared if each is not None and not each.link.path]

    def _prepare(self, delivery: Delivery) -> Delivery | None:
        """A delivery with its link, None where nothing is to be sent now."""
        if self._end is not None:
            return None
        self._check_time(0)
        try:
            found = self._queue.read(delivery)
            if found is None:  # sent and deleted since it was listed
                self._tally.remove(delivery)
            elif not found.notice.on or not found.id:
                self._sending.bury(delivery, UNREADABLE)
            elif (
                link := self._sending.issuer.link(found.notice)
            ) is None:  # the object was deleted since
                self._queue.delete(delivery)
                self._tally.remove(delivery)
                self._tally.skip("unlinkable")
            else:
                linked = found._replace(link=link)
                self._kind.encoded_size(
                    linked
                )  # what cannot be shown is found here, and blocks no message
                return None if self._sending.is_repeated(delivery) else linked
        except Exception as error:
            self._fail(delivery, error, NO_LINK)
        return None

    def _send_messages(self, linked: list[Delivery]) -> None:
        if self._sink.kind == "webhook":
            map_concurrently(
                self._send_message, [(each,) for each in linked if not each.notice.digest]
            )
            linked = [each for each in linked if each.notice.digest]
        messages = deque(batches(self._kind, linked))
        while messages and self._end is None:
            message = messages.popleft()
            size = self._fitting_size()
            if len(message) > size:
                messages.appendleft(message[size:])
            messages.extendleft(reversed(self._send_message(message[:size])))

    def _mark_time(self, number: int) -> float:
        """Seconds that so many marks take: two requests each, of which a link has one at least."""
        return ceil(number / THREADS) * 2 * self._link_time

    def _fitting_size(self) -> int:
        """The notices of the next message: as many as can be marked in time."""
        left = self._sending.deadline - timing.TRY - self._clock.own.monotonic()
        size = self._size
        while size > 1 and self._mark_time(size) > left:
            size //= 2
        return size

    def _send_message(self, message: tuple[Delivery, ...]) -> list[tuple[Delivery, ...]]:
        """Sends a message, unless the session has ended. Returns the halves to try of one that failed."""
        if self._end is not None:
            return []
        is_trial = self._is_on_trial
        failed = SINK
        middle = len(message) // 2
        failure: Exception | None = None
        began = self._clock.own.monotonic()
        try:
            self._check_time(self._mark_time(len(message)))
            deliver(self._kind, self._sink, message, self._sending.network, self._clock.earliest())
        except DeliveryFailed as error:
            # While nothing is accepted the sink is to blame, unless it was asked with this one alone.
            failure = None if error.is_down and not self._accepted and not is_trial else error
            failed = REFUSED if error.is_refused else SINK
            with self._lock:
                self._size = middle or self._size
                self._alone += [error][middle:]
                is_down = error.is_down and not (
                    middle and self._accepted and error.code in BY_MESSAGE
                )
                if (
                    is_down
                    or is_trial
                    or (len(self._alone) >= timing.MAX_ALONE and not self._accepted)
                ):
                    self._end = error
        except HandlerError as error:
            self._end = error
        except Exception as error:
            failure = error
        else:
            self._accept(message, self._clock.own.monotonic() - began)
        if self._kind.MIN_INTERVAL:  # also before another one may take the lease
            self._clock.own.sleep(self._kind.MIN_INTERVAL)
        if failure is not None and not middle:
            self._fail(message[0], failure, failed)
        return [message[:middle], message[middle:]] if failure is not None and middle else []

    def _accept(self, message: tuple[Delivery, ...], seconds: float) -> None:
        with self._lock:
            if 2 * seconds < timing.TRY:  # otherwise twice as many may be too many
                self._size = max(self._size, 2 * len(message))
            self._accepted += 1
        for start in range(0, len(message), THREADS):
            try:
                self._check_time(0)
            except HandlerError as error:  # another one may send now: this one only marks
                self._end = error
            map_concurrently(self._mark, message[start : start + THREADS])

    def _mark(self, delivery: Delivery) -> None:
        try:
            self._queue.mark_done(delivery)
            self._tally.remove(delivery, "sent")
        except StoreError as error:
            self._tally.add("not_marked")
            self._tally.add("sent")
            self._end = error

    def _check_time(self, more: float) -> None:
        """Raises `out_of_time` unless a try, and `more` seconds, fit into the time, and a try into the lease."""
        if (
            self._clock.own.monotonic() + timing.TRY + more > self._sending.deadline
            or not self._lease.has_time()
        ):
            raise HandlerError(
                "There was no time for a message. It will be sent later.", code="out_of_time"
            )

    def _fail(self, delivery: Delivery, error: Exception, failed: str) -> None:
        """Lets a delivery that failed alone wait by itself, or moves it to the dead."""
        if delivery.id:
            self.handled.add(delivery.id)
        code = self._tally.fail(delivery.sink, error)
        age = self._clock.earliest() - delivery.since
        is_refused = failed == delivery.failed == REFUSED and delivery.tries >= timing.REFUSALS
        try:
            if isinstance(error, StoreError):  # it stays where it is
                self._end = error if error.code == UNREACHABLE else self._end
            elif age > self._sink.retry_for or (
                is_refused and self._accepted and age >= timing.REFUSED_FOR
            ):
                self._sending.bury(delivery, code)
            else:
                self._queue.postpone(delivery, failed)
        except StoreError as failure:
            self._fail(delivery, failure, failed)

    def _remember(self, deliveries: Sequence[Delivery]) -> None:
        """Remembers whether the sink takes messages."""
        if not self._lease.has_time(1.0 - timing.NEED):  # another one may know better
            return
        end = self._end
        is_down = isinstance(end, DeliveryFailed) or (
            isinstance(end, StoreError) and self._accepted
        )  # no marks
        if is_down or (not self._accepted and not all(error.is_refused for error in self._alone)):
            before = self._pause.failures if self._pause is not None and self._is_on_trial else 0
            # What failed before says little about the sink.
            failures = max(1, before + (self._trial is None or not self._trial.failed))
            seconds = max(
                timing.PAUSES[:failures][-1],
                min(int(getattr(end, "retry_after", 0)), timing.MAX_RETRY_AFTER),
            )
            self._queue.put_pause(Pause(int(self._clock.earliest()) + seconds, failures))
        elif self._pause is not None and self._accepted:
            self._queue.lift_pause()
            self._pause = None
        if isinstance(end, DeliveryFailed):
            self._sending.bury_overdue(deliveries, self._sink.retry_for, end.code)
            # What it takes may wait behind the page.
            others = deliveries if end.is_refused and len(deliveries) >= PAGE else []
            fresh = [each for each in others if not each.failed and each.id not in self.handled]
            self._sending.move_in_time(lambda each: self._queue.postpone(each, SINK), fresh)


def sink_lease(state: Store, name: str) -> Lease:
    return Lease(state, f"lease/{name}/", timing.SLOT, timing.NEED, token_hex(12).encode())
