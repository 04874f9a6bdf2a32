"""What the sessions of one invocation with its sinks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from threading import Lock

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.store import Store, state_for
from ..core.context import Invocation
from ..core.keys import Keys, current
from ..core.outbox import Delivery
from .issuer import LinkIssuer
from .sink_queue import SinkQueue
from .sinks.client import Network
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

    def dead_letter(self, delivery: Delivery, code: str) -> None:
        """Moves an entry to the dead, unless its notice was sent."""
        if not self.is_repeated(delivery):
            is_moved = self.queue(delivery.sink).dead_letter(delivery, code)
            self.tally.remove(delivery, dead=code if is_moved else "")

    def dead_letter_overdue(
        self, deliveries: Iterable[Delivery], retry_for: float, code: str
    ) -> None:
        """Moves what still waits after `retry_for` seconds to the dead, as long as there is time."""
        now = self.state.clock.earliest()
        overdue = [
            each
            for each in deliveries
            if now - each.since > retry_for and each.path not in self.tally.removed
        ]
        self.move_in_time(lambda each: self.dead_letter(each, code), overdue)

    def move_in_time(
        self, move: Callable[[Delivery], None], deliveries: Iterable[Delivery]
    ) -> None:
        clock = self.invocation.instance.clock
        map_concurrently(
            lambda each: move(each) if clock.monotonic() < self.deadline else None, deliveries
        )
