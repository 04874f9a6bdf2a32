"""Members of an event's JSON, each read once and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import HandlerError
from ...times import parse_rfc3339

MAX_NAMES = 12
MAX_NAME = 40  # characters


class Malformed(HandlerError):
    """An event of a source that is known does not have its documented shape."""

    code = "bad_event"


def member(document: object, *names: str) -> Any:
    """The value at a path of members, None where one is missing or null."""
    found: Any = document
    for name in names:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def text(document: object, *names: str) -> str:
    """A text that is not empty. Raises `Malformed`."""
    value = member(document, *names)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{'.'.join(names)} is {kind_of(value)}, where a text is needed")
    return value


def optional_text(document: object, *names: str) -> str | None:
    """A text, None where it is missing, null or empty. Raises `Malformed` for any other type."""
    value = member(document, *names)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{'.'.join(names)} is {kind_of(value)}, where a text is needed")
    return value or None


def optional_whole(document: object, *names: str) -> int | None:
    """A whole number from 0, None where it is missing or null. Raises `Malformed`."""
    value = member(document, *names)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise Malformed(f"{'.'.join(names)} is {kind_of(value)}, where a whole number from 0 is needed")
    return value


def optional_moment(document: object, *names: str) -> float | None:
    """Unix seconds of an RFC 3339 time, None where it is missing, null or empty. Raises `Malformed`."""
    value = optional_text(document, *names)
    if value is None:
        return None
    found = parse_rfc3339(value)
    if found is None:
        raise Malformed(f"{'.'.join(names)} is no time such as 2026-03-01T06:45:43Z")
    return found


def optional_milliseconds(document: object, *names: str) -> float | None:
    """Unix seconds of a number of milliseconds. Raises `Malformed`."""
    value = optional_whole(document, *names)
    return None if value is None else value / 1000


def is_cloud_event(document: object, kind: str) -> bool:
    """Whether it is a CloudEvent whose type begins with `kind`."""
    found = member(document, "type")
    return member(document, "specversion") is not None and isinstance(found, str) and found.startswith(kind)


def kind_of(value: object) -> str:
    """What a value is, without showing it."""
    if value is None:
        return "missing"
    if value == "":
        return "empty"
    return {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )


def described(document: object) -> str:
    """What was seen, by the names of its members and without its values."""
    if isinstance(document, Mapping):
        names = [json.dumps(str(name)[:MAX_NAME])[1:-1] for name in list(document)[:MAX_NAMES]]
        more = ", …" if len(document) > MAX_NAMES else ""
        return f"an object with the members {', '.join(names)}{more}" if names else "an empty object"
    if isinstance(document, list):
        return f"a list of {len(document)}"
    if isinstance(document, (str, bytes)):
        return f"a text of {len(document)} characters"
    return "null" if document is None else kind_of(document)
