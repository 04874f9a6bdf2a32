"""The service that signs uploads, through its real entry point, and the local OSS that receives them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import requests

from handler.config import Config, Location, Mounts
from handler.context import Invocation
from handler.endpoints import upload_page
from handler.errors import Problem
from handler.request import Request
from handler.shares.opening import open_share
from tests.handler.client import NOW, Answered, context, event, invoke, make_config
from tests.handler.keys_fixtures import BUCKET, LocalOss, api, base64url, document, local_oss

HOST = "https://links.example.com"
WRITER = "fcp_writer_EXAMPLE_0000000000000000000000000000"
ALICE = "fcp_alice_EXAMPLE_00000000000000000000000000000"
EXPIRING = "fcp_ending_EXAMPLE_0000000000000000000000000000"
MEGABYTE = 1024 * 1024
PART = 100 * 1024  # bytes, the minimum size of a part
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
    """A keys document: one caller for all of /team/, one for a folder of it, and one whose key expires soon."""
    callers = [
        api("writer", WRITER, paths=["/team/", "/both/", "/in/"], methods=["GET", "PUT", "POST", "SHARE"]),
        api("alice", ALICE, paths=["/team/alice/"], methods=["PUT", "POST"]),
        api("ending", EXPIRING, paths=["/team/"], methods=["PUT", "POST"], expires_at="2026-03-01T06:51:11Z"),
    ]
    return document(**{"api": callers, **changes})


def share_key(name: str) -> dict[str, str]:
    """A share key's entry."""
    return {"id": name, "secret": base64url(name.encode().ljust(32, b"."))}


class UploadService(NamedTuple):
    """The service under a configuration with a keys document, at the time `now`; `oss` is None if not needed."""

    config: Config
    folder: Path
    now: float = NOW
    oss: LocalOss | None = None

    def with_keys(self, **changes: object) -> UploadService:
        """The service after a change of its keys document."""
        path = self.folder / f"keys-{len(list(self.folder.glob('keys-*')))}.json"
        path.write_text(json.dumps(keys(**changes)))
        return self._replace(config=self.config._replace(keys_document=f"file:{path}"))

    def with_mount(self, path: str, /, **changes: Any) -> UploadService:
        """The service after a change of the mount at a path."""
        mounts = (mount._replace(**changes) if mount.path == path else mount for mount in self.config.mounts)
        return self._replace(config=self.config._replace(mounts=Mounts(mounts)))

    def request(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: str = "",
        key: str | None = None,
    ) -> Answered:
        """The response of the function to a request for a percent-encoded path."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        http_event = event(path, method, query, sent, body=body, isBase64Encoded=False)
        return invoke(json.dumps(http_event), config=self.config, now=self.now)

    def post(
        self, path: str, params: object, key: str | None = None, query: Mapping[str, str] | None = None
    ) -> Answered:
        """The response to a POST of JSON."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return self.request(path, "POST", query, headers, body=json.dumps(params), key=key)

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
        return self.sign({name: value for name, value in item.items() if value is not None}, key=key)[0]

    def create_form(self, key: str | None = None, /, **params: object) -> dict[str, Any]:
        """A form for /in/a.txt; `params` replace members."""
        response = self.post("/-/form", {"path": "/in/a.txt", **params}, key)
        assert response.status == 200, response
        form: dict[str, Any] = response.json
        return form

    def start_upload(self, key: str | None = None, /, **params: object) -> dict[str, Any]:
        """A multipart upload of /in/big.bin in three parts; `params` replace members."""
        response = self.post(
            "/-/uploads", {"path": "/in/big.bin", "size": 2 * PART + 7, "part_size": PART, **params}, key
        )
        assert response.status == 201, response
        upload: dict[str, Any] = response.json
        return upload

    def create_upload_share(self, **upload: object) -> str:
        """The address of a new upload share of /in/ for three files."""
        params = {"path": "/in/", "method": "POST", "upload": {"max_size": 1000, "max_files": 3, **upload}}
        response = self.post("/-/shares", params, WRITER)
        assert response.status == 201, response
        url: str = response.json["url"]
        return url

    def request_form(self, url: str, **params: object) -> Answered:
        """The response of an upload share to a request for the form of a file."""
        parts = urlsplit(url)
        file = {"name": "a.txt", "size": 5, "type": "text/plain", **params}
        return self.post(parts.path, file, query=dict(parse_qsl(parts.query)))

    def stored(self, key: str) -> bytes | None:
        """The content of an object, None if it does not exist."""
        assert self.oss is not None
        response = self.oss.store.get(Location(BUCKET, key))
        return response.body if response.ok else None

    def stored_headers(self, key: str) -> Mapping[str, str]:
        assert self.oss is not None
        return self.oss.store.head(Location(BUCKET, key)).headers

    def put(self, key: str, content: bytes) -> None:
        assert self.oss is not None
        self.oss.put(content, Location(BUCKET, key))


class OssResult(NamedTuple):
    """The status of a response of OSS, and the code of its error, "" for a success."""

    status: int
    code: str


def follow_link(link: Mapping[str, Any], content: bytes | Iterator[bytes] = b"", /, **headers: str | None) -> OssResult:
    """Sends a request to a link with its headers; `headers` (_ for -) replace some, None removes one."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    own = {name: value for name, value in link["headers"].items() if name.lower() not in changed}
    sent = {**own, **{name: value for name, value in changed.items() if value is not None}}
    return _result(
        requests.request(link.get("method", "PUT"), link["url"], data=content, headers=sent, timeout=TIMEOUT)
    )


def submit_form(form: Mapping[str, Any], content: bytes, name: str = "file.bin", /, **fields: str | None) -> OssResult:
    """Sends a form; `fields` (_ for -) replace some of its own, None removes one."""
    changed = {name if name.startswith("success") else name.replace("_", "-"): value for name, value in fields.items()}
    sent = {name: value for name, value in {**form["fields"], **changed}.items() if value is not None}
    return _result(requests.post(form["url"], data=sent, files={"file": (name, content)}, timeout=TIMEOUT))


def _result(response: requests.Response) -> OssResult:
    code = response.text.partition("<Code>")[2].partition("</Code>")[0]
    return OssResult(response.status_code, code)


def query_of(url: str) -> dict[str, str]:
    """The query of a link."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def upload_service(folder: Path) -> UploadService:
    """The service without an OSS, which is enough to sign."""
    return UploadService(make_config(LINKS), folder).with_keys()


@contextmanager
def upload_service_with_oss(folder: Path) -> Iterator[UploadService]:
    """The service with a local OSS of its own, at the real time."""
    with local_oss(folder / "oss") as running:
        config = make_config(LINKS, {"LINK_OSS_ENDPOINT": running.url})
        yield UploadService(config, folder, time.time(), running).with_keys()


def share_id(url: str) -> str:
    return urlsplit(url).query.removeprefix("share=")[16:28]


def conditions(form: dict[str, Any]) -> list[Any]:
    policy_conditions: list[Any] = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    return policy_conditions


def open_page(service: UploadService, url: str, accept: str) -> Any:
    parts = urlsplit(url)
    return service.request(parts.path, "GET", dict(parse_qsl(parts.query)), {"Accept": accept})


def files_left(service: UploadService, url: str) -> int:
    remaining: int = open_page(service, url, "application/json").json["files_left"]
    return remaining


def claim_number(service: UploadService, url: str, n: int) -> int | None:
    """The number of one of many files that are requested at the same time, None if the share is full."""
    parts = urlsplit(url)
    body = json.dumps({"name": f"{n}.txt", "size": 1}).encode()
    request = Request("POST", parts.path, dict(parse_qsl(parts.query)), {"content-type": "application/json"}, body, "")
    try:
        opened = open_share(request, Invocation(service.config, context(), service.now, {}), parts.path)
        number: int = json.loads(upload_page.answer(opened).body)["number"]
    except Problem as problem:
        if problem.code != "share_full":
            raise
        return None
    return number
