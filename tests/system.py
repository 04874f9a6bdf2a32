"""The system of the tests: a bucket, a keys document and a configuration, and the service of these in one instance.

Most have the mounts of links.toml and the callers of `keys`. Requests go through the real entry point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from handler.core.cloud.oss import OssResponse
from handler.core.config import Config, Location, Mounts
from signer import Endpoint
from tests.handler.client import NOW, Answered, event, invoke, make_config, new_instance
from tests.handler.keys_fixtures import LINKS as LINKS
from tests.handler.keys_fixtures import READER, api, base64url, document, write_keys
from tests.local_oss import BUCKET, FakeClock, LocalOss, local_oss
from tests.memory_oss import MemoryOss

HOST = "https://links.example.com"
STATE = ".links/state/"
DAY = 86_400  # seconds
MAKER = "fcp_maker_EXAMPLE_00000000000000000000000000000"
OTHER = "fcp_other_EXAMPLE_00000000000000000000000000000"
WRITER = "fcp_writer_EXAMPLE_0000000000000000000000000000"
ALICE = "fcp_alice_EXAMPLE_00000000000000000000000000000"
EXPIRING = "fcp_ending_EXAMPLE_0000000000000000000000000000"

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}  # as a browser sends it
JSON = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def keys(**changes: object) -> dict[str, Any]:
    """A keys document of two share keys and a caller for each need; `changes` replace its members."""
    downloads = ["/reports/", "/checked/", "/open/", "/unshared/"]
    callers = [
        api("maker", MAKER, paths=downloads, methods=["GET", "SHARE"]),
        api("other", OTHER, paths=["/other/"], methods=["GET", "SHARE"]),
        api("reader", READER, paths=downloads, methods=["GET"]),
        api(
            "writer",
            WRITER,
            paths=["/team/", "/both/", "/in/"],
            methods=["GET", "PUT", "POST", "SHARE"],
        ),
        api("alice", ALICE, paths=["/team/alice/"], methods=["PUT", "POST"]),
        api(
            "ending",
            EXPIRING,
            paths=["/team/"],
            methods=["PUT", "POST"],
            expires_at="2026-03-01T06:51:11Z",
        ),
    ]
    return document(**{"api": callers, **changes})


def secret_of(url: str) -> str:
    """The secret in the address of a share."""
    return dict(parse_qsl(urlsplit(url).query))["share"]


def share_id(url: str) -> str:
    """The id of the share with an address."""
    return base64url(sha256(secret_of(url).encode()).digest())[:12]


def nonce_of(page: Answered) -> str:
    """The nonce in the form of a page."""
    match = re.search(r'name="nonce" value="([A-Za-z0-9_-]+)"', page.body)
    assert match is not None
    return match[1]


def share_key(name: str) -> dict[str, str]:
    """A share key's entry."""
    return {"id": name, "secret": base64url(name.encode().ljust(32, b"."))}


Self = TypeVar("Self", bound="System")


class System:
    """The service with this links.toml in one instance, at the time of `clock`, which stands still.

    What a request is later than that, its OSS is later too. `oss` runs, where a test needs one. `memory` takes its
    place for all requests of the service.
    """

    memory: MemoryOss

    def __init__(
        self,
        folder: Path,
        links: str = LINKS,
        oss: LocalOss | None = None,
        now: float | None = NOW,
        **environ: str,
    ) -> None:
        self.folder = folder
        self.oss = oss or LocalOss()
        self.clock = FakeClock(now)
        environ = {**({"LINK_OSS_ENDPOINT": oss.url} if oss else {}), **environ}
        self.instance = new_instance(make_config(links, environ), self.now)
        self._passed = 0.0

    @property
    def config(self) -> Config:
        return self.instance.config

    @property
    def now(self) -> float:
        return self.clock.now()

    def restarted(self: Self) -> Self:
        """The service in a new instance."""
        return self.with_config()

    def with_keys(self: Self, **changes: object) -> Self:
        """The service after a change of its keys document."""
        return self.with_config(keys_document=write_keys(keys(**changes), self.folder))

    def with_config(self: Self, **changes: Any) -> Self:
        other = copy(self)
        other.instance = new_instance(self.config._replace(**changes), self.now)
        return other

    def with_mount(self: Self, path: str, /, **changes: Any) -> Self:
        """The service after a change of the mount at a path."""
        mounts = (
            mount._replace(**changes) if mount.path == path else mount
            for mount in self.config.mounts
        )
        return self.with_config(mounts=Mounts(mounts, self.config.mounts.reserved))

    def at(self: Self, url: str, region: str = "cn-hangzhou") -> Self:
        """The service whose OSS is at another address."""
        endpoint = Endpoint.path_style(url, region)
        mounts = [
            mount._replace(endpoint=endpoint, own_endpoint=endpoint) for mount in self.config.mounts
        ]
        return self.with_config(
            mounts=Mounts(mounts, self.config.mounts.reserved), own_endpoint=endpoint
        )

    def later(self: Self, seconds: float) -> Self:
        """The same instance, so many seconds later."""
        other = copy(self)
        other.clock = FakeClock(self.now + seconds)
        other._passed += seconds
        return other

    def request(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        params: object = ...,
        body: str = "",
        now: float | None = None,
        domain: str | None = None,
        key: str | None = None,
    ) -> Answered:
        """The response to a request for a percent-encoded path; `params` become a body of JSON."""
        sent = dict(headers or {})
        if params is not ...:
            sent, body = {**JSON, **sent, "Content-Type": "application/json"}, json.dumps(params)
        if key:
            sent["Authorization"] = f"Bearer {key}"
        http_event = event(path, method, query, sent, body=body, isBase64Encoded=False)
        if domain is not None:
            http_event["requestContext"]["domainName"] = domain
        return self.send(http_event, self.now if now is None else now)

    def send(self, http_event: dict[str, Any], now: float) -> Answered:
        with self.oss.clock.later(self._passed + now - self.now):
            return invoke(json.dumps(http_event), instance=self.instance, now=now)

    def post(
        self,
        path: str,
        params: object,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answered:
        """The response to a POST of JSON."""
        return self.request(path, "POST", query, params=params, key=key, **options)

    # Shares

    def request_share(
        self,
        key: str | None = MAKER,
        *,
        now: float | None = None,
        domain: str | None = None,
        **params: Any,
    ) -> Answered:
        """The response to a request for a new share of /reports/q3.pdf, or of the path in `params`.

        The object need not exist, unless `allow_missing` in `params` says so.
        """
        params = {"path": "/reports/q3.pdf", "allow_missing": True, **params}
        return self.post("/-/shares", params, key, now=now, domain=domain)

    def create_share(self, **params: Any) -> str:
        """The address of a new share."""
        response = self.request_share(**params)
        assert response.status == 201, response
        url = response.json["url"]
        assert isinstance(url, str)
        return url

    def create_upload_share(self, **upload: object) -> str:
        """The address of a new upload share of /in/ for three files."""
        upload = {"max_size": 1000, "max_files": 3, **upload}
        return self.create_share(key=WRITER, path="/in/", method="POST", upload=upload)

    def open(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        *,
        now: float | None = None,
        body: str = "",
        params: object = ...,
        key: str | None = None,
        **query: str,
    ) -> Answered:
        """The response to a request for the address of a share, with the parameters of `query` added."""
        parts = urlsplit(url)
        parameters = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **query}
        return self.request(
            parts.path, method, parameters, headers, params=params, body=body, now=now, key=key
        )

    def use(
        self,
        url: str,
        nonce: str | None = None,
        *,
        accept: str = "*/*",
        now: float | None = None,
        **more: str,
    ) -> Answered:
        """The response to the form of a share's page with more fields, or without a nonce to a POST of a program."""
        body = urlencode({**({"nonce": nonce} if nonce is not None else {}), **more})
        return self.open(url, "POST", {**FORM, "Accept": accept}, now=now, body=body)

    def extend(
        self, url: str, expires: object = "30d", key: str | None = MAKER, now: float | None = None
    ) -> Answered:
        """The response to a request for a later end of a share."""
        return self.post(f"/-/shares/{share_id(url)}", {"expires": expires}, key, now=now)

    def revoke(self, url: str, key: str | None = MAKER) -> Answered:
        return self.request(f"/-/shares/{share_id(url)}", "DELETE", key=key)

    def shown(self, url: str, key: str = MAKER, now: float | None = None) -> Any:
        """A share as its sender sees it."""
        response = self.request(f"/-/shares/{share_id(url)}", key=key, now=now)
        assert response.status == 200, response
        return response.json

    def uses_left(self, url: str, now: float | None = None) -> int:
        """The uses left, as the share itself reports them."""
        response = self.open(url, headers=JSON, now=now)
        assert response.status == 200, response
        uses_left = response.json["uses_left"]
        assert isinstance(uses_left, int)
        return uses_left

    def request_form(self, url: str, **params: object) -> Answered:
        """The response of an upload share to a request for the form of a file."""
        parts = urlsplit(url)
        file = {"name": "a.txt", "size": 5, "type": "text/plain", **params}
        return self.post(parts.path, file, query=dict(parse_qsl(parts.query)))

    def files_left(self, url: str) -> int:
        """The files that an upload share still takes, as it reports them."""
        files_left = self.open(url, headers=JSON).json["files_left"]
        assert isinstance(files_left, int)
        return files_left

    # Uploads

    def sign(self, *items: object, key: str | None = None) -> list[dict[str, Any]]:
        """The results of one request to /-/sign."""
        response = self.post("/-/sign", {"links": list(items)}, key)
        assert response.status == 200, response
        results: list[dict[str, Any]] = response.json["links"]
        assert len(results) == len(items)
        return results

    def sign_put(self, key: str | None = None, /, **params: object) -> dict[str, Any]:
        """A PUT link for 5 bytes at /in/a.txt; `params` replace members, None removes one."""
        item = {"path": "/in/a.txt", "method": "PUT", "size": 5, **params}
        return self.sign(
            {name: value for name, value in item.items() if value is not None}, key=key
        )[0]

    def create_form(self, key: str | None = None, /, **params: object) -> dict[str, Any]:
        """A form for /in/a.txt; `params` replace members."""
        response = self.post("/-/form", {"path": "/in/a.txt", **params}, key)
        assert response.status == 200, response
        form: dict[str, Any] = response.json
        return form

    def start_upload(self, key: str | None = None, /, **params: object) -> dict[str, Any]:
        """A multipart upload of /in/big.bin in three parts; `params` replace members."""
        part = 100 * 1024  # bytes, the minimum size
        params = {"path": "/in/big.bin", "size": 2 * part + 7, "part_size": part, **params}
        response = self.post("/-/uploads", params, key)
        assert response.status == 201, response
        upload: dict[str, Any] = response.json
        return upload

    # The bucket

    def put(
        self, key: str, content: bytes = b"content", headers: Mapping[str, str] | None = None
    ) -> OssResponse:
        """Stores an object, which must succeed."""
        response = self.oss.client.request(
            "PUT", Location(BUCKET, key), headers=headers, body=content
        )
        assert response.ok, response
        return response

    def delete(self, key: str) -> None:
        assert self.oss.client.delete(Location(BUCKET, key)).ok

    def read(self, key: str) -> bytes:
        content = self.stored(key)
        assert content is not None, key
        return content

    def stored(self, key: str) -> bytes | None:
        """The content of an object, None if it does not exist."""
        response = self.oss.client.get(Location(BUCKET, key))
        return response.body if response.ok else None

    def stored_headers(self, key: str) -> Mapping[str, str]:
        return self.oss.client.head(Location(BUCKET, key)).headers

    def object_keys(self, prefix: str = "") -> list[str]:
        return (self.memory if hasattr(self, "memory") else self.oss).keys(prefix)

    def state_names(self, folder: str = "") -> list[str]:
        """The names of the objects in a folder of the state prefix, in order."""
        return [key[len(STATE) :] for key in self.object_keys(STATE + folder)]


def service(
    folder: Path, links: str = LINKS, oss: LocalOss | None = None, now: float = NOW
) -> System:
    """A system with `keys` in a file; without an OSS, which is enough for links."""
    return System(folder, links, oss, now).with_keys()


@contextmanager
def service_with_oss(folder: Path, links: str = LINKS, now: float = NOW) -> Iterator[System]:
    """With a local OSS of its own, which has the real time: what is followed must be signed then."""
    with local_oss(folder / "oss") as oss:
        yield service(folder, links, oss, now)
