"""What the core is asked and what it answers, in no platform's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from .config import Policy

if TYPE_CHECKING:
    from .auth import Caller


class Request(NamedTuple):
    """An HTTP request. `raw_path` is percent-encoded as it arrived; `headers` have lower-case names."""

    method: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    domain: str

    def wants_json(self) -> bool:
        """Whether the Accept header names JSON."""
        return _accepts(self.headers.get("accept", ""), "application/json")

    def wants_page(self) -> bool:
        """Whether a person is looking: the Accept header names HTML, and not JSON."""
        accept = self.headers.get("accept", "")
        return _accepts(accept, "text/html") and not _accepts(accept, "application/json")


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str = ""


class Invocation(NamedTuple):
    """What one invocation has beside its request. `context` is the platform's, of which credentials are taken;
    `now` is in Unix seconds. `facts` go into the audit line. `caller` is None where nobody said who asks.
    """

    policy: Policy
    context: object
    now: float
    facts: dict[str, object]
    caller: Caller | None = None


def parse_query(raw_query: str) -> dict[str, str]:
    """Decoded parameters, those of one name joined with commas, as in the event of an HTTP trigger."""
    parameters: dict[str, str] = {}
    for pair in filter(None, raw_query.split("&")):
        name, _, value = (_decode(part) for part in pair.partition("="))
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _decode(part: str) -> str:
    if "%" not in part and "+" not in part and part.isascii():
        return part
    return unquote_to_bytes(part.replace("+", " ").encode("latin-1", "replace")).decode("utf-8", "replace")


def _accepts(accept: str, media_type: str) -> bool:
    """Whether a media type is named with a weight above zero (RFC 9110 §12.5.1); ranges do not name it."""
    if media_type not in accept.lower():
        return False
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name == media_type:
            return not any(p.startswith("q=0") and not p[3:].strip(".0") for p in parameters)
    return False
