"""Reads the members of an event's JSON and checks their types."""

from __future__ import annotations

import json
import re
from typing import Any

from signer.times import parse_rfc3339

from ...core.errors import HandlerError

MAX_NAMES = 12  # members that are listed
MAX_NAME = 40  # characters of a member's name that are shown
MAX_INTEGER = 2**63 - 1
MAX_TIME = 253_402_300_800  # Unix seconds at which the year 10000 begins

# JSON can escape half of a surrogate pair, which no encoding can write.
_SURROGATE = re.compile("[\ud800-\udfff]")

_TYPES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def decode(element: object) -> object:
    """The JSON in a string, or the value itself."""
    if not isinstance(element, str):
        return element
    try:
        decoded: object = json.loads(element)
    except (ValueError, RecursionError):
        return element
    return decoded


class InvalidEvent(HandlerError):
    """An event of a known source does not have its documented shape. The sentence continues "Invalid event: "."""

    code = "bad_event"


def member(document: object, *names: str) -> Any:
    """The value at a path of members, None if one of them is missing or null."""
    value: Any = document
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def required_string(document: object, *names: str) -> str:
    """A string that is not empty, and valid Unicode. Raises `InvalidEvent`."""
    value = optional_string(document, *names)
    if value is None:
        raise _unexpected(names, member(document, *names), "a string")
    return value


def optional_string(document: object, *names: str) -> str | None:
    """A string, None if it is missing, null or empty. Raises `InvalidEvent` for another type or invalid Unicode."""
    value = member(document, *names)
    if value is not None and not isinstance(value, str):
        raise _unexpected(names, value, "a string")
    if value and not is_unicode(value):
        raise InvalidEvent(f"{'.'.join(names)} is not valid Unicode")
    return value or None


def optional_integer(document: object, *names: str) -> int | None:
    """An integer from 0 to `MAX_INTEGER`, None for anything else: what is optional fails no event."""
    value = member(document, *names)
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def optional_timestamp(document: object, *names: str) -> float | None:
    """Unix seconds of an RFC 3339 time in a year from 1970 to 9999, None for anything else."""
    value = member(document, *names)
    return _in_calendar(parse_rfc3339(value) if isinstance(value, str) else None)


def optional_milliseconds(document: object, *names: str) -> float | None:
    """Unix seconds of a number of milliseconds in a year from 1970 to 9999, None for anything else."""
    value = optional_integer(document, *names)
    return None if value is None else _in_calendar(value / 1000)


def is_unicode(string: str) -> bool:
    return not _SURROGATE.search(string)


def has_members(document: object, *names: str) -> bool:
    return isinstance(document, dict) and document.keys() >= {*names}


def is_cloud_event(document: object, type_prefix: str) -> bool:
    event_type = member(document, "type")
    is_versioned = member(document, "specversion") is not None
    return is_versioned and isinstance(event_type, str) and event_type.startswith(type_prefix)


def type_name(value: object) -> str:
    """The type of a value, without the value."""
    if value is None:
        return "missing"
    return "empty" if value == "" else _TYPES[type(value)]


def describe(document: object) -> str:
    """What a JSON document is: its type and the names of its members, without values."""
    if isinstance(document, dict):
        names = [json.dumps(str(name)[:MAX_NAME]) for name in list(document)[:MAX_NAMES]]
        more = ", …" if len(document) > MAX_NAMES else ""
        return (
            f"an object with the members {', '.join(names)}{more}" if names else "an empty object"
        )
    if isinstance(document, list):
        return f"a list of {len(document)} items"
    if isinstance(document, str):
        return f"a string of {len(document)} characters"
    return "null" if document is None else _TYPES[type(document)]


def _in_calendar(timestamp: float | None) -> float | None:
    return timestamp if timestamp is not None and 0 <= timestamp < MAX_TIME else None


def _unexpected(names: tuple[str, ...], value: object, expected: str) -> InvalidEvent:
    return InvalidEvent(f"{'.'.join(names)} is {type_name(value)} (expected {expected})")
