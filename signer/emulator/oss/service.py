"""What the handlers of the local OSS share: storage, principals, clock and listeners."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Call(NamedTuple):
    """What a request asks for; `operation` is OSS's name or "", as bucket and key are where the address has neither."""

    method: str
    operation: str
    bucket: str
    key: str


class Observer(Protocol):
    """What a test has to say about requests. It is asked in the threads of the requests."""

    def before(self, call: Call) -> None:
        """Before what is allowed is done. May wait, or raise `OssError`; `ConnectionResetError` ends the connection."""

    def after(self, call: Call, status: int | None, code: str) -> None:
        """Before the response is sent; `status` is None for a connection that ends, `code` that of an error or ""."""

    def elapsed(self, bucket: str, issued_at: float | None) -> float:
        """Seconds that have passed, besides real ones, since what was signed then, or at an unknown time."""


class NoObserver:
    """Lets requests pass."""

    def before(self, call: Call) -> None:
        pass

    def after(self, call: Call, status: int | None, code: str) -> None:
        pass

    def elapsed(self, bucket: str, issued_at: float | None) -> float:
        return 0


class Settings(NamedTuple):
    """`serves_packages` says of a bucket and key whether the address of this machine stands for an endpoint that
    serves app packages. `address` is a host, with its port, under which `{bucket}.` names the bucket. Without
    `accepts_v1`, signatures of version 1 are refused, as in new buckets.
    """

    serves_packages: Callable[[str, str], bool] = lambda bucket, key: False
    observer: Observer = NoObserver()
    address: str = ""
    accepts_v1: bool = True


@dataclass(frozen=True)
class Service:
    """`principals` finds who signs with an access key ID; `now` is the clock, in Unix seconds; `on_created` is called
    with every object that was written.
    """

    buckets: Buckets
    region: str
    principals: Callable[[str], Principal | None]
    now: Callable[[], float]
    settings: Settings
    on_created: Callable[[CreatedObject], None] | None = None

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
