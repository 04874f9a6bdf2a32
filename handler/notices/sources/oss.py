"""Objects that landed in a bucket: the native OSS trigger, and the same record in a CloudEvent of EventBridge.

Source: the Function Compute page on OSS triggers; OSS page "Event notifications" for the names. Keys are plain, not
URL-encoded, and are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from .fields import Malformed, is_cloud_event, member, optional_moment, optional_text, optional_whole, text
from .items import Created, Fault, Item, Skipped

# Of all that happens below ObjectCreated these leave an object that can be linked; a part of an upload is none yet.
CREATED = frozenset(
    f"ObjectCreated:{operation}"
    for operation in ("PutObject", "PostObject", "CopyObject", "AppendObject", "CompleteMultipartUpload")
)


class Native:
    """`{"events": [record, …]}`."""

    name = "oss"

    @staticmethod
    def recognise(document: object) -> bool:
        return member(document, "events") is not None

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        records = member(document, "events")
        if not isinstance(records, list) or not records:
            raise Malformed("events is no list with at least one record")
        for number, record in enumerate(records, 1):
            try:
                yield read_record(record)
            except Malformed as error:
                yield Fault(f"record {number}: {error.sentence}")


class CloudEvent:
    """The record under `data`; the event's own type has the prefix oss:."""

    name = "eventbridge"

    @staticmethod
    def recognise(document: object) -> bool:
        return is_cloud_event(document, "oss:") or (
            member(document, "source") == "acs.oss" and member(document, "data", "oss") is not None
        )

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        kind = text(document, "type").removeprefix("oss:")
        skipped = _skipped(kind)
        yield skipped or read_record(member(document, "data"))


def read_record(record: object) -> Created | Skipped:
    """One OSS record. Raises `Malformed`."""
    skipped = _skipped(text(record, "eventName").removeprefix("oss:"))
    if skipped:
        return skipped
    version = optional_text(record, "oss", "object", "versionId")
    etag = text(record, "oss", "object", "eTag") if version is None else ""
    return Created(
        bucket=text(record, "oss", "bucket", "name"),
        key=text(record, "oss", "object", "key"),
        mark=version or etag,
        size=optional_whole(record, "oss", "object", "size"),
        happened_at=optional_moment(record, "eventTime"),
    )


def _skipped(event_name: str) -> Skipped | None:
    if event_name in CREATED:
        return None
    return Skipped("deletion" if event_name.startswith("ObjectRemoved:") else "other_event")
