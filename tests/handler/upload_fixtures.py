"""Uploads of `tests.system`: clients that use their links and forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import requests

MEGABYTE = 1024 * 1024
PART = 100 * 1024  # bytes, the minimum size of a part
CONTENT = bytes(range(256)) * (2 * PART // 256) + b"the end"  # of three parts
TIMEOUT = 30  # seconds


class OssResult(NamedTuple):
    """The status of a response of OSS, and the code of its error, "" for a success."""

    status: int
    code: str


def follow_link(
    link: Mapping[str, Any], content: bytes | Iterator[bytes] = b"", /, **headers: str | None
) -> OssResult:
    """Sends a request to a link with its headers; `headers` (_ for -) replace some, None removes one."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    own = {name: value for name, value in link["headers"].items() if name.lower() not in changed}
    sent = {**own, **{name: value for name, value in changed.items() if value is not None}}
    return _result(
        requests.request(
            link.get("method", "PUT"), link["url"], data=content, headers=sent, timeout=TIMEOUT
        )
    )


def send_parts(upload: Mapping[str, Any], *numbers: int) -> dict[int, str]:
    """Uploads the parts of `CONTENT` with these numbers, or all that have a link. Their ETags."""
    etags = {}
    for part in upload["parts"]:
        number, size = part["part_number"], int(part["headers"]["Content-Length"])
        if not numbers or number in numbers:
            body = CONTENT[(number - 1) * PART :][:size]
            response = requests.put(
                part["url"], data=body, headers=part["headers"], timeout=TIMEOUT
            )
            assert response.status_code == 200, response.text
            etags[number] = response.headers["ETag"]
    return etags


def submit_form(
    form: Mapping[str, Any], content: bytes, name: str = "file.bin", /, **fields: str | None
) -> OssResult:
    """Sends a form; `fields` (_ for -) replace some of its own, None removes one."""
    changed = {
        name if name.startswith("success") else name.replace("_", "-"): value
        for name, value in fields.items()
    }
    sent = {
        name: value for name, value in {**form["fields"], **changed}.items() if value is not None
    }
    return _result(
        requests.post(form["url"], data=sent, files={"file": (name, content)}, timeout=TIMEOUT)
    )


def _result(response: requests.Response) -> OssResult:
    code = response.text.partition("<Code>")[2].partition("</Code>")[0]
    return OssResult(response.status_code, code)


def query_of(url: str) -> dict[str, str]:
    """The query of a link."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def conditions(form: dict[str, Any]) -> list[Any]:
    policy_conditions: list[Any] = json.loads(base64.b64decode(form["fields"]["policy"]))[
        "conditions"
    ]
    return policy_conditions
