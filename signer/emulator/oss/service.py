"""What the handlers of the local OSS share: storage, principals, clock and listeners."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..ram import Principal
from .errors import no_such_bucket
from .storage import Bucket, Buckets, ObjectRecord


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
    """`principals` finds who signs with an access key ID; `now` is the clock, in Unix seconds; `on_created` is called
    with every object that was written; `serves_packages` says of a bucket and key whether the address of this machine
    stands for an endpoint that serves app packages.
    """

    buckets: Buckets
    region: str
    principals: Callable[[str], Principal | None]
    now: Callable[[], float]
    on_created: Callable[[CreatedObject], None] | None = None
    serves_packages: Callable[[str, str], bool] = lambda bucket, key: False

    def bucket(self, name: str) -> Bucket:
        """Raises `OssError` NoSuchBucket."""
        bucket = self.buckets.get(name)
        if bucket is None:
            raise no_such_bucket(name)
        return bucket

    def created(self, bucket: Bucket, record: ObjectRecord, operation: str) -> None:
        """Calls the listener. The object is stored already, so an exception of the listener changes no response."""
        if self.on_created is None:
            return
        event = f"ObjectCreated:{operation}"
        try:
            self.on_created(
                CreatedObject(
                    bucket=bucket.name,
                    key=record.key,
                    size=record.size,
                    etag=record.etag,
                    event_name=event,
                )
            )
        except Exception as error:
            print(
                f"oss: the listener for {event} failed with {type(error).__name__}", file=sys.stderr
            )
