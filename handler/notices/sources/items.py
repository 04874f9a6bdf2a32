"""The items that an event consists of, whatever its source, and the links that a message requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from ...paths import path_fault
from .fields import InvalidEvent, describe, type_name

LINK_MEMBERS = ("path", "method", "expires", "download")
MAX_LINKS = 1000  # in one message


class CreatedObject(NamedTuple):
    """A new object. `mark` is its version or eTag, `size` in bytes, `happened_at` in Unix seconds; None: not stated."""

    bucket: str
    key: str
    mark: str
    size: int | None
    happened_at: float | None


class RequestedLink(NamedTuple):
    """A link that a message or a timer requests, for a path of this service.

    `on` is message or timer, `origin` identifies the message, `happened_at` is in Unix seconds.
    """

    on: str
    origin: str
    path: str
    expires: str | None
    download: str | None
    happened_at: float | None


class TimerTick(NamedTuple):
    """A timer fired: digests may be due."""

    name: str


class SkippedRecord(NamedTuple):
    """A record that makes no notice; `reason` is deletion or other_event."""

    reason: str


class InvalidEntry(NamedTuple):
    """An entry that cannot be read; the sentence shows none of its values."""

    sentence: str


Item = CreatedObject | RequestedLink | TimerTick | SkippedRecord | InvalidEntry


def links_in_message(body: str, origin: str, sent_at: float | None) -> Iterator[RequestedLink]:
    """The links that the JSON in a message requests. Raises `InvalidEvent`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidEvent(f'the message is {describe(body)} and not JSON (expected {{"path": "/…"}})') from None
    return requested_links(document, "message", origin, sent_at)


def requested_links(document: object, on: str, origin: str, happened_at: float | None) -> Iterator[RequestedLink]:
    """The links that `{"path": "/reports/q3.pdf"}` or `{"links": [{"path": …}, …]}` requests, possibly none.

    Raises `InvalidEvent`.
    """
    if not isinstance(document, dict):
        raise InvalidEvent(f'the message is {describe(document)} (expected {{"path": "/…"}} or {{"links": […]}})')
    if "links" not in document:
        yield _requested_link(document, "the message", on, origin, happened_at)
        return
    links = document["links"]
    if len(document) > 1 or not isinstance(links, list):
        raise InvalidEvent(f'the message is {describe(document)} (expected only "links", a list)')
    if len(links) > MAX_LINKS:
        raise InvalidEvent(f"the message requests {len(links)} links, which exceeds the maximum of {MAX_LINKS}")
    for number, link in enumerate(links, 1):
        yield _requested_link(link, f"link {number}", on, f"{origin}#{number}", happened_at)


def _requested_link(link: object, what: str, on: str, origin: str, happened_at: float | None) -> RequestedLink:
    if not isinstance(link, dict) or "path" not in link:
        raise InvalidEvent(f'{what} is {describe(link)} (expected an object with a "path")')
    if not link.keys() <= set(LINK_MEMBERS):
        raise InvalidEvent(f"{what} is {describe(link)} (allowed: {', '.join(LINK_MEMBERS)})")
    for name in LINK_MEMBERS:
        if not isinstance(link.get(name), str) and (name == "path" or link.get(name) is not None):
            raise InvalidEvent(f"{what}: {name} is {type_name(link.get(name))} (expected a string)")
    if link.get("method") not in (None, "GET"):
        raise InvalidEvent(f"{what}: method must be GET")
    fault = path_fault(link["path"])
    if fault:
        raise InvalidEvent(f"{what}: invalid path: {fault}")
    return RequestedLink(on, origin, link["path"], link.get("expires"), link.get("download"), happened_at)
