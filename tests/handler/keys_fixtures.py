"""Keys documents and tokens."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest

from handler.core.cloud import oss
from handler.core.cloud.oss import OssClient
from handler.core.config import Config, Location
from tests.handler.client import NOW, make_config

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
    entry = {
        "id": name,
        "sha256": hash_of(key),
        "paths": ["/reports/"],
        "methods": ["GET"],
        "expires_at": None,
    }
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
        "share": [
            {"id": "old", "secret": base64url(b"o" * 32)},
            {"id": "new", "secret": base64url(b"n" * 32)},
        ],
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
        {name: value for name, value in members.items() if value is not None},
        key,
        alg,
        dict(header or {}),
    )


def write_keys(keys: object, folder: Path) -> Path:
    """A new file, so that none is cached, with this content: bytes, or what is serialized as JSON."""
    path = folder / f"keys-{uuid4()}.json"
    path.write_bytes(keys if isinstance(keys, bytes) else json.dumps(keys).encode())
    return path


def config_with(
    keys: object, folder: Path, text: str = LINKS, environ: Mapping[str, str] | None = None
) -> Config:
    """A configuration whose keys document is a file with this content."""
    return make_config(text, environ)._replace(keys_document=write_keys(keys, folder))


def watch_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list of the keys that the service requests from OSS from now on, "" for a list of objects."""
    keys: list[str] = []
    send = OssClient.request

    def record(
        client: OssClient, method: str, location: Location, **options: Any
    ) -> oss.OssResponse:
        keys.append(location.key)
        return send(client, method, location, **options)

    monkeypatch.setattr(OssClient, "request", record)
    return keys
