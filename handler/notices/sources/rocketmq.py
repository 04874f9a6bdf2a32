"""RocketMQ: one CloudEvent, or an array of them."""

from __future__ import annotations

from collections.abc import Iterator

from .fields import is_cloud_event, optional_moment, text
from .items import Item
from .message import parsed, wanted


class RocketMq:
    """One message of a topic."""

    name = "rocketmq"

    @staticmethod
    def recognise(document: object) -> bool:
        return is_cloud_event(document, "mq:")

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        message_id = f"rocketmq:{text(document, 'data', 'topic')}:{text(document, 'id')}"
        body = parsed(text(document, "data", "body"))
        yield from wanted(body, "message", message_id, optional_moment(document, "time"))
