"""HTTP responses: JSON, a link as JSON or as a redirect, and the choice between the two."""

from __future__ import annotations

import json
from typing import NamedTuple

from . import audit
from .config import Mount
from .errors import Problem
from .links import IssuedLink
from .request import Request

# Function Compute answers 502 for more than 8 KB of response headers; some of them are its own.
MAX_HEADERS = 8192 - 1024  # bytes


class Response(NamedTuple):
    """An HTTP response in no platform's shape."""

    status: int
    headers: dict[str, str]
    body: str = ""


def json_response(document: object, status: int = 200) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(document))


def redirect(issued: IssuedLink, status: int = 302) -> Response:
    """The link as a redirect. Raises the 400 `link_too_long` where it does not fit into a header."""
    if len(issued.link.url) > MAX_HEADERS:
        raise Problem("link_too_long")
    return Response(status, {"Location": issued.link.url})


def wants_json(request: Request, has_key: bool = False) -> bool:
    """Whether a link is answered as JSON. Raises the 400 `bad_format`.

    A request with a key gets JSON unless it says otherwise: clients send X-Api-Key on to where they are redirected.
    """
    wanted = request.query.get("format")
    if wanted is None:
        return has_key or request.wants_json()
    if wanted not in ("json", "redirect"):
        raise Problem("bad_format")
    return wanted == "json"


def note_link(facts: dict[str, object], mount: Mount, key: str, issued: IssuedLink) -> None:
    """Writes into the audit line which link was issued."""
    facts["mount"] = mount.path
    facts["bucket"] = mount.target.bucket
    facts["key"] = audit.path(key)
    facts["expires_in"] = issued.link.expires_in
    facts["clamped_by"] = issued.clamped_by
