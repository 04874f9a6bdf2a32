"""Delivers one message to a sink, with retries and backoff as long as there is time."""

from __future__ import annotations

from contextlib import suppress

from ...errors import HandlerError
from ...times import Clock
from .base import Kind, Post, Sink, Verdict
from .client import Network, NoResponse, send
from .message import Notification

TRIES = 5
BACKOFF = 0.25  # seconds, doubled before each try: the first retry is after half a second
MAX_BACKOFF = 15.0  # seconds
JITTER = 0.5  # seconds

# Statuses of RFC 9110 and 6585 after which another try may succeed.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
# Statuses after which no message can succeed.
SINK_REFUSED = frozenset({401, 403, 404, 410})


class DeliveryFailed(HandlerError):
    """A message was not delivered; `code` says why, without anything that the sink sent.

    With `only_this_message` the sink may accept another one.
    """

    def __init__(self, code: str, *, only_this_message: bool = False) -> None:
        super().__init__(f"Delivery failed ({code}).", code=code)
        self.only_this_message = only_this_message


def deliver(
    kind: Kind,
    sink: Sink,
    message_id: str,
    notifications: tuple[Notification, ...],
    *,
    network: Network,
    clock: Clock,
    deadline: float,
) -> None:
    """Sends one message until it is delivered, by `deadline` (of `clock.monotonic`). Raises `DeliveryFailed`."""
    from urllib3.exceptions import InvalidHeader, MaxRetryError
    from urllib3.util import Retry

    retry = Retry(
        total=TRIES,
        redirect=0,
        backoff_factor=BACKOFF,
        backoff_max=MAX_BACKOFF,
        backoff_jitter=JITTER,
        raise_on_status=False,
        allowed_methods=None,
        status_forcelist=RETRIED,
    ).increment()  # urllib3 would not pause before the first retry
    while True:
        verdict, retry_after = _try(kind, sink, kind.post(sink, message_id, notifications, clock.now()), network)
        if verdict.outcome == "delivered":
            return
        if verdict.outcome != "retry":
            raise DeliveryFailed(verdict.code, only_this_message=verdict.outcome == "message_refused")
        try:
            retry = retry.increment()
        except MaxRetryError:
            raise DeliveryFailed(verdict.code) from None
        pause = retry.get_backoff_time()
        if retry_after is not None:
            with suppress(InvalidHeader):
                pause = max(retry.parse_retry_after(retry_after), pause)
        if clock.monotonic() + pause >= deadline:
            raise DeliveryFailed(verdict.code)
        clock.sleep(pause)


def _try(kind: Kind, sink: Sink, post: Post, network: Network) -> tuple[Verdict, str | None]:
    """The verdict on one try, and its `Retry-After`."""
    try:
        response = send(post, network, allow_loopback=sink.allow_loopback)
    except NoResponse as error:
        return Verdict("retry" if error.is_temporary else "sink_refused", error.code), None
    code = f"status_{response.status}"
    if response.status in RETRIED:
        return Verdict("retry", code), response.headers.get("retry-after")
    if 300 <= response.status < 400:
        return Verdict("sink_refused", "redirect"), None
    if not 200 <= response.status < 300:
        return Verdict("sink_refused" if response.status in SINK_REFUSED else "message_refused", code), None
    return kind.verdict(response.status, response.body if response.is_complete else b""), None
