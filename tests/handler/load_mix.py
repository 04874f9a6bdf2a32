"""Requests to the custom runtime, each with the answer that it must get: one in a hundred is malformed."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple

from handler.core.request import MAX_BYTES
from tests.handler.custom_runtime import platform
from tests.handler.keys_fixtures import READER, api, document

LINKS = """
region = "cn-hangzhou"
keys = "file:keys.json"

[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"
query = ["versionId"]

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
"""
KEYS_DOCUMENT = document(api=[api("reader", READER)], jwt=[])
MALFORMED = 100  # one request in so many
KEYS = 512  # objects
BEARER = f"Bearer {READER}"
JSON = "application/json"


class Request(NamedTuple):
    """The bytes of a request, and the status and code that it must get; the code is "" for none of the service's."""

    name: str
    sent: bytes
    status: int
    code: str = ""
    method: str = "GET"


class Mix:
    """An endless sequence of requests, the same for the same seed. `malformed` counts those of them."""

    def __init__(self, seed: int = 2026) -> None:
        self._random = random.Random(seed)
        self._good = good()
        self._malformed = malformed()
        self.malformed = 0

    def next(self) -> Request:
        if self._random.randrange(MALFORMED):
            return self._random.choice(self._good)
        self.malformed += 1
        return self._random.choice(self._malformed)


def good() -> list[Request]:
    """Of a hundred requests 90 are redirects, the others JSON, HEAD, with a key, and ten links at once."""
    requests = []
    for number in range(KEYS):
        path = f"/exampledir/2026/{number:06}{'%20q3' if number % 4 == 0 else ''}.pdf"
        private = f"/reports/2026/{number:06}.pdf"
        links = {"links": [{"path": f"/exampledir/{number:06}-{place}.pdf"} for place in range(10)]}
        requests += [_request("redirect", path, 302)] * 90
        requests += [_request("json", f"{path}?format=json&expires=1m", 200)] * 4
        requests += [_request("head", path, 302, method="HEAD")] * 2
        requests += [_request("with a key", private, 200, headers={"Authorization": BEARER})] * 3
        requests += [_post("ten links", json.dumps(links).encode(), 200)]
    return requests


def malformed() -> list[Request]:
    a = "/exampledir/a.pdf"
    return [
        _request("broken escape", "/exampledir/%zz.pdf", 400, "bad_path"),
        _request("not UTF-8", "/exampledir/%ff.pdf", 400, "bad_path"),
        _request("dots", "/exampledir/../a.pdf", 400, "bad_path"),
        _request("key too long", f"/exampledir/{'k' * 1024}", 400, "bad_path"),
        _request("unknown mount", "/nothing/a.pdf", 404, "not_found"),
        _request("unknown route", "/-/nothing", 404, "not_found"),
        _request("bad expires", f"{a}?expires=soon", 400, "bad_expires"),
        _request("bad format", f"{a}?format=xml", 400, "bad_format"),
        _request("empty parameter", f"{a}?versionId=", 400, "bad_query"),
        _request("unlisted parameter", f"{a}?x-oss-process=image/resize,w_1", 400, "not_signable"),
        _request("bad download", f"{a}?download=a%2Fb", 400, "bad_download"),
        _request("wrong method", a, 405, "method_not_allowed", method="DELETE"),
        _request("wrong method of a route", "/-/sign", 405, "method_not_allowed"),
        _request("forged share", f"{a}?share={'x' * 71}", 404, "share_invalid"),
        _request("no key", "/reports/a.pdf", 401, "unauthorized"),
        _request("broken key", a, 401, "malformed_credential", headers={"Authorization": "Bearer fcp_short"}),
        _request("unknown key", a, 401, "unknown_credential", headers={"Authorization": "Bearer fcp_" + "x" * 43}),
        _request("broken token", a, 401, "malformed_credential", headers={"Authorization": "Bearer eyJ.eyJ.x"}),
        _post("broken JSON", b'{"links": [{"path": ', 400, "bad_body"),
        _post("unknown member", b'{"lines": []}', 400, "bad_body"),
        _post("not JSON", b"path=/exampledir/a.pdf", 415, "not_json", content_type="text/plain"),
        _post("too many links", json.dumps({"links": [{"path": a}] * 1001}).encode(), 413, "too_many_links"),
        _post("body too large", bytes(MAX_BYTES + 1), 413, "body_too_large"),
        # httptools' own answers.
        _request("broken chunks", "/-/sign", 400, method="POST", headers=_CHUNKED, body=b"zz\r\n\r\n"),
        _request("not ASCII", "/exampledir/\u00e4.pdf", 400),
        _request("unknown method", a, 400, method="get"),
        Request("not HTTP", b"exampledir\r\n\r\n", 400),
        Request("unknown version", f"GET {a} HTTP/9.9\r\nHost: links.example.com\r\n\r\n".encode(), 400),
    ]


_CHUNKED = {"Transfer-Encoding": "chunked", "Content-Type": JSON}
_TOKEN = b64encode(random.Random(2026).randbytes(450)).decode()
_PLATFORM = {**platform(), "x-fc-security-token": _TOKEN, "X-Forwarded-For": "203.0.113.7"}


def _request(
    name: str,
    target: str,
    status: int,
    code: str = "",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    fields = {"Host": "links.example.com", "Accept": "*/*", "User-Agent": "load", **_PLATFORM, **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Request(name, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body, status, code, method)


def _post(name: str, body: bytes, status: int, code: str = "", *, content_type: str = JSON) -> Request:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return _request(name, "/-/sign", status, code, method="POST", headers=headers, body=body)
