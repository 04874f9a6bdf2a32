"""One try to deliver a message to a sink, and what its failure means for the messages that follow."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime

from ...core.outbox import Delivery
from .base import SINK_REFUSED, DeliveryFailed, Sink, SinkKind, by_status
from .client import Network, NoResponse, send

# Statuses (RFC 9110) after which it may be the message or not, as after all others of servers.
UNCERTAIN = frozenset({408, 425})
# What looks like the sink, and may be a name in the message: a firewall refuses, resets or hangs.
BY_MESSAGE = frozenset({"status_403", "no_answer", "too_slow"})

_SECONDS = re.compile(r"[0-9]{1,9}")


def deliver(
    kind: SinkKind, sink: Sink, deliveries: tuple[Delivery, ...], network: Network, now: float
) -> None:
    """Sends one message once, at `now` (Unix seconds). Raises `DeliveryFailed`."""
    post = kind.post(sink, deliveries, now)
    try:
        response = send(post, network, allow_loopback=sink.allow_loopback)
    except NoResponse as error:
        raise DeliveryFailed(error.code, is_down=True) from None
    status = response.status
    failure = by_status(response.status)
    if 300 <= status < 400:
        failure = DeliveryFailed("redirect", is_down=True)
    elif status in UNCERTAIN or (status >= 500 and status not in SINK_REFUSED):
        failure = DeliveryFailed(f"status_{status}")
    elif status < 500 and status != 429:
        failure = kind.verdict(status, response.body if response.is_complete else b"")
    if failure is not None:
        failure.retry_after = read_retry_after(response.headers.get("retry-after"), now)
        failure.is_down = failure.is_down or failure.retry_after > 0
        raise failure


def read_retry_after(value: str | None, now: float) -> float:
    """Seconds that a Retry-After asks for at `now` (RFC 9110, 10.2.3); 0 for none and for one that is invalid."""
    if value is None:
        return 0.0
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp() - now)
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
    ):
        # The parser raises many things, which differ.
        return 0.0
