"""Kafka: an array of JSON texts, each a CloudEvent; inside other shapes the CloudEvent itself."""

from __future__ import annotations

from collections.abc import Iterator

from .fields import Malformed, is_cloud_event, member, optional_milliseconds, optional_whole, text
from .items import Item
from .message import parsed, wanted


class Kafka:
    """One record of a topic; topic, partition and offset tell it from every other one."""

    name = "kafka"

    @staticmethod
    def recognise(document: object) -> bool:
        return is_cloud_event(document, "alikafka:")

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        data = member(document, "data")
        place = (optional_whole(data, "partition"), optional_whole(data, "offset"))
        if None in place:
            raise Malformed("data.partition or data.offset is missing")
        record_id = f"kafka:{text(data, 'topic')}:{place[0]}:{place[1]}"
        yield from wanted(parsed(text(data, "value")), "message", record_id, optional_milliseconds(data, "timestamp"))
