"""The service that creates and opens shares, through its real entry point, and the local OSS with their records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from handler.config import Config, Location, Mounts
from local.oss.storage import Buckets
from tests.handler.client import NOW, Answered, event, invoke, make_config
from tests.handler.keys_fixtures import BUCKET, LocalOss, api, base64url, document, local_oss

DAY = 86_400
HOST = "https://links.example.com"
MAKER = "fcp_maker_EXAMPLE_00000000000000000000000000000"
OTHER = "fcp_other_EXAMPLE_00000000000000000000000000000"
READER = "fcp_reader_EXAMPLE_0000000000000000000000000000"

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
max_share = "90d"

[[mount]]
path = "/checked/"
target = "oss://examplebucket/checked/"
max_share = "90d"
check = true

[[mount]]
path = "/get-only/"
target = "oss://examplebucket/get-only/"
methods = ["GET"]
max_share = "90d"

[[mount]]
path = "/open/"
target = "oss://examplebucket/open/"
access = "anonymous"
max_share = "1d"
max_expires = "2h"
cache = "5m"
query = ["versionId", "response-content-type"]

[[mount]]
path = "/unshared/"
target = "oss://examplebucket/unshared/"
"""

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def keys(**changes: object) -> dict[str, Any]:
    """A keys document of two share keys and three callers; `changes` replace its members."""
    paths = ["/reports/", "/checked/", "/get-only/", "/open/", "/unshared/"]
    callers = [
        api("maker", MAKER, paths=paths, methods=["GET", "HEAD", "SHARE"]),
        api("other", OTHER, paths=["/other/"], methods=["GET", "SHARE"]),
        api("reader", READER, paths=paths, methods=["GET", "HEAD"]),
    ]
    return document(**{"api": callers, **changes})


def share_key(name: str) -> dict[str, str]:
    """A share key's entry."""
    return {"id": name, "secret": base64url(name.encode().ljust(32, b"."))}


class ShareService(NamedTuple):
    """The service under a configuration with a keys document; `oss` is None if the test needs no OSS."""

    config: Config
    folder: Path
    oss: LocalOss | None = None

    def with_keys(self, **changes: object) -> ShareService:
        """The service after a change of its keys document."""
        path = self.folder / f"keys-{len(list(self.folder.glob('keys-*')))}.json"
        path.write_text(json.dumps(keys(**changes)))
        return self.with_config(keys_document=f"file:{path}")

    def with_config(self, **changes: Any) -> ShareService:
        return self._replace(config=self.config._replace(**changes))

    def with_mount(self, path: str, /, **changes: Any) -> ShareService:
        """The service after a change of the mount at a path."""
        mounts = (mount._replace(**changes) if mount.path == path else mount for mount in self.config.mounts)
        return self.with_config(mounts=Mounts(sorted(mounts, key=lambda mount: -len(mount.path))))

    def request(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: str = "",
        now: float = NOW,
        domain: str | None = None,
        key: str | None = None,
    ) -> Answered:
        """The response of the function to a request for a percent-encoded path."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        http_event = event(path, method, query, sent, body=body, isBase64Encoded=False)
        if domain is not None:
            http_event["requestContext"]["domainName"] = domain
        return invoke(json.dumps(http_event), config=self.config, now=now)

    def request_share(
        self, key: str | None = MAKER, *, now: float = NOW, domain: str | None = None, **params: Any
    ) -> Answered:
        """The response to a request for a new share of /reports/q3.pdf, or of the path in `params`.

        The object need not exist, unless `allow_missing` in `params` says so.
        """
        body = json.dumps({"path": "/reports/q3.pdf", "allow_missing": True, **params})
        headers = {"Content-Type": "application/json"}
        return self.request("/-/shares", "POST", headers=headers, body=body, now=now, domain=domain, key=key)

    def create_share(self, **params: Any) -> str:
        """The address of a new share."""
        response = self.request_share(**params)
        assert response.status == 201, response
        url = response.json["url"]
        assert isinstance(url, str)
        return url

    def open(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        *,
        now: float = NOW,
        body: str = "",
        key: str | None = None,
        **query: str,
    ) -> Answered:
        """The response to a request for the address of a share, with the parameters of `query` added."""
        parts = urlsplit(url)
        parameters = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **query}
        return self.request(parts.path, method, parameters, headers, body=body, now=now, key=key)

    def use(self, url: str, nonce: str | None = None, *, now: float = NOW, accept: str = "*/*") -> Answered:
        """The response to the form of a share's page, or without a nonce to a POST of a program."""
        body = urlencode({"nonce": nonce}) if nonce is not None else ""
        return self.open(url, "POST", {**FORM, "Accept": accept}, now=now, body=body)

    def uses_left(self, url: str, now: float = NOW) -> int:
        """The uses left, as the share itself reports them."""
        response = self.open(url, headers={"Accept": "application/json"}, now=now)
        assert response.status == 200, response
        uses_left = response.json["uses_left"]
        assert isinstance(uses_left, int)
        return uses_left

    def put(self, key: str, content: bytes = b"content", content_type: str = "application/pdf") -> None:
        """Stores an object in the bucket."""
        assert self.oss is not None
        assert self.oss.store.put(Location(BUCKET, key), content, content_type=content_type).ok

    def delete(self, key: str) -> None:
        """Deletes an object of the bucket."""
        assert self.oss is not None
        assert self.oss.store.delete(Location(BUCKET, key)).ok

    def set_versioning(self, status: str) -> None:
        """Sets the versioning of the bucket to Enabled or Suspended."""
        assert self.oss is not None
        bucket = Buckets(self.oss.root).get(BUCKET)
        assert bucket is not None
        bucket.change(versioning=status)

    def stored(self, key: str) -> bytes | None:
        """An object below the state prefix, None if it does not exist."""
        assert self.oss is not None
        response = self.oss.store.get(Location(BUCKET, f".links/state/{key}"))
        return response.body if response.ok else None


def token(url: str) -> str:
    """The token in the address of a share."""
    return urlsplit(url).query.removeprefix("share=")


def path(url: str) -> str:
    """The decoded path of an address."""
    return unquote(urlsplit(url).path)


def nonce_of(page: Answered) -> str:
    """The nonce in the form of a page."""
    match = re.search(r'name="nonce" value="([A-Za-z0-9_-]+)"', page.body)
    assert match is not None
    return match[1]


def share_service(folder: Path, links: str = LINKS) -> ShareService:
    """The service without an OSS, which is enough for plain shares."""
    return ShareService(make_config(links), folder).with_keys()


@contextmanager
def share_service_with_oss(folder: Path) -> Iterator[ShareService]:
    """The service with a local OSS of its own."""
    with local_oss(folder / "oss") as running:
        config = make_config(LINKS, {"LINK_OSS_ENDPOINT": running.url})
        yield ShareService(config, folder, running).with_keys()
