"""The links of what is sent to a sink: made before its message, in half of the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ..core.cloud.concurrency import THREADS
from ..core.outbox import NO_LINK, OBJECT, Delivery
from .issuer import is_of_mount
from .session_context import SinkContext, map_in_session
from .sink_queue import UNREADABLE


class Linker:
    """Reads deliveries and makes their links; it remembers how many seconds OSS needed for a request."""

    def __init__(self, context: SinkContext) -> None:
        self._context = context
        self._request_time = 0.0

    def link(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """What has its link, and what is left after half of the time, so that messages can be sent.

        Raises `SessionEnded`.
        """
        time = self._context.time
        own = self._context.clock.own
        until = own.monotonic() + max(0.0, time.left()) / 2

        def prepare(delivery: Delivery) -> Delivery | None:
            if own.monotonic() > until:
                return delivery
            time.check()
            return self._prepare(delivery)

        prepared = map_in_session(prepare, deliveries)
        linked = [each for each in prepared if each is not None and each.link.path]
        return linked, [each for each in prepared if each is not None and not each.link.path]

    def mark_time(self, number: int) -> float:
        """Seconds that so many marks take: two requests each."""
        return ceil(number / THREADS) * 2 * self._request_time

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
            own = self._context.clock.own
            began = own.monotonic()
            is_repeated = sending.is_repeated(delivery)
            self._request_time = max(self._request_time, own.monotonic() - began)
            return None if is_repeated else linked
        except Exception as error:
            self._context.fail(delivery, error, NO_LINK if is_of_mount(error) else OBJECT)
        return None
