"""Sources that request links: Simple Message Queue (MNS), Kafka, RocketMQ, timers, and a direct invocation.

`origin` identifies the invocation, for messages that have no id of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from .fields import (
    InvalidEvent,
    decode,
    member,
    optional_integer,
    optional_milliseconds,
    optional_string,
    optional_timestamp,
    required_string,
)
from .items import Item, TimerTick, links_in_message, requested_links


def mns_topic(document: object, origin: str) -> Iterator[Item]:
    """A topic with `notifyContentFormat: JSON`: the message in an envelope."""
    message_id = f"mns-topic:{required_string(document, 'TopicName')}:{required_string(document, 'MessageId')}"
    published_at = optional_milliseconds(document, "PublishTime")
    return links_in_message(required_string(document, "Message"), message_id, published_at)


def is_mns_stream(document: object) -> bool:
    if isinstance(document, dict):
        return set(document) == {"body", "attrs"}
    return isinstance(document, str) and bool(document)


def mns_stream(document: object, origin: str) -> Iterator[Item]:
    """A topic with `notifyContentFormat: STREAM`: the message alone, or beside its attributes. It has no id."""
    body = document if isinstance(document, str) else required_string(document, "body")
    return links_in_message(body, origin, None)


def mns_queue(document: object, origin: str) -> Iterator[Item]:
    """A queue, through EventBridge; the subject names its region and account."""
    facts = optional_string(document, "subject"), required_string(document, "data", "messageId")
    body = required_string(document, "data", "messageBody")
    return links_in_message(body, _message_id("mns-queue", *facts), optional_timestamp(document, "time"))


def kafka(document: object, origin: str) -> Iterator[Item]:
    """One record of a topic, identified by its place and time.

    Topic, partition and offset repeat in another instance, and after a topic was deleted and created again. The
    instance is part of the subject, or the member `InstanceId` where the record came through an event bus.
    """
    data = member(document, "data")
    partition, offset = optional_integer(data, "partition"), optional_integer(data, "offset")
    if partition is None or offset is None:
        raise InvalidEvent("data.partition or data.offset is missing")
    # Brokers that keep no time say -1.
    created_at = None if member(data, "timestamp") == -1 else optional_milliseconds(data, "timestamp")
    facts = (
        optional_string(document, "subject"),
        optional_string(data, "InstanceId"),
        required_string(data, "topic"),
        partition,
        offset,
        member(data, "timestamp"),
    )
    return links_in_message(required_string(data, "value"), _message_id("kafka", *facts), created_at)


def rocketmq(document: object, origin: str) -> Iterator[Item]:
    """One message of a topic; the instance is part of the subject, or a system property."""
    facts = (
        optional_string(document, "subject"),
        optional_string(document, "data", "systemProperties", "INSTANCE_ID"),
        required_string(document, "data", "topic"),
        required_string(document, "id"),
    )
    body = required_string(document, "data", "body")
    return links_in_message(body, _message_id("rocketmq", *facts), optional_timestamp(document, "time"))


def timer(document: object, origin: str) -> Iterator[Item]:
    """`{"triggerTime", "triggerName", "payload"}`; the payload is any string."""
    name = required_string(document, "triggerName")
    # Whatever else is invalid, a timer has fired.
    yield TimerTick(name)
    time = required_string(document, "triggerTime")
    fired_at = optional_timestamp(document, "triggerTime")
    message = decode(optional_string(document, "payload"))
    if isinstance(message, dict) and not {"path", "links"}.isdisjoint(message):
        yield from requested_links(message, "timer", f"timer:{name}:{time}", fired_at)


def is_direct(document: object) -> bool:
    return isinstance(document, dict) and (set(document) == {"links"} or "path" in document)


def direct(document: object, origin: str) -> Iterator[Item]:
    """`{"links": [{"path": "/reports/q3.pdf"}, …]}` or one such link, from a program or a stream that carries JSON."""
    return requested_links(document, "message", origin, None)


def _message_id(source: str, *facts: str | int | None) -> str:
    """`kafka:subject:…`; a fact that the event does not state is empty."""
    return ":".join([source, *("" if fact is None else str(fact) for fact in facts)])
