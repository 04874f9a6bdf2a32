"""Delivers one message to a sink, with retries and backoff as long as there is time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime

from ...context import Clock
from ...errors import HandlerError
from .base import Kind, Post, Sink, Verdict
from .client import Network, NoResponse, send
from .message import Notification

TRIES = 5
BACKOFF = 0.5  # seconds before the second try, doubled before each later one
JITTER = 0.5  # seconds
MAX_PAUSE = 15.0  # seconds; a sink that asks for more is left alone

# Statuses of RFC 9110 and 6585 after which another try may succeed, and those of servers, of which every other may.
RETRIED = frozenset({408, 425, 429})
PERMANENT = frozenset({501, 505})
# Statuses after which no message can succeed.
SINK_REFUSED = frozenset({401, 403, 404, 410}) | PERMANENT

_SECONDS = re.compile(r"[0-9]{1,9}")


class DeliveryFailed(HandlerError):
    """A message was not delivered; `code` says why, without anything that the sink sent but its own codes.

    With `is_refused` the sink refused the message for its content, and may accept another one.
    """

    def __init__(self, code: str, *, is_refused: bool = False) -> None:
        super().__init__(f"Delivery failed ({code}).", code=code)
        self.is_refused = is_refused


class OutOfTime(HandlerError):
    """There was no time for a single try, so the message was not sent."""

    code = "out_of_time"


def deliver(
    kind: Kind,
    sink: Sink,
    message_id: str,
    notifications: tuple[Notification, ...],
    *,
    network: Network,
    clock: Clock,
    may_try: Callable[[float], bool],
) -> None:
    """Sends one message until it is delivered. Raises `DeliveryFailed`, and `OutOfTime` where it was never sent.

    `may_try` is called before each try: it pauses for so many seconds at least, and says whether a try then still ends
    in time; without a pause if it does not.
    """
    code: str | None = None
    pause = 0.0
    for number in range(TRIES):
        if pause > MAX_PAUSE or not may_try(pause):
            break
        post = kind.post(sink, message_id, notifications, clock.now())
        verdict, retry_after = _try(kind, sink, post, network)
        code = verdict.code
        if verdict.outcome == "delivered":
            return
        if verdict.outcome != "retry":
            raise DeliveryFailed(code, is_refused=verdict.outcome == "message_refused")
        jitter = random.random() * JITTER  # noqa: S311 - spreads tries; nothing depends on its secrecy
        pause = max(BACKOFF * 2**number + jitter, read_retry_after(retry_after, clock.now()))
    if code is None:
        raise OutOfTime("The message was not sent: a try would not end in time. It will be retried.")
    raise DeliveryFailed(code)


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


def _try(kind: Kind, sink: Sink, post: Post, network: Network) -> tuple[Verdict, str | None]:
    """The verdict on one try, and its `Retry-After`."""
    try:
        response = send(post, network, allow_loopback=sink.allow_loopback)
    except NoResponse as error:
        return Verdict("retry" if error.is_temporary else "sink_refused", error.code), None
    status, retry_after = response.status, response.headers.get("retry-after")
    code = f"status_{status}"
    if status in RETRIED or (status >= 500 and status not in PERMANENT):
        return Verdict("retry", code), retry_after
    if 300 <= status < 400:
        return Verdict("sink_refused", "redirect"), None
    if status < 500:
        verdict = kind.verdict(status, response.body if response.is_complete else b"")
        if verdict is not None:
            return verdict, retry_after
    return Verdict("sink_refused" if status in SINK_REFUSED else "message_refused", code), None
