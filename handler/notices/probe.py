"""A paused sink: it is asked with one notice after the other, until it accepts one or the session ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.outbox import Delivery
from . import timing
from .session_context import SinkContext
from .sink_queue import Pause


class Probe:
    """Asks a sink that is paused, and remembers how long it is left alone, in the state prefix.

    `pause` is what its last failure left, None after a success. `is_open` says that the sink has not accepted any
    message yet since then.
    """

    def __init__(self, context: SinkContext, pause: Pause | None) -> None:
        self.pause = pause
        self.is_open = pause is not None
        self._context = context
        self._asked: Delivery | None = None

    def ask(self, candidates: Iterable[Delivery], send: Callable[[Delivery], None]) -> set[str]:
        """Sends notices alone until the sink accepts one. Returns the names of their entries."""
        asked = set[str]()
        for each in candidates:
            if not self.is_open:
                break
            self._asked = each
            asked.add(each.name)
            send(each)
        return asked

    def close(self) -> None:
        """The sink has accepted a message."""
        self.is_open = False

    def lengthen(self, retry_after: float) -> None:
        """Pauses the sink after a failure: for longer after each, and for what it asks for (seconds)."""
        before = self.pause.failures if self.pause is not None and self.is_open else 0
        # What failed before says little about the sink.
        failures = max(1, before + (self._asked is None or not self._asked.failed))
        seconds = max(timing.PAUSES[:failures][-1], min(int(retry_after), timing.MAX_RETRY_AFTER))
        until = int(self._context.clock.earliest()) + seconds
        self._context.queue.put_pause(Pause(until, failures))

    def lift(self) -> None:
        """Ends the pause, if the sink has accepted a message."""
        if self.pause is not None and not self.is_open:
            self._context.queue.lift_pause()
            self.pause = None
