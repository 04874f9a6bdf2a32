"""Sources that request links: Simple Message Queue (MNS), timers, and a direct invocation."""

from __future__ import annotations

from collections.abc import Iterator

from .fields import (
    InvalidEvent,
    decode,
    has_members,
    is_cloud_event,
    optional_milliseconds,
    optional_string,
    optional_timestamp,
    required_string,
)
from .items import Item, TimerTick, links_in_message, requested_links


def is_mns_topic(document: object) -> bool:
    return has_members(document, "TopicName", "Message")


def mns_topic(document: object) -> Iterator[Item]:
    """A topic with `notifyContentFormat: JSON`: the message in an envelope."""
    message_id = f"mns-topic:{required_string(document, 'TopicName')}:{required_string(document, 'MessageId')}"
    published_at = optional_milliseconds(document, "PublishTime")
    return links_in_message(required_string(document, "Message"), message_id, published_at)


def is_mns_queue(document: object) -> bool:
    return is_cloud_event(document, "mns:Queue:")


def mns_queue(document: object) -> Iterator[Item]:
    """A queue, through EventBridge; the subject names its region and account."""
    subject = optional_string(document, "subject") or ""
    message_id = f"mns-queue:{subject}:{required_string(document, 'data', 'messageId')}"
    body = required_string(document, "data", "messageBody")
    return links_in_message(body, message_id, optional_timestamp(document, "time"))


def is_timer(document: object) -> bool:
    return has_members(document, "triggerTime", "triggerName")


def timer(document: object) -> Iterator[Item]:
    """`{"triggerTime", "triggerName", "payload"}`; the payload is any string."""
    name = required_string(document, "triggerName")
    # Whatever else is invalid, a timer has fired.
    yield TimerTick(name)
    time = required_string(document, "triggerTime")
    fired_at = optional_timestamp(document, "triggerTime")
    if fired_at is None:
        raise InvalidEvent("triggerTime must be a time such as 2026-03-01T06:45:43Z")
    message = decode(optional_string(document, "payload"))
    if isinstance(message, dict) and not {"path", "links"}.isdisjoint(message):
        yield from requested_links(message, "timer", f"timer:{name}:{time}", fired_at)


def is_direct(document: object) -> bool:
    return isinstance(document, dict) and (set(document) == {"links"} or "path" in document)


def direct(document: object) -> Iterator[Item]:
    """`{"links": [{"path": "/reports/q3.pdf"}, …]}` or one such link, from any program. It has no id."""
    return requested_links(document, "message", "", None)
