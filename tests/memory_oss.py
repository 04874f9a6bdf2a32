"""OSS in memory, in place of the requests of the service's clients: without waiting, and the same for every input."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from functools import lru_cache
from hashlib import md5
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import quote, unquote

from handler.core.cloud.oss import MAX_BODY, OssClient, OssResponse, OssUnavailable
from handler.core.config import Location
from signer import presign
from signer.times import rfc3339
from tests.local_oss import BUCKET

_OPERATIONS = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}


class StoredObject(NamedTuple):
    body: bytes
    modified: float  # Unix seconds


class MemoryOss:
    """Buckets without versions, as far as the service asks them. It signs each request as the client does.

    `calls` counts operations; a call takes `latency` seconds, in which `work` says what happens.
    """

    def __init__(
        self,
        objects: Mapping[Location, bytes],
        now: Callable[[], float] = lambda: time.time(),
        work: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.latency = 0.0
        self._first = objects
        self.now = now
        self._work = work
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Goes back to the objects of the start."""
        self.objects: dict[Location, StoredObject] = {}
        self._places: list[Location] = []
        for (bucket, key), body in self._first.items():
            self.fill({key: body}, bucket)

    def fill(self, objects: Mapping[str, bytes], bucket: str = BUCKET) -> None:
        """Adds many objects by their keys."""
        now = self.now()
        with self._lock:
            self.objects |= {
                Location(bucket, key): StoredObject(body, now) for key, body in objects.items()
            }
            self._places = sorted(self.objects)

    def keys(self, prefix: str = "", bucket: str = BUCKET) -> list[str]:
        with self._lock:
            first, end = (
                bisect_left(self._places, Location(bucket, prefix + last))
                for last in ("", "\U0010ffff")
            )
            return [place.key for place in self._places[first:end]]

    def read(self, key: str, bucket: str = BUCKET) -> bytes:
        return self.objects[Location(bucket, key)].body

    @contextmanager
    def refusing(
        self, prefix: str, status: int = 503, code: str = "ServiceUnavailable"
    ) -> Iterator[None]:
        """Refuses what concerns objects whose keys begin so, and lists of these."""
        answer = self.answer

        def refuse(
            method: str, place: Location, query: Mapping[str, str], *rest: Any
        ) -> OssResponse:
            is_refused = (place.key or query["prefix"]).startswith(prefix)
            return (
                self.respond(status, code=code)
                if is_refused
                else answer(method, place, query, *rest)
            )

        with patch.object(self, "answer", refuse):
            yield

    def answer(
        self,
        method: str,
        place: Location,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> OssResponse:
        if self.latency:
            self._work(self.latency)
        with self._lock:
            self.calls[_OPERATIONS.get(method, method) if place.key else "ListObjects"] += 1
            if not place.key:
                return self._list(place.bucket, query)
            stored = self.objects.get(place)
            if method == "PUT":
                return self._put(place, stored, headers, body)
            if method == "POST":
                return self.respond(
                    200, b"<R><UploadId>0004B9894A22E5B1888A1E29F823</UploadId></R>"
                )
            if method == "DELETE":
                if self.objects.pop(place, None) is not None:
                    del self._places[bisect_left(self._places, place)]
                return self.respond(204)
            if stored is None:
                return self.respond(404, code="NoSuchKey")
            response = self.respond(200, stored.body, modified=stored.modified)
            return response if method == "GET" else response._replace(body=b"")

    def _put(
        self, place: Location, stored: StoredObject | None, headers: Mapping[str, str], body: bytes
    ) -> OssResponse:
        if stored is not None and "x-oss-forbid-overwrite" in headers:
            return self.respond(409, code="FileAlreadyExists")
        source = unquote(headers.get("x-oss-copy-source", ""))
        if source:
            copied = self.objects.get(Location(*source.lstrip("/").split("/", 1)))
            if copied is None:
                return self.respond(404, code="NoSuchKey")
            body = copied.body
        if stored is None:
            insort(self._places, place)
        self.objects[place] = StoredObject(body, self.now())
        return self.respond(200)

    def _list(self, bucket: str, query: Mapping[str, str]) -> OssResponse:
        """A page of a list, as ListObjectsV2 has it: with the delimiter "/", or with none. A token is the last name."""
        prefix, limit = query.get("prefix", ""), int(query.get("max-keys", "100"))
        last = unquote(query.get("continuation-token", "")) or query.get("start-after", "")
        is_folder = "delimiter" in query and len(last) > len(prefix) and last.endswith("/")
        after = f"{last[:-1]}0" if is_folder else f"{last}\0"  # "0" follows "/"
        position = bisect_left(self._places, Location(bucket, max(after, prefix)))
        entries = list[str]()
        folders = dict[str, None]()
        token = ""
        while position < len(self._places):
            key = self._places[position].key
            if self._places[position].bucket != bucket or not key.startswith(prefix):
                break
            if len(entries) + len(folders) == limit:
                token = last
                break
            folder, is_below, _ = key[len(prefix) :].partition("/")
            if is_below and "delimiter" in query:
                last = f"{prefix}{folder}/"
                folders[last] = None
                position = bisect_left(self._places, Location(bucket, f"{prefix}{folder}0"))
                continue
            body, modified = self.objects[Location(bucket, key)]
            entries.append(
                f"<Contents><Key>{quote(key)}</Key><LastModified>{rfc3339(modified)}</LastModified>"
                f"<ETag>{_etag(body)}</ETag><Size>{len(body)}</Size></Contents>"
            )
            last, position = key, position + 1
        entries += [
            f"<CommonPrefixes><Prefix>{quote(each)}</Prefix></CommonPrefixes>" for each in folders
        ]
        entries.append(f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>")
        if token:
            entries.append(f"<NextContinuationToken>{quote(token)}</NextContinuationToken>")
        return self.respond(
            200, f"<ListBucketResult>{''.join(entries)}</ListBucketResult>".encode()
        )

    def respond(
        self, status: int, body: bytes = b"", code: str = "", *, modified: float | None = None
    ) -> OssResponse:
        date = _date(int(self.now()))
        written = date if modified is None else _date(int(modified))
        headers = {
            "date": date,
            "last-modified": written,
            "etag": _etag(body),
            "content-length": str(len(body)),
        }
        return OssResponse(status, headers, body, code)


@lru_cache(maxsize=1024)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=1024)
def _etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest().upper()}"'


@contextmanager
def memory_oss(
    objects: Mapping[Location, bytes],
    now: Callable[[], float] = lambda: time.time(),
    work: Callable[[float], None] = lambda seconds: None,
) -> Iterator[MemoryOss]:
    """Answers every request of the service's clients."""
    memory = MemoryOss(objects, now, work)

    def request(
        client: OssClient,
        method: str,
        location: Location,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        unsigned: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retry: bool = True,
        issued_at: float | None = None,
    ) -> OssResponse:
        signed = {"credentials": client.credentials, "endpoint": client.endpoint}
        presign(
            method,
            location.bucket,
            location.key or None,
            query=query,
            headers=headers,
            now=now(),
            **signed,  # type: ignore[arg-type]
        )
        response = memory.answer(method, location, query or {}, headers or {}, body or b"")
        if len(response.body) > MAX_BODY:
            raise OssUnavailable("The object is too large.")
        time.sleep(0)  # other threads go on, as they do while one waits for OSS
        return response

    with patch.object(OssClient, "request", request):
        yield memory
