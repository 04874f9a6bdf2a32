"""Uploads in the world of `tests.worlds`: clients that use their links and forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import requests

from handler.core.context import Invocation
from handler.core.errors import Problem
from handler.core.request import Request
from handler.core.shares.opening import open_share
from handler.web.endpoints import upload_page
from tests.handler.client import context
from tests.handler.share_fixtures import share_id as share_id
from tests.worlds import ALICE as ALICE
from tests.worlds import EXPIRING as EXPIRING
from tests.worlds import LINKS as LINKS
from tests.worlds import WRITER as WRITER
from tests.worlds import Service, service
from tests.worlds import share_key as share_key

UploadService = Service
upload_service = service
MEGABYTE = 1024 * 1024
PART = 100 * 1024  # bytes, the minimum size of a part
TIMEOUT = 30  # seconds


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


def conditions(form: dict[str, Any]) -> list[Any]:
    policy_conditions: list[Any] = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    return policy_conditions


def files_left(service: UploadService, url: str) -> int:
    return service.files_left(url)


def claim_number(service: UploadService, url: str, n: int) -> int | None:
    """The number of one of many files that are requested at the same time, None if the share is full."""
    parts = urlsplit(url)
    body = json.dumps({"name": f"{n}.txt", "size": 1}).encode()
    request = Request("POST", parts.path, dict(parse_qsl(parts.query)), {"content-type": "application/json"}, body, "")
    try:
        opened = open_share(request, Invocation(service.instance, context(), service.now, {}), parts.path)
        number: int = json.loads(upload_page.answer(opened).body)["number"]
    except Problem as problem:
        if problem.code != "share_full":
            raise
        return None
    return number
