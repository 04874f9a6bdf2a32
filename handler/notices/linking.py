"""The links of what is sent to a sink: made before its message, in half of the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ..core.cloud.concurrency import THREADS
from ..core.outbox import NO_LINK, Delivery
from .session_context import SessionTime, SinkContext, map_in_session
from .sink_queue import UNREADABLE


class Linker:
    """Reads deliveries and makes their links; it remembers how many seconds OSS needs for one."""

    def __init__(self, context: SinkContext) -> None:
        self._context = context
        self._link_time = 0.0

    def link(
        self, deliveries: Sequence[Delivery], time: SessionTime
    ) -> tuple[list[Delivery], list[Delivery]]:
        """What has its link, and what is left after half of the time, so that messages can be sent.

        Raises `SessionEnded`.
        """
        own = time.clock.own
        began = own.monotonic()
        until = began + max(0.0, time.left()) / 2

        def prepare(delivery: Delivery) -> Delivery | None:
            if own.monotonic() > until:
                return delivery
            time.check()
            return self._prepare(delivery)

        prepared = map_in_session(prepare, deliveries)
        linked = [each for each in prepared if each is not None and each.link.path]
        if linked:
            self._link_time = (own.monotonic() - began) * min(THREADS, len(linked)) / len(linked)
        return linked, [each for each in prepared if each is not None and not each.link.path]

    def mark_time(self, number: int) -> float:
        """Seconds that so many marks take: two requests each, of which a link has one at least."""
        return ceil(number / THREADS) * 2 * self._link_time

    def _prepare(self, delivery: Delivery) -> Delivery | None:
        """A delivery with its link, None where nothing is to be sent now."""
        queue = self._context.queue
        sending = self._context.sending
        try:
            found = queue.read(delivery)
            if found is None:  # sent and deleted since it was listed
                sending.tally.remove(delivery)
                return None
            if not found.notice.on or not found.id:
                sending.dead_letter(delivery, UNREADABLE)
                return None
            link = sending.issuer.link(found.notice)
            if link is None:  # the object was deleted since
                queue.delete(delivery)
                sending.tally.remove(delivery)
                sending.tally.skip("unlinkable")
                return None
            linked = found._replace(link=link)
            # What cannot be shown is found here, and blocks no message.
            self._context.kind.encoded_size(linked)
            return None if sending.is_repeated(delivery) else linked
        except Exception as error:
            self._context.fail(delivery, error, NO_LINK)
        return None
