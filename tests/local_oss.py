"""A local OSS with one bucket on the loopback, and requests that are sent to it exactly as the tests write them."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient
from handler.core.config import Config, Location
from handler.core.context import Clock
from signer import Credentials, Endpoint, v4
from signer import presign as sign_link
from signer.emulator.oss import CreatedObject, create_app
from signer.emulator.oss.storage import Bucket, Buckets
from signer.emulator.ram import Principals
from signer.emulator.server import listen, serve
from tests.handler.client import KEYS, make_config
from tests.handler.keys_fixtures import LINKS

REGION, BUCKET = "cn-hangzhou", "examplebucket"
PLACE = Location(BUCKET, ".links/keys.json")
NOW = 1_764_000_000  # 2025-11-24T16:00:00Z


class FakeClock:
    """A clock that a test moves: ahead of the real one, or of a time at which it stands still.

    Its pauses (in seconds) only move it: nobody waits.
    """

    def __init__(self, start: float | None = None) -> None:
        self.pauses: list[float] = []
        self.moved = 0.0
        self._stands = start is not None
        self._start: Callable[[], float] = (
            (lambda: time.time()) if start is None else (lambda: start)
        )
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._start() + self.moved

    def set(self, now: float) -> None:
        self.moved += now - self.now()

    def clock(self) -> Clock:
        return Clock(self.now, lambda: time.monotonic() + self.moved, self.sleep)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.pauses.append(seconds)
            self.moved += seconds

    def work(self, seconds: float) -> None:
        """What takes so long."""
        self.moved += seconds

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """So many seconds later, and what is signed meanwhile."""
        now = time.time
        own = seconds if self._stands else 0.0  # otherwise it follows `time.time`
        self.moved += own
        try:
            with patch.object(time, "time", lambda: now() + seconds):
                yield
        finally:
            self.moved -= own

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Moves `time.time` as well, so that OSS and its signatures follow."""
        self._start = time.time
        with patch.object(time, "time", self.now):
            yield


@dataclass(frozen=True)
class OssResponse:
    """Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The Code of an error document."""
        return self.text("Code")

    def text(self, name: str) -> str:
        """The text of the first element of this name."""
        return next((element.text or "" for element in self.xml.iter(name)), "")

    def texts(self, name: str) -> list[str]:
        """The texts of all elements of this name."""
        return [element.text or "" for element in self.xml.iter(name)]

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)


@dataclass(frozen=True)
class LocalOss:
    """A running local OSS with one bucket; the default is one that nobody reaches."""

    url: str = "http://127.0.0.1:9"
    root: Path = Path()
    clock: FakeClock = field(default_factory=FakeClock)
    created: list[CreatedObject] = field(default_factory=list)
    credentials: Credentials = KEYS

    def app(self, principals: Principals | None = None, *buckets: str) -> Any:
        """What runs it, for these credentials or those of this one, with more buckets."""
        return create_app(
            self.root,
            region=REGION,
            credentials=principals or [self.credentials],
            buckets=[BUCKET, *buckets],
            now=self.clock.now,
            on_created=self.created.append,
        )

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.path_style(self.url, REGION)

    @cached_property
    def client(self) -> OssClient:
        """The service's own, with these credentials."""
        return OssClient(self.credentials, self.endpoint, Connections())

    @property
    def config(self) -> Config:
        """That of tests/links.toml."""
        return make_config(LINKS, {"LINK_OSS_ENDPOINT": self.url})

    # What is stored, without a request

    def bucket(self, name: str = BUCKET) -> Bucket:
        """What is stored, in a bucket that is made where it does not exist."""
        buckets = Buckets(self.root)
        return buckets.get(name) or buckets.create(name, self.clock.now())

    def keys(self, prefix: str = "") -> list[str]:
        """The keys of all objects that begin so, in order."""
        return sorted(key for key in self.bucket().all_keys() if key.startswith(prefix))

    def change(self, key: str, *, seconds_older: float = 0, etag: str | None = None) -> None:
        """Changes what OSS knows about an object: when it was written, its ETag."""
        bucket = self.bucket()
        opened = bucket.open(key)
        assert opened is not None
        record = replace(
            opened.record,
            modified=opened.record.modified - seconds_older,
            etag=etag or opened.record.etag,
        )
        with bucket.draft() as draft:
            draft.write(opened.blocks())
            bucket.publish(draft, record)
        opened.close()

    # Requests

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> OssResponse:
        """Sends exactly this request target and adds no signature. An iterable is sent in chunks."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, target, body, dict(headers or {}), encode_chunked=chunked)
            response = connection.getresponse()
            headers_received = {name.lower(): value for name, value in response.getheaders()}
            return OssResponse(response.status, headers_received, response.read())
        finally:
            connection.close()

    def link(self, method: str, key: str, **options: Any) -> str:
        """The request target of a URL that is presigned with these options, by default for ten minutes."""
        defaults = {"credentials": self.credentials, "endpoint": self.endpoint, "expires_in": 600}
        options = {**defaults, "now": self.clock.now(), **options}
        return sign_link(method, BUCKET, key, **options).url.removeprefix(self.url)

    def call(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        *,
        bucket: str = BUCKET,
    ) -> OssResponse:
        """Sends a request that is signed in its Authorization header."""
        target, signed = self.signed(method, key, query, headers, bucket=bucket)
        return self.send(method, target, signed, body)

    def signed(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        bucket: str = BUCKET,
        region: str = REGION,
        product: str = "oss",
    ) -> tuple[str, dict[str, str]]:
        """The request target, and the headers with an Authorization of now. A header that is passed is kept."""
        issued_at = v4.timestamp(int(self.clock.now()))
        signed = {name.lower(): value for name, value in (headers or {}).items()}
        signed = {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD, **signed, "x-oss-date": issued_at}
        if self.credentials.security_token:
            signed["x-oss-security-token"] = self.credentials.security_token
        scope = v4.scope(issued_at[:8], region, product)
        request = v4.canonical_request(
            method,
            v4.canonical_path(bucket, v4.encode_key(key)) if bucket else "/",
            v4.canonical_query([v4.canonical_parameter(*pair) for pair in (query or {}).items()]),
            v4.canonical_headers(
                {name: value for name, value in signed.items() if v4.is_always_signed(name)}
            ),
            "",
            signed["x-oss-content-sha256"],
        )
        signing_key = v4.signing_key(
            self.credentials.access_key_secret, issued_at[:8], region, product
        )
        signature = v4.signature(signing_key, v4.string_to_sign(issued_at, scope, request))
        credential = f"{self.credentials.access_key_id}/{scope}"
        signed["authorization"] = f"{v4.ALGORITHM} Credential={credential},Signature={signature}"
        target = quote(f"/{bucket}/{key}" if bucket else "/", safe="/~")
        if query:
            target += "?" + "&".join(
                f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()
            )
        return target, signed

    def put(
        self, key: str, body: bytes = b"content", headers: Mapping[str, str] | None = None
    ) -> OssResponse:
        """Stores an object, which must succeed."""
        response = self.call("PUT", key, headers=headers, body=body)
        assert response.status == 200, response.body
        return response

    def get(self, key: str, headers: Mapping[str, str] | None = None, **query: str) -> OssResponse:
        return self.call("GET", key, query, headers)

    def put_keys(self, document: object) -> None:
        """Stores a keys document."""
        self.put(PLACE.key, json.dumps(document).encode())

    def keys_document(self) -> Any:
        return json.loads(self.get(PLACE.key).body)

    def set_versioning(self, status: str = "Enabled") -> None:
        """Sets the bucket's versioning."""
        document = (
            f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
        )
        assert self.call("PUT", query={"versioning": ""}, body=document).status == 200


@contextmanager
def local_oss(
    root: Path,
    principals: Principals | None = None,
    clock: FakeClock | None = None,
    through: Callable[[Any], Any] = lambda app: app,
) -> Iterator[LocalOss]:
    """Runs a local OSS, on the real clock unless the test has another; requests go through what a test puts before."""
    oss = LocalOss(root=root, clock=clock or FakeClock())
    with closing(serve(through(oss.app(principals)), listen(0))) as server:
        yield replace(oss, url=server.url)


def etag_of(body: bytes) -> str:
    """The ETag of an object that was not uploaded in parts."""
    return f'"{hashlib.md5(body).hexdigest().upper()}"'
