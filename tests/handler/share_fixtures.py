"""Shares, made and opened through the real entry point, and the local OSS where their records are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from handler.config import Config, Location
from local.oss.storage import Buckets
from tests.handler.client import NOW, Answered, event, invoke, policy
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


class World(NamedTuple):
    """A policy with its keys document, and the local OSS where there is one. `folder` is the test's own."""

    policy: Config
    folder: Path
    oss: LocalOss | None = None

    def with_keys(self, **changes: object) -> World:
        """The world after the keys document was changed."""
        path = self.folder / f"keys-{len(list(self.folder.glob('keys-*')))}.json"
        path.write_text(json.dumps(keys(**changes)))
        return self._replace(policy=self.policy._replace(keys=f"file:{path}"))

    def having(self, **changes: Any) -> World:
        """The world under a changed policy."""
        return self._replace(policy=self.policy._replace(**changes))

    def having_mount(self, path: str, /, **changes: Any) -> World:
        """The world with one mount changed."""
        mounts = (mount._replace(**changes) if mount.path == path else mount for mount in self.policy.mounts)
        return self.having(mounts=tuple(sorted(mounts, key=lambda mount: -len(mount.path))))

    def ask(
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
        """What the function answers to a request for a percent-encoded path."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        asked = event(path, method, query, sent, body=body, isBase64Encoded=False)
        if domain is not None:
            asked["requestContext"]["domainName"] = domain
        return invoke(json.dumps(asked), under=self.policy, now=now)

    def ask_share(
        self, key: str | None = MAKER, *, now: float = NOW, domain: str | None = None, **wish: Any
    ) -> Answered:
        """What is answered to someone who wants a share of /reports/q3.pdf, or what `wish` says."""
        body = json.dumps({"path": "/reports/q3.pdf", **wish})
        headers = {"Content-Type": "application/json"}
        return self.ask("/-/shares", "POST", headers=headers, body=body, now=now, domain=domain, key=key)

    def share(self, **wish: Any) -> str:
        """The address of a new share."""
        answer = self.ask_share(**wish)
        assert answer.status == 201, answer
        url = answer.json["url"]
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
        """What is answered to someone who opens a share's address, with more in its query where `query` says so."""
        parts = urlsplit(url)
        asked = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **query}
        return self.ask(parts.path, method, asked, headers, body=body, now=now, key=key)

    def use(self, url: str, nonce: str | None = None, *, now: float = NOW, accept: str = "*/*") -> Answered:
        """What is answered to the button of a share's page, or without a nonce to a program."""
        body = urlencode({"nonce": nonce}) if nonce is not None else ""
        return self.open(url, "POST", {**FORM, "Accept": accept}, now=now, body=body)

    def uses_left(self, url: str, now: float = NOW) -> int:
        """What the share itself says."""
        answer = self.open(url, headers={"Accept": "application/json"}, now=now)
        assert answer.status == 200, answer
        left = answer.json["uses_left"]
        assert isinstance(left, int)
        return left

    def put(self, key: str, content: bytes = b"content", content_type: str = "application/pdf") -> None:
        """Stores an object of the bucket."""
        assert self.oss is not None
        assert self.oss.store.put(Location(BUCKET, key), content, content_type=content_type).ok

    def set_versioning(self, status: str) -> None:
        """Enabled or Suspended: either way the bucket keeps versions, or did."""
        assert self.oss is not None
        bucket = Buckets(self.oss.root).get(BUCKET)
        assert bucket is not None
        bucket.change(versioning=status)

    def stored(self, key: str) -> bytes | None:
        """What is stored of the state, None for nothing."""
        assert self.oss is not None
        reply = self.oss.store.get(Location(BUCKET, f".links/state/{key}"))
        return reply.body if reply.ok else None


def token(url: str) -> str:
    """The share in an address."""
    return urlsplit(url).query.removeprefix("share=")


def path(url: str) -> str:
    """The decoded path of an address."""
    return unquote(urlsplit(url).path)


def nonce_of(page: Answered) -> str:
    """The one-time nonce of a page's form."""
    found = re.search(r'name="nonce" value="([A-Za-z0-9_-]+)"', page.body)
    assert found is not None
    return found[1]


def world(folder: Path, text: str = LINKS) -> World:
    """A world without OSS: what plain shares need."""
    return World(policy(text), folder).with_keys()


@contextmanager
def world_with_oss(folder: Path) -> Iterator[World]:
    """A world with a local OSS of its own."""
    with local_oss(folder / "oss") as running:
        found = policy(LINKS, {"LINK_OSS_ENDPOINT": running.url})
        yield World(found, folder, running).with_keys()
