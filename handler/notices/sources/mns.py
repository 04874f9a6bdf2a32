"""Simple Message Queue (MNS): a topic in JSON format, as a raw stream with or without attributes, and a queue."""

from __future__ import annotations

from collections.abc import Iterator

from .fields import is_cloud_event, member, optional_milliseconds, optional_moment, text
from .items import Item
from .message import parsed, wanted


class Topic:
    """`notifyContentFormat: JSON`: the message in an envelope."""

    name = "mns-topic"

    @staticmethod
    def recognise(document: object) -> bool:
        return isinstance(document, dict) and {"TopicName", "Message"} <= set(document)

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        message_id = f"mns-topic:{text(document, 'TopicName')}:{text(document, 'MessageId')}"
        at = optional_milliseconds(document, "PublishTime")
        yield from wanted(parsed(text(document, "Message")), "message", message_id, at)


class Stream:
    """`notifyContentFormat: STREAM`: the message's own bytes, which have no id; its invocation stands for it."""

    name = "mns-topic-stream"

    @staticmethod
    def recognise(document: object) -> bool:
        return isinstance(document, str) and bool(document)

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        yield from wanted(parsed(str(document)), "message", origin, None)


class StreamWithAttributes:
    """The same beside the message's attributes."""

    name = "mns-topic-stream"

    @staticmethod
    def recognise(document: object) -> bool:
        return isinstance(document, dict) and set(document) == {"body", "attrs"}

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        yield from wanted(parsed(text(document, "body")), "message", origin, None)


class Queue:
    """A queue, by way of EventBridge."""

    name = "mns-queue"

    @staticmethod
    def recognise(document: object) -> bool:
        return is_cloud_event(document, "mns:Queue:")

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        subject = member(document, "subject")
        message_id = f"mns-queue:{subject}:{text(document, 'data', 'messageId')}"
        body = parsed(text(document, "data", "messageBody"))
        yield from wanted(body, "message", message_id, optional_moment(document, "time"))
