"""New objects in a bucket: the native OSS trigger, and the same record in a CloudEvent of EventBridge.

Source: the Function Compute page on OSS triggers; OSS page "Event notifications" for the names. Keys are not
URL-encoded and are used as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from .fields import (
    InvalidEvent,
    is_cloud_event,
    member,
    optional_integer,
    optional_string,
    optional_timestamp,
)
from .fields import required_string as required
from .items import CreatedObject, InvalidEntry, Item, SkippedRecord

# The ObjectCreated events after which there is an object to link; UploadPart, for one, leaves none.
CREATED = frozenset(
    f"ObjectCreated:{operation}"
    for operation in (
        "PutObject",
        "PostObject",
        "CopyObject",
        "AppendObject",
        "CompleteMultipartUpload",
    )
)
# The version id of what is written to a bucket without versions, or while they are suspended.
UNVERSIONED = "null"


def is_trigger(document: object) -> bool:
    return member(document, "events") is not None


def trigger(document: object) -> Iterator[Item]:
    """`{"events": [record, …]}`."""
    records = member(document, "events")
    if not isinstance(records, list) or not records:
        raise InvalidEvent("events must be a list with at least one record")
    for number, record in enumerate(records, 1):
        try:
            yield _read_record(record)
        except InvalidEvent as error:
            yield InvalidEntry(f"record {number}: {error.sentence}")


def is_event_of_bus(document: object) -> bool:
    return is_cloud_event(document, "oss:") or (
        member(document, "source") == "acs.oss" and member(document, "data", "oss") is not None
    )


def event_of_bus(document: object) -> Iterator[Item]:
    """The record under `data`; the event's own type has the prefix oss:."""
    yield _skipped(required(document, "type")) or _read_record(member(document, "data"))


def _read_record(record: object) -> CreatedObject | SkippedRecord:
    if skipped := _skipped(required(record, "eventName")):
        return skipped
    key = required(record, "oss", "object", "key")
    if key.endswith("/"):  # a folder, which consoles keep as an empty object
        return SkippedRecord("folder")
    version = optional_string(record, "oss", "object", "versionId")
    if version == UNVERSIONED:
        version = None
    # Quotes belong to the header ETag, and its hexadecimal digits are written in either case.
    etag = (optional_string(record, "oss", "object", "eTag") or "").strip('"').upper()
    if not version and not etag:
        raise InvalidEvent("oss.object.eTag is missing or empty (expected a string)")
    return CreatedObject(
        bucket=required(record, "oss", "bucket", "name"),
        key=key,
        mark=f"{version}/{etag}" if version else etag,
        version=version,
        size=optional_integer(record, "oss", "object", "size"),
        happened_at=optional_timestamp(record, "eventTime"),
    )


def _skipped(event_name: str) -> SkippedRecord | None:
    event_name = event_name.removeprefix("oss:")
    if event_name in CREATED:
        return None
    return SkippedRecord("deletion" if event_name.startswith("ObjectRemoved:") else "other_event")
