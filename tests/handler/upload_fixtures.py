"""Programs and browsers that upload, through the real entry point, and the local OSS that takes what they send."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import requests

from handler.config import Config, Location
from tests.handler.client import NOW, Answered, event, invoke, policy
from tests.handler.keys_fixtures import BUCKET, LocalOss, api, base64url, document, local_oss

HOST = "https://links.example.com"
WRITER = "fcp_writer_EXAMPLE_0000000000000000000000000000"
ALICE = "fcp_alice_EXAMPLE_00000000000000000000000000000"
ENDING = "fcp_ending_EXAMPLE_0000000000000000000000000000"
MEGABYTE = 1024 * 1024
PART = 100 * 1024  # bytes, the smallest that a part has
TIMEOUT = 30  # seconds

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/in/"
target = "oss://examplebucket/inbox/"
access = "anonymous"
methods = ["PUT", "POST"]
max_size = "1MB"
max_share = "30d"

[[mount]]
path = "/both/"
target = "oss://examplebucket/both/"
access = "anonymous"
methods = ["GET", "HEAD", "PUT", "POST"]
max_size = "1MB"
max_share = "30d"
query = ["versionId", "response-content-disposition", "x-oss-traffic-limit", "x-oss-process"]
process = ["image/resize,w_100"]

[[mount]]
path = "/out/"
target = "oss://examplebucket/both/out/"
access = "anonymous"

[[mount]]
path = "/team/"
target = "oss://examplebucket/team/"
methods = ["GET", "PUT", "POST"]
max_size = "10MB"
max_share = "30d"

[[mount]]
path = "/big/"
target = "oss://examplebucket/big/"
access = "anonymous"
methods = ["PUT", "POST"]
max_size = "45000GB"
"""


def keys(**changes: object) -> dict[str, Any]:
    """A keys document: who may write to the team, who to her own folder of it, and who not for long."""
    callers = [
        api("writer", WRITER, paths=["/team/", "/both/", "/in/"], methods=["GET", "PUT", "POST", "SHARE"]),
        api("alice", ALICE, paths=["/team/alice/"], methods=["PUT", "POST"]),
        api("ending", ENDING, paths=["/team/"], methods=["PUT", "POST"], expires_at="2026-03-01T06:51:11Z"),
    ]
    return document(**{"api": callers, **changes})


def share_key(name: str) -> dict[str, str]:
    """A share key's entry."""
    return {"id": name, "secret": base64url(name.encode().ljust(32, b"."))}


class Uploads(NamedTuple):
    """A policy with its keys document, and the local OSS where there is one. `now` is the service's clock."""

    policy: Config
    folder: Path
    now: float = NOW
    oss: LocalOss | None = None

    def with_keys(self, **changes: object) -> Uploads:
        """The world after the keys document was changed."""
        path = self.folder / f"keys-{len(list(self.folder.glob('keys-*')))}.json"
        path.write_text(json.dumps(keys(**changes)))
        return self._replace(policy=self.policy._replace(keys=f"file:{path}"))

    def having_mount(self, path: str, /, **changes: Any) -> Uploads:
        """The world with one mount changed."""
        mounts = (mount._replace(**changes) if mount.path == path else mount for mount in self.policy.mounts)
        return self._replace(policy=self.policy._replace(mounts=tuple(mounts)))

    def ask(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: str = "",
        key: str | None = None,
    ) -> Answered:
        """What the function answers to a request for a percent-encoded path."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        asked = event(path, method, query, sent, body=body, isBase64Encoded=False)
        return invoke(json.dumps(asked), under=self.policy, now=self.now)

    def post(self, path: str, wish: object, key: str | None = None, query: Mapping[str, str] | None = None) -> Answered:
        """What is answered to a wish that is posted as JSON."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return self.ask(path, "POST", query, headers, body=json.dumps(wish), key=key)

    def sign(self, *wishes: object, key: str | None = None) -> list[dict[str, Any]]:
        """The results of one /-/sign."""
        answer = self.post("/-/sign", {"links": list(wishes)}, key)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.json["links"]
        assert len(found) == len(wishes)
        return found

    def sign_one(self, key: str | None = None, /, **wish: object) -> dict[str, Any]:
        """A PUT link for 5 bytes of /in/a.txt, or what `wish` says; None leaves a member out."""
        asked = {"path": "/in/a.txt", "method": "PUT", "size": 5, **wish}
        return self.sign({name: value for name, value in asked.items() if value is not None}, key=key)[0]

    def form(self, key: str | None = None, /, **wish: object) -> dict[str, Any]:
        """A form for /in/a.txt, or what `wish` says."""
        answer = self.post("/-/form", {"path": "/in/a.txt", **wish}, key)
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    def upload(self, key: str | None = None, /, **wish: object) -> dict[str, Any]:
        """A started upload of /in/big.bin, in three parts."""
        asked = {"path": "/in/big.bin", "size": 2 * PART + 7, "part_size": PART, **wish}
        answer = self.post("/-/uploads", asked, key)
        assert answer.status == 201, answer
        found: dict[str, Any] = answer.json
        return found

    def drop(self, **upload: object) -> str:
        """The address of a new upload share of /in/ for three files."""
        wish = {"path": "/in/", "method": "POST", "upload": {"max_size": 1000, "max_files": 3, **upload}}
        answer = self.post("/-/shares", wish, WRITER)
        assert answer.status == 201, answer
        url: str = answer.json["url"]
        return url

    def ask_drop(self, url: str, **wish: object) -> Answered:
        """What is answered to a page that asks for a form for a file."""
        parts = urlsplit(url)
        asked = {"name": "a.txt", "size": 5, "type": "text/plain", **wish}
        return self.post(parts.path, asked, query=dict(parse_qsl(parts.query)))

    def stored(self, key: str) -> bytes | None:
        """What is stored under a key, None for nothing."""
        assert self.oss is not None
        reply = self.oss.store.get(Location(BUCKET, key))
        return reply.body if reply.ok else None

    def headers_of(self, key: str) -> Mapping[str, str]:
        """The headers of what is stored under a key."""
        assert self.oss is not None
        return self.oss.store.head(Location(BUCKET, key)).headers

    def put(self, key: str, content: bytes) -> None:
        """Stores an object."""
        assert self.oss is not None
        self.oss.put(content, Location(BUCKET, key))


class Refused(NamedTuple):
    """What OSS answered: the status, and the code of an error, "" for none."""

    status: int
    code: str


def use(link: Mapping[str, Any], content: bytes | Iterator[bytes] = b"", /, **headers: str | None) -> Refused:
    """Follows a link with its own headers; `headers` (underscores for hyphens) replace them, None leaves one out."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in link["headers"].items() if name.lower() not in changed}
    sent = {**kept, **{name: value for name, value in changed.items() if value is not None}}
    return _answer(
        requests.request(link.get("method", "PUT"), link["url"], data=content, headers=sent, timeout=TIMEOUT)
    )


def post(form: Mapping[str, Any], content: bytes, name: str = "file.bin", /, **fields: str | None) -> Refused:
    """Posts a form; `fields` (underscores for hyphens) replace its own, None leaves out."""
    changed = {name if name.startswith("success") else name.replace("_", "-"): value for name, value in fields.items()}
    sent = {name: value for name, value in {**form["fields"], **changed}.items() if value is not None}
    return _answer(requests.post(form["url"], data=sent, files={"file": (name, content)}, timeout=TIMEOUT))


def _answer(answer: requests.Response) -> Refused:
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    return Refused(answer.status_code, code)


def query_of(url: str) -> dict[str, str]:
    """A link's query."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def uploads(folder: Path) -> Uploads:
    """A world without OSS: what only signs."""
    return Uploads(policy(LINKS), folder).with_keys()


@contextmanager
def uploads_with_oss(folder: Path) -> Iterator[Uploads]:
    """A world with a local OSS of its own, on the real clock."""
    with local_oss(folder / "oss") as running:
        found = policy(LINKS, {"LINK_OSS_ENDPOINT": running.url})
        yield Uploads(found, folder, time.time(), running).with_keys()
