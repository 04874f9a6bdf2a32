"""A message to a sink, tried again with backoff as long as there is time."""

from __future__ import annotations

from contextlib import suppress

from ...times import Clock
from .address import AddressRefused, NameUnknown
from .base import Kind, Post, Sink, Verdict
from .client import Network, Unanswered, send
from .message import Told

TRIES = 5
BACKOFF = 0.25  # seconds, doubled before each try: the first retry is after half a second
LONGEST_BACKOFF = 15.0
JITTER = 0.5

# RFC 9110 and 6585: what another try can mend.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

# What no other message can mend either.
GONE = frozenset({401, 403, 404, 410})


class Failed(Exception):
    """The sink was not told; `code` says why, without anything that the sink said.

    With `is_of_the_message` another message may be welcome there.
    """

    def __init__(self, code: str, *, is_of_the_message: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_of_the_message = is_of_the_message


def deliver(
    kind: Kind,
    sink: Sink,
    message_id: str,
    tolds: tuple[Told, ...],
    *,
    network: Network,
    clock: Clock,
    deadline: float,
) -> None:
    """Sends one message until it is told, by `deadline` (of `clock.monotonic`). Raises `Failed`."""
    from urllib3.exceptions import InvalidHeader, MaxRetryError
    from urllib3.util import Retry

    retry = Retry(
        total=TRIES,
        redirect=0,
        backoff_factor=BACKOFF,
        backoff_max=LONGEST_BACKOFF,
        backoff_jitter=JITTER,
        raise_on_status=False,
        allowed_methods=None,
        status_forcelist=RETRIED,
    ).increment()  # urllib3 would have no pause before the first retry
    while True:
        verdict, after = _try(kind, sink, kind.post(sink, message_id, tolds, clock.now()), network)
        if verdict.outcome == "told":
            return
        if verdict.outcome != "again":
            raise Failed(verdict.code, is_of_the_message=verdict.outcome == "unwanted")
        try:
            retry = retry.increment()
        except MaxRetryError:
            raise Failed(verdict.code) from None
        pause = retry.get_backoff_time()
        if after is not None:
            with suppress(InvalidHeader):
                pause = max(retry.parse_retry_after(after), pause)
        if clock.monotonic() + pause >= deadline:
            raise Failed(verdict.code)
        clock.sleep(pause)


def _try(kind: Kind, sink: Sink, post: Post, network: Network) -> tuple[Verdict, str | None]:
    """What came of one try, and its `Retry-After`."""
    try:
        answer = send(post, network, allow_loopback=sink.allow_loopback)
    except AddressRefused as error:
        return Verdict("refused", error.code), None
    except NameUnknown as error:
        return Verdict("again", error.code), None
    except Unanswered as error:
        return Verdict("refused" if error.code == "no_tls" else "again", error.code), None
    if answer.status in RETRIED:
        return Verdict("again", f"status_{answer.status}"), answer.headers.get("retry-after")
    if 300 <= answer.status < 400:
        return Verdict("refused", "redirect"), None
    if not 200 <= answer.status < 300:
        outcome = "refused" if answer.status in GONE else "unwanted"
        return Verdict(outcome, f"status_{answer.status}"), None
    return kind.verdict(answer.status, answer.body if answer.is_whole else b""), None
