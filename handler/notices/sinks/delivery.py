"""One try to deliver a message to a sink, and what its failure means for the messages that follow."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime

from ...core.errors import HandlerError
from ...core.outbox import Delivery
from .base import Kind, Sink, Verdict
from .client import Network, NoResponse, send

# Statuses (RFC 9110 and 6585) after which no message can succeed for a while, and after which it may be the message or
# not, as after all others of servers.
SINK_REFUSED = frozenset({401, 403, 404, 410, 429, 501, 505})
UNCERTAIN = frozenset({408, 425})
# What looks like the sink, and may be a name in the message: a firewall refuses, resets or hangs.
BY_MESSAGE = frozenset({"status_403", "no_answer", "too_slow"})

_SECONDS = re.compile(r"[0-9]{1,9}")


class DeliveryFailed(HandlerError):
    """A message was not delivered; `code` says why, without anything that the sink sent but its own codes.

    With `is_down` the sink takes no message for a while, for `retry_after` seconds if it said so. With `is_refused` it
    refused this one for its content, and may accept another one. Otherwise nobody knows.
    """

    def __init__(self, code: str, *, is_refused: bool = False, is_down: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(f"Delivery failed ({code}).", code=code)
        self.is_refused, self.is_down, self.retry_after = is_refused, is_down, retry_after


def deliver(kind: Kind, sink: Sink, deliveries: tuple[Delivery, ...], network: Network, now: float) -> None:
    """Sends one message once, at `now` (Unix seconds). Raises `DeliveryFailed`."""
    post = kind.post(sink, deliveries, now)
    try:
        response = send(post, network, allow_loopback=sink.allow_loopback)
    except NoResponse as error:
        raise DeliveryFailed(error.code, is_down=True) from None
    status, retry_after = response.status, read_retry_after(response.headers.get("retry-after"), now)
    if status in UNCERTAIN or (status >= 500 and status not in SINK_REFUSED):
        raise DeliveryFailed(f"status_{status}", is_down=retry_after > 0, retry_after=retry_after)
    verdict = _verdict(kind, status, response.body if response.is_complete else b"")
    if verdict.outcome != "delivered":
        is_refused, is_down = verdict.outcome == "message_refused", verdict.outcome == "sink_refused" or retry_after > 0
        raise DeliveryFailed(verdict.code, is_refused=is_refused, is_down=is_down, retry_after=retry_after)


def read_retry_after(value: str | None, now: float) -> float:
    """Seconds that a Retry-After asks for at `now` (RFC 9110, 10.2.3); 0 for none and for one that is invalid."""
    if value is None:
        return 0.0
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp() - now)
    except (ValueError, TypeError, LookupError, ArithmeticError):  # the parser raises many things, which differ
        return 0.0


def _verdict(kind: Kind, status: int, body: bytes) -> Verdict:
    if 300 <= status < 400:
        return Verdict("sink_refused", "redirect")
    verdict = kind.verdict(status, body) if status < 500 and status != 429 else None
    return verdict or Verdict("sink_refused" if status in SINK_REFUSED else "message_refused", f"status_{status}")
