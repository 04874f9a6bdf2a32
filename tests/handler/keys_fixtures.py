"""Keys documents, tokens and a local OSS."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest

from handler.core.cloud import oss
from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient
from handler.core.config import Config, Location
from local.oss import create_app
from local.oss.storage import Buckets
from local.server import listen, serve
from signer import Credentials, Endpoint
from tests.handler.client import KEYS, NOW, make_config

REGION, BUCKET = "cn-hangzhou", "examplebucket"
PLACE = Location(BUCKET, ".links/keys.json")

READER = "fcp_reader_EXAMPLE_0000000000000000000000000000"
SHARER = "fcp_sharer_EXAMPLE_0000000000000000000000000000"
ENDED = "fcp_ended_EXAMPLE_00000000000000000000000000000"
STRANGER = "fcp_stranger_EXAMPLE_00000000000000000000000000"

ISSUER, AUDIENCE = "https://id.example.com", "links"
SECRET = b"an example of thirty-two bytes..."

LINKS = Path(__file__).parents[1].joinpath("links.toml").read_text("utf-8")


def base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def hash_of(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def api(name: str, key: str, **changes: object) -> dict[str, object]:
    """An API key's entry."""
    entry = {"id": name, "sha256": hash_of(key), "paths": ["/reports/"], "methods": ["GET"], "expires_at": None}
    return {**entry, **changes}


def issuer(**changes: object) -> dict[str, object]:
    """An HS256 issuer's entry; a member that is None is omitted."""
    entry: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "alg": "HS256",
        "secret": base64url(SECRET),
        "paths": ["/reports/"],
        "methods": ["GET"],
        **changes,
    }
    return {name: value for name, value in entry.items() if value is not None}


def document(**changes: object) -> dict[str, Any]:
    """A keys document with entries of every kind."""
    return {
        "version": 1,
        "share": [{"id": "old", "secret": base64url(b"o" * 32)}, {"id": "new", "secret": base64url(b"n" * 32)}],
        "api": [
            api("reader", READER),
            api("sharer", SHARER, methods=["GET", "SHARE"], expires_at="2026-03-01T06:51:11Z"),
            api("ended", ENDED, expires_at="2026-03-01T06:41:11Z"),
        ],
        "jwt": [issuer()],
        "sinks": {"team": {"kind": "webhook", "url": "https://hooks.example.com/EXAMPLE"}},
        **changes,
    }


def token(
    now: float = NOW,
    *,
    key: Any = SECRET,
    alg: str = "HS256",
    header: Mapping[str, Any] | None = None,
    **claims: Any,
) -> str:
    """A token that expires in ten minutes; a claim that is None is omitted."""
    members = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(now) + 600, **claims}
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None}, key, alg, dict(header or {})
    )


def config_with(keys: object, folder: Path, text: str = LINKS) -> Config:
    """A configuration whose keys document is a file with this content: bytes, or what is serialized as JSON."""
    path = folder / "keys.json"
    path.write_bytes(keys if isinstance(keys, bytes) else json.dumps(keys).encode())
    return make_config(text)._replace(keys_document=path)


class OssClock:
    """The real time, plus `offset` in seconds."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset


def watch_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list of the keys that the service requests from OSS from now on, "" for a list of objects."""
    keys: list[str] = []
    send = OssClient.request

    def record(client: OssClient, method: str, location: Location, **options: Any) -> oss.OssResponse:
        keys.append(location.key)
        return send(client, method, location, **options)

    monkeypatch.setattr(OssClient, "request", record)
    return keys


class LocalOss(NamedTuple):
    """A running local OSS with one bucket, and a client with the function's credentials."""

    url: str
    root: Path
    store: OssClient
    clock: OssClock

    @property
    def config(self) -> Config:
        return make_config(LINKS, {"LINK_OSS_ENDPOINT": self.url})

    def put(self, document: object, place: Location = PLACE, *, age: float = 0.0) -> None:
        """Stores an object, which OSS says is `age` seconds old."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        offset, self.clock.offset = self.clock.offset, self.clock.offset - age
        response = self.store.put(place, body, content_type="application/json", issued_at=self.clock.now())
        self.clock.offset = offset
        assert response.ok, response

    def get(self, place: Location = PLACE) -> Any:
        return json.loads(self.store.get(place).body)

    def change(self, key: str, *, seconds_older: float = 0, etag: str | None = None) -> None:
        """Changes what OSS knows about an object: when it was written, its ETag."""
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        opened = bucket.open(key)
        assert opened is not None
        record = replace(
            opened.record, modified=opened.record.modified - seconds_older, etag=etag or opened.record.etag
        )
        with bucket.draft() as draft:
            draft.write(opened.blocks())
            bucket.publish(draft, record)
        opened.close()

    def keys_below(self, prefix: str) -> list[str]:
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        return [key for key in bucket.all_keys() if key.startswith(prefix)]

    def enable_versioning(self) -> None:
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        bucket.change(versioning="Enabled")

    def remove_bucket(self) -> None:
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        bucket.path.rename(self.root / ".gone")


@contextmanager
def local_oss(root: Path, credentials: Credentials = KEYS) -> Iterator[LocalOss]:
    """Runs a local OSS, on the real clock unless the test changes its offset."""
    clock = OssClock()
    app = create_app(root, region=REGION, credentials=[credentials], buckets=[BUCKET], now=clock.now)
    server = serve(app, listen(0))
    try:
        store = OssClient(credentials, Endpoint.path_style(server.url, REGION), Connections())
        yield LocalOss(server.url, root, store, clock)
    finally:
        server.close()
