"""An address where notices go, read strictly from the keys document's `sinks`."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from ...errors import HandlerError
from .message import Told

MEMBERS = ("kind", "url", "secret", "allow_loopback")
MAX_URL = 2048  # characters
_URL = re.compile(r"https?://[!-~]+")
_LOOPBACK = re.compile(r"http://127\.0\.0\.1(?::[0-9]{1,5})?(?:[/?][!-~]*)?")


class InvalidSink(HandlerError):
    """A sink cannot be used as it stands in the keys document; the sentence shows neither address nor secret."""

    code = "invalid_sink"


class Sink(NamedTuple):
    """A sink: `secret` as its kind needs it; its address is a secret, too."""

    name: str
    kind: str
    url: str
    secret: str
    allow_loopback: bool

    def __repr__(self) -> str:
        return f"Sink(name={self.name!r}, kind={self.kind!r}, url='***', secret='***')"


class Post(NamedTuple):
    """One message as it is sent: an HTTP POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Post({len(self.body)} bytes)"


class Verdict(NamedTuple):
    """What an answer means: `outcome` is told, again (at once, with backoff), later (in another invocation),
    unwanted (this message is) or refused (any message is).

    `code` is for the log: the service's own, without anything else of its answer.
    """

    outcome: str
    code: str = ""


class Kind(Protocol):
    """What each file of this folder has."""

    NEEDS_SECRET: bool
    LIMIT: int  # bytes of a message's body
    MOST: int  # notices in one message
    PACE: float  # seconds from one message to the next

    def weight(self, told: Told) -> int:
        """Bytes that a notice adds to a body, at most."""

    def post(self, sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
        """The message that tells all of these. `now` (Unix seconds) is when it is sent."""

    def verdict(self, status: int, body: bytes) -> Verdict:
        """What a 2xx answer means; `body` is cut at the cap of answers, and empty where it broke off."""


def read_sink(name: str, entry: Mapping[str, object], kinds: Mapping[str, Kind]) -> Sink:
    """The sink of an entry. Raises `InvalidSink`."""

    def refuse(why: str) -> InvalidSink:
        return InvalidSink(f"The sink {name} of the keys document {why}.")

    for member in entry:
        if member not in MEMBERS:
            raise refuse(f"has a member that is not known; known are {', '.join(MEMBERS)}")
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise refuse(f"has a kind that is none of {', '.join(kinds)}")
    allow_loopback = entry.get("allow_loopback", False)
    if not isinstance(allow_loopback, bool):
        raise refuse("has an allow_loopback that is neither true nor false")
    url = entry.get("url")
    if not isinstance(url, str) or len(url) > MAX_URL or not _URL.fullmatch(url):
        raise refuse("has no url that begins with https://, in ASCII")
    if url.startswith("http://") and not (allow_loopback and _LOOPBACK.fullmatch(url)):
        raise refuse("has a url without https: allow_loopback opens http://127.0.0.1 alone, for a laptop")
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.username is not None or parts.fragment or parts.port == 0:
            raise ValueError
    except ValueError:
        raise refuse("has a url that is not scheme, host, path and query alone") from None
    secret = entry.get("secret")
    if kinds[kind].NEEDS_SECRET:
        if not isinstance(secret, str) or not secret or not secret.isascii() or not secret.isprintable():
            raise refuse(f"has no secret, with which a message of the kind {kind} is signed")
    elif secret not in (None, ""):
        raise refuse(f"has a secret, and messages of the kind {kind} are not signed: leave it out")
    if kind == "webhook" and secret_bytes(str(secret)) is None:
        raise refuse("has a secret that is not whsec_ and the base64 of 24 to 64 bytes")
    return Sink(name, kind, url, secret if isinstance(secret, str) else "", allow_loopback)


def secret_bytes(secret: str) -> bytes | None:
    """The bytes of a webhook's secret, `whsec_` and base64 (Standard Webhooks), None where it is none."""
    if not secret.startswith("whsec_"):
        return None
    try:
        found = b64decode(secret[len("whsec_") :], validate=True)
    except ValueError:
        return None
    return found if 24 <= len(found) <= 64 else None
