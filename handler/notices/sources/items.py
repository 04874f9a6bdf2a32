"""The items that an event consists of, whatever its source, and the links that a message requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from ...core.paths import path_fault
from .fields import InvalidEvent, describe, is_unicode, type_name

LINK_MEMBERS = ("path", "method", "expires", "download", "id")
CONTENT = "content:"  # before the hash that identifies a link whose message has no id
MAX_LINKS = 1000  # in one message


class CreatedObject(NamedTuple):
    """A new object. `size` is in bytes, `happened_at` in Unix seconds; None: not stated.

    `mark` tells the versions of an object apart: it is version and eTag, or the eTag alone. `version` is None in a
    bucket that has no versions, or has suspended them.
    """

    bucket: str
    key: str
    mark: str
    version: str | None
    size: int | None
    happened_at: float | None


class RequestedLink(NamedTuple):
    """A link that a message or a timer requests, for a path of this service.

    `on` is message or timer, `origin` identifies the message or its content, `happened_at` is in Unix seconds.
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
    """A record that makes no notice; `reason` is deletion, folder or other_event."""

    reason: str


class InvalidEntry(NamedTuple):
    """An entry that cannot be read; the sentence shows none of its values."""

    sentence: str


Item = CreatedObject | RequestedLink | TimerTick | SkippedRecord | InvalidEntry


class Source(NamedTuple):
    """`recognise` says whether a document is an event of this source, valid or not. `items` raises `InvalidEvent`."""

    name: str
    recognise: Callable[[object], bool]
    items: Callable[[object], Iterator[Item]]


def links_in_message(body: str, origin: str, sent_at: float | None) -> Iterator[Item]:
    """What `requested_links` finds in the JSON of a message. Raises `InvalidEvent`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidEvent(
            f'the message is {describe(body)} and not JSON (expected {{"path": "/…"}})'
        ) from None
    return requested_links(document, "message", origin, sent_at)


def requested_links(
    document: object, on: str, origin: str, happened_at: float | None
) -> Iterator[Item]:
    """The links that `{"path": "/reports/q3.pdf"}` or `{"links": [{"path": …}, …]}` requests, possibly none.

    `origin` identifies the message, "" where it has no id. An invalid link of several is an `InvalidEntry`. Raises
    `InvalidEvent` for anything else that is invalid.
    """
    if not isinstance(document, dict):
        raise InvalidEvent(
            f'the message is {describe(document)} (expected {{"path": "/…"}} or {{"links": […]}})'
        )
    if "links" not in document:
        yield _requested_link(document, "the message", on, origin, happened_at)
        return
    links = document["links"]
    if len(document) > 1 or not isinstance(links, list):
        raise InvalidEvent(f'the message is {describe(document)} (expected only "links", a list)')
    if len(links) > MAX_LINKS:
        raise InvalidEvent(
            f"the message requests {len(links)} links, which exceeds the maximum of {MAX_LINKS}"
        )
    for number, link in enumerate(links, 1):
        try:
            yield _requested_link(
                link, f"link {number}", on, origin and f"{origin}#{number}", happened_at
            )
        except InvalidEvent as error:
            yield InvalidEntry(error.sentence)


def _requested_link(
    link: object, what: str, on: str, origin: str, happened_at: float | None
) -> RequestedLink | SkippedRecord:
    if not isinstance(link, dict) or "path" not in link:
        raise InvalidEvent(f'{what} is {describe(link)} (expected an object with a "path")')
    if not link.keys() <= set(LINK_MEMBERS):
        raise InvalidEvent(f"{what} is {describe(link)} (allowed: {', '.join(LINK_MEMBERS)})")
    for name in LINK_MEMBERS:
        value = link.get(name)
        if not isinstance(value, str) and (name == "path" or value is not None):
            raise InvalidEvent(f"{what}: {name} is {type_name(value)} (expected a string)")
        if value is not None and not is_unicode(value):
            raise InvalidEvent(f"{what}: {name} is not valid Unicode")
    if link.get("method") not in (None, "GET"):
        raise InvalidEvent(f"{what}: method must be GET")
    if fault := path_fault(link["path"]):
        raise InvalidEvent(f"{what}: invalid path: {fault}")
    # The function answers requests for such a path too, so that it is not invalid; but there is no file to report.
    if link["path"].endswith("/"):
        return SkippedRecord("folder")
    content = sha256(json.dumps(link, sort_keys=True).encode()).hexdigest()[:32]
    origin = origin or f"{CONTENT}{content}"
    return RequestedLink(
        on=on,
        origin=origin,
        path=link["path"],
        expires=link.get("expires"),
        download=link.get("download"),
        happened_at=happened_at,
    )
