"""What every kind of sink has, and the sinks of the keys document, read strictly."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from ...core.config.reader import TableReader
from ...core.errors import HandlerError, Problem
from ...core.outbox import Delivery

RETRY_FOR = 3 * 86_400  # seconds, where the keys document does not say
MEMBERS = ("kind", "url", "secret", "allow_loopback", "retry_for")
MAX_URL = 2048  # characters
HOUR = 3600
DAY = 86_400  # seconds
MAX_CODE = 999_999_999  # of a robot: documented codes have at most eight digits
# Statuses (RFC 9110 and 6585) after which no message can succeed for a while.
SINK_REFUSED = frozenset({401, 403, 404, 410, 429, 501, 505})
_URL = re.compile(r"https?://[!-~]+")


class InvalidSink(HandlerError):
    """A sink of the keys document cannot be used; the sentence shows neither its URL nor its secret."""

    code = "invalid_sink"


class Sink(NamedTuple):
    """One sink of the keys document. Its URL is a secret, too: the only one, for the kinds that do not sign.

    For `retry_for` seconds a notice that fails is tried again.
    """

    name: str
    kind: str
    url: str
    secret: str
    allow_loopback: bool
    retry_for: int = RETRY_FOR

    def __repr__(self) -> str:
        return f"Sink(name={self.name!r}, kind={self.kind!r}, url='***', secret='***')"


class Post(NamedTuple):
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Post({len(self.body)} bytes)"


class DeliveryFailed(HandlerError):
    """A message was not delivered; `code` is the sink's own, or ours: nothing else of a response is ever logged.

    With `is_down` the sink takes no message for a while, for `retry_after` seconds if it said so. With `is_refused` it
    refused this one for its content, and may accept another one. Otherwise nobody knows.
    """

    def __init__(self, code: str, *, is_refused: bool = False, is_down: bool = False) -> None:
        super().__init__(f"Delivery failed ({code}).", code=code)
        self.is_refused = is_refused
        self.is_down = is_down
        self.retry_after = 0.0


Verdict = DeliveryFailed | None  # None after a success


class SinkKind(Protocol):
    """What each module of a sink has; its row in docs/events.md and the search for secrets read it there, too."""

    MESSAGE: str  # what it sends, and how it is signed: in markdown, for the row
    SIGNATURE: str
    FOUND_BY: str  # what the secret stands after, in its address or in the secret itself
    NEEDS_SECRET: bool
    SERVICE_BYTES: int  # of a message's body, at most, that the service accepts
    MAX_BYTES: int  # of a message's body, at most, that is sent
    ENVELOPE: int  # bytes of a body around its deliveries, at most
    MAX_NOTICES: int  # in one message
    MIN_INTERVAL: float  # seconds between two messages

    def encoded_size(self, delivery: Delivery) -> int:
        """Bytes that a delivery adds to a body, at most."""

    def post(self, sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
        """One message with all of these. `now` (Unix seconds) is when it is sent."""

    def verdict(self, status: int, body: bytes) -> Verdict:
        """What a response means, of which no 3xx, 429 or 5xx comes here. `body` is empty where it is incomplete."""


def json_post(url: str, document: Mapping[str, object]) -> Post:
    return Post(
        url, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode()
    )


def by_status(status: int) -> Verdict:
    """What a status alone says."""
    if 200 <= status < 300:
        return None
    is_down = status in SINK_REFUSED
    return DeliveryFailed(f"status_{status}", is_down=is_down, is_refused=not is_down)


def robot_verdict(status: int, body: bytes, *members: str, sink_refused: frozenset[int]) -> Verdict:
    """The verdict by the first of these members of a robot's JSON, where 0 is success.

    `sink_refused` are the codes of a robot that takes no message at present; every other code refuses this message. A
    2xx without a code does not say what became of the message: if it was posted, a quick retry would post it again.
    """
    failure = by_status(status)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return failure or DeliveryFailed("no_answer", is_down=True)
    code = (
        next((document[name] for name in members if name in document), None)
        if isinstance(document, dict)
        else None
    )
    if type(code) is not int or abs(code) > MAX_CODE:
        return failure or DeliveryFailed("no_code", is_down=True)
    if code in sink_refused:
        return DeliveryFailed(str(code), is_down=True)
    return failure or (DeliveryFailed(str(code), is_refused=True) if code else None)


def batches(kind: SinkKind, deliveries: list[Delivery]) -> list[tuple[Delivery, ...]]:
    """Splits deliveries, in order, into as few messages as possible; one that is too large is sent alone."""
    messages: list[list[Delivery]] = []
    size = 0
    for delivery in deliveries:
        added = kind.encoded_size(delivery)
        if not messages or size + added > kind.MAX_BYTES or len(messages[-1]) == kind.MAX_NOTICES:
            messages.append([])
            size = kind.ENVELOPE
        messages[-1].append(delivery)
        size += added
    return [tuple(message) for message in messages]


def read_sink(name: str, entry: Mapping[str, object] | None, kinds: Mapping[str, SinkKind]) -> Sink:
    """Checks an entry of the keys document's `sinks`. Raises `InvalidSink`, and `unknown_sink` for None."""
    if entry is None:
        raise Problem("unknown_sink")
    where = f"Invalid sink {name} in the keys document"
    reader = TableReader(where, entry, MEMBERS, error=InvalidSink, json=True)
    kind = reader.choice("kind", tuple(kinds), required=True)
    allow_loopback = reader.boolean("allow_loopback")
    url = _read_url(reader, allow_loopback)
    secret = _read_secret(reader, kind, kinds[kind].NEEDS_SECRET)
    return Sink(
        name=name,
        kind=kind,
        url=url,
        secret=secret,
        allow_loopback=allow_loopback,
        retry_for=reader.duration("retry_for", HOUR, 30 * DAY)
        if "retry_for" in entry
        else RETRY_FOR,
    )


def _read_url(reader: TableReader, allow_loopback: bool) -> str:
    url = reader.string("url") or ""
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        reader.refuse("url", f"must begin with https:// and be at most {MAX_URL} ASCII characters")
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and not (allow_loopback and parts.hostname == "127.0.0.1"):
            expected = "must begin with https:// (allow_loopback permits only http://127.0.0.1, for a laptop)"
            reader.refuse("url", expected)
        if not parts.hostname or parts.username is not None or parts.fragment or parts.port == 0:
            raise ValueError
    except ValueError:
        reader.refuse("url", "must consist of scheme, host, path and query only")
    return url


def _read_secret(reader: TableReader, kind: str, is_needed: bool) -> str:
    secret = reader.string("secret") or ""
    if secret and not is_needed:
        reader.refuse("secret", f"is not allowed, because {kind} messages are not signed")
    if is_needed and not (secret and secret.isascii() and secret.isprintable()):
        reader.refuse(
            "secret",
            f"is required, because {kind} messages are signed (expected printable ASCII characters)",
        )
    if kind == "webhook" and webhook_key(secret) is None:
        reader.refuse("secret", "must be whsec_ followed by the base64 of 24 to 64 bytes")
    return secret


def webhook_key(secret: str) -> bytes | None:
    """The key of a webhook's secret, which is `whsec_` and base64 (Standard Webhooks); None for another form."""
    if not secret.startswith("whsec_"):
        return None
    try:
        key = b64decode(secret[len("whsec_") :], validate=True)
    except ValueError:
        return None
    return key if 24 <= len(key) <= 64 else None
