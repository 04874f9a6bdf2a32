"""A local OSS for the tests, and requests that are sent to it exactly as the tests write them."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from local.oss import CreatedObject
from signer import Credentials, Endpoint, v4
from signer import presign as sign_link

REGION = "cn-hangzhou"
BUCKET = "examplebucket"
KEYS = Credentials("STS.EXAMPLE", "secret-EXAMPLE", "CAIS+token/EXAMPLE==")
NOW = 1_764_000_000  # 2025-11-24T16:00:00Z


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


@dataclass
class FakeClock:
    """The clock of the local OSS: it stands still until a test moves it."""

    time: float = NOW

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class Cloud:
    """A running local OSS with one bucket."""

    url: str
    root: Path
    clock: FakeClock
    created: list[CreatedObject] = field(default_factory=list)
    credentials: Credentials = KEYS

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.path_style(self.url, REGION)

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
        defaults = {"credentials": self.credentials, "endpoint": self.endpoint, "expires_in": 600, "now": self.clock()}
        return sign_link(method, BUCKET, key, **{**defaults, **options}).url.removeprefix(self.url)

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
        issued_at = v4.timestamp(int(self.clock()))
        signed = {name.lower(): value for name, value in (headers or {}).items()}
        signed = {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD, **signed, "x-oss-date": issued_at}
        if self.credentials.security_token:
            signed["x-oss-security-token"] = self.credentials.security_token
        scope = v4.scope(issued_at[:8], region, product)
        request = v4.canonical_request(
            method,
            v4.canonical_path(bucket, v4.encode_key(key)) if bucket else "/",
            v4.canonical_query([v4.canonical_parameter(*pair) for pair in (query or {}).items()]),
            v4.canonical_headers({name: value for name, value in signed.items() if v4.is_always_signed(name)}),
            "",
            signed["x-oss-content-sha256"],
        )
        signing_key = v4.signing_key(self.credentials.access_key_secret, issued_at[:8], region, product)
        signature = v4.signature(signing_key, v4.string_to_sign(issued_at, scope, request))
        credential = f"{self.credentials.access_key_id}/{scope}"
        signed["authorization"] = f"{v4.ALGORITHM} Credential={credential},Signature={signature}"
        target = quote(f"/{bucket}/{key}" if bucket else "/", safe="/~")
        if query:
            target += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        return target, signed

    def put(self, key: str, body: bytes = b"content", headers: Mapping[str, str] | None = None) -> OssResponse:
        """Stores an object, which must succeed."""
        response = self.call("PUT", key, headers=headers, body=body)
        assert response.status == 200, response.body
        return response

    def get(self, key: str, headers: Mapping[str, str] | None = None, **query: str) -> OssResponse:
        return self.call("GET", key, query, headers)

    def set_versioning(self, status: str = "Enabled") -> None:
        """Sets the bucket's versioning."""
        document = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
        assert self.call("PUT", query={"versioning": ""}, body=document).status == 200


def etag_of(body: bytes) -> str:
    """The ETag of an object that was not uploaded in parts."""
    return f'"{hashlib.md5(body).hexdigest().upper()}"'
