"""HTTP responses, independent of the platform: JSON, or a link as a redirect."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..core import audit
from ..core.config import Target
from ..core.errors import Problem
from ..core.links import IssuedLink
from ..core.request import Request

# Function Compute answers 502 above 8 KB of response headers, and adds some of its own.
MAX_HEADERS = 8192 - 1024  # bytes


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str = ""

    def __repr__(self) -> str:
        # Location and body may contain a link.
        return f"Response(status={self.status}, headers={sorted(self.headers)!r}, body=<{len(self.body)} characters>)"


def json_response(document: object, status: int = 200) -> Response:
    """With a line feed at its end, after which a shell begins its prompt."""
    return Response(status, {"Content-Type": "application/json"}, json.dumps(document) + "\n")


def redirect(issued: IssuedLink, status: int = 302) -> Response:
    """A redirect to the link. Raises the 400 `link_too_long` where it does not fit into a header."""
    if len(issued.link.url) > MAX_HEADERS:
        raise Problem("link_too_long")
    return Response(status, {"Location": issued.link.url})


def wants_json(request: Request, has_key: bool = False) -> bool:
    """Whether to answer with the link as JSON. Raises the 400 `bad_format`.

    A request with a key gets JSON by default, because clients send X-Api-Key on to the target of a redirect.
    """
    requested = request.query.get("format")
    if requested is None:
        return has_key or request.wants_json()
    if requested not in ("json", "redirect"):
        raise Problem("bad_format")
    return requested == "json"


def note_link(facts: dict[str, object], target: Target, expires_in: int, clamped_by: str | None) -> None:
    """Adds an issued link or form to the facts of the audit line."""
    facts["mount"] = target.mount.path
    facts["bucket"] = target.mount.target.bucket
    facts["key"] = audit.path(target.key)
    facts["expires_in"] = expires_in
    facts["clamped_by"] = clamped_by
