"""JSON bodies of requests, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import Problem
from .request import Request

MAX_BYTES = 1024 * 1024

_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def read_json(request: Request, fields: Mapping[str, type], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of a JSON object; null is as good as absent, and absent members are None.

    Raises a 400 `Problem` that names the member which is unknown, missing or of another type, 413 for more than
    1 MB and 415 for another media type.
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "not_json", "Send the body as JSON, with Content-Type: application/json.")
    if len(request.body) > MAX_BYTES:
        raise Problem(413, "body_too_large", f"The body is larger than {MAX_BYTES} bytes: ask for less at once.")
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        raise bad_body("is no JSON") from None
    return read_members(document, fields, required=required)


def read_members(document: object, fields: Mapping[str, type], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of a parsed JSON object. Raises a 400 `Problem` as `read_json` does."""
    if not isinstance(document, dict):
        raise bad_body("is no JSON object")
    found: dict[str, Any] = dict.fromkeys(fields)
    for name, value in document.items():
        kind = fields.get(name)
        if kind is None:
            raise bad_body(f"has a member {name[:100]!r}, which is not known; known are {', '.join(fields)}")
        # The very type: a bool is an int to Python, and none to anybody else.
        if value is not None and type(value) is not kind:
            raise bad_body(f"has a {name} that is not {_KINDS[kind]}")
        found[name] = value
    for name in required:
        if found[name] is None:
            raise bad_body(f"has no {name}")
    return found


def bad_body(why: str) -> Problem:
    """The 400 of a body that cannot be followed."""
    return Problem(400, "bad_body", f"The body {why}.")
