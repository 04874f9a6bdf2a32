"""What every room of the stand-in works with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from signer.credentials import Credentials

from .errors import no_such_bucket
from .storage import Bucket, Buckets, Record


@dataclass(frozen=True)
class CreatedObject:
    """An object that was just written; `etag` without quotes, `event_name` as in an OSS event."""

    bucket: str
    key: str
    size: int
    etag: str
    event_name: str


@dataclass(frozen=True)
class Service:
    """The stand-in: its storage, whom it knows, its clock (Unix seconds), and whom to tell of new objects."""

    buckets: Buckets
    region: str
    credentials: tuple[Credentials, ...]
    now: Callable[[], float]
    on_created: Callable[[CreatedObject], None] | None

    def bucket(self, name: str) -> Bucket:
        """Raises `OssError` NoSuchBucket."""
        found = self.buckets.get(name)
        if found is None:
            raise no_such_bucket(name)
        return found

    def created(self, bucket: Bucket, record: Record, operation: str) -> None:
        """Tells of a new object. The object is stored already, so a listener's fault does not undo the answer."""
        if self.on_created is None:
            return
        event = f"ObjectCreated:{operation}"
        try:
            self.on_created(CreatedObject(bucket.name, record.key, record.size, record.etag, event))
        except Exception as fault:
            print(f"oss: the listener for {event} failed with {type(fault).__name__}", file=sys.stderr)
