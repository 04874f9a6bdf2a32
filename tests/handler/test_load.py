"""Minutes of all the requests that the platform sends an instance at a time, one in a hundred malformed.

Function Compute sends an instance no more requests at a time than instanceConcurrency in
`deploy/custom-runtime/s.yaml`, so that many connections are kept busy.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import statistics
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from handler.core.request import MAX_BYTES
from tests.deploy.checks import shipped
from tests.handler.custom_runtime import instance, platform
from tests.handler.keys_fixtures import READER, api, document

SECONDS = 600.0  # LOAD_SECONDS shortens it
WARM_UP = 5.0  # seconds before those that are measured
WINDOW = 60  # seconds at the start and at the end, whose memory is compared
MAX_GROWTH = 4.0  # MB
MALFORMED = 100  # one request in so many
JSON = "application/json"
TOKEN = b64encode(random.Random(2026).randbytes(450)).decode()
PLATFORM = {**platform(), "x-fc-security-token": TOKEN, "X-Forwarded-For": "203.0.113.7"}
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


class Request(NamedTuple):
    """The bytes of a request, and the status and code that it must get; the code is "" for none of the service's."""

    name: str
    sent: bytes
    status: int
    code: str = ""
    method: str = "GET"


def request(
    name: str,
    target: str,
    status: int,
    code: str = "",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    fields = {
        "Host": "links.example.com",
        "Accept": "*/*",
        "User-Agent": "load",
        **PLATFORM,
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Request(
        name, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body, status, code, method
    )


def post(name: str, body: bytes, status: int, code: str = "", content_type: str = JSON) -> Request:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return request(name, "/-/sign", status, code, "POST", headers, body)


def good(number: int) -> list[Request]:
    """Of a hundred requests 90 are redirects, the others JSON, HEAD, with a key, and ten links at once."""
    path = f"/exampledir/2026/{number:06}{'%20q3' if number % 4 == 0 else ''}.pdf"
    links = {"links": [{"path": f"/exampledir/{number:06}-{place}.pdf"} for place in range(10)]}
    bearer = {"Authorization": f"Bearer {READER}"}
    return [
        *[request("redirect", path, 302)] * 90,
        *[request("json", f"{path}?format=json&expires=1m", 200)] * 4,
        *[request("head", path, 302, method="HEAD")] * 2,
        *[request("with a key", f"/reports/2026/{number:06}.pdf", 200, headers=bearer)] * 3,
        post("ten links", json.dumps(links).encode(), 200),
    ]


A = "/exampledir/a.pdf"
GOOD = [each for number in range(64) for each in good(number)]
BAD = [
    request("broken escape", "/exampledir/%zz.pdf", 400, "bad_path"),
    request("key too long", f"/exampledir/{'k' * 1024}", 400, "bad_path"),
    request("unknown mount", "/nothing/a.pdf", 404, "not_found"),
    request("bad expires", f"{A}?expires=soon", 400, "bad_expires"),
    request("unlisted parameter", f"{A}?x-oss-process=image/resize,w_1", 400, "not_signable"),
    request("wrong method", A, 405, "method_not_allowed", method="DELETE"),
    request("no key", "/reports/a.pdf", 401, "unauthorized"),
    request(
        "unknown key",
        A,
        401,
        "unknown_credential",
        headers={"Authorization": "Bearer fcp_" + "x" * 43},
    ),
    request(
        "broken token",
        A,
        401,
        "malformed_credential",
        headers={"Authorization": "Bearer eyJ.eyJ.x"},
    ),
    post("broken JSON", b'{"links": [{"path": ', 400, "bad_body"),
    post("not JSON", b"path=/exampledir/a.pdf", 415, "not_json", content_type="text/plain"),
    post(
        "too many links",
        json.dumps({"links": [{"path": A}] * 1001}).encode(),
        413,
        "too_many_links",
    ),
    post("body too large", bytes(MAX_BYTES + 1), 413, "body_too_large"),
    # httptools' own answers.
    request(
        "broken chunks", "/-/sign", 400, "", "POST", {"Transfer-Encoding": "chunked"}, b"zz\r\n\r\n"
    ),
    request("not ASCII", "/exampledir/\u00e4.pdf", 400),
    request("unknown method", A, 400, method="get"),
    Request("not HTTP", b"exampledir\r\n\r\n", 400),
]


def keep_busy(port: int, seconds: float, seed: int) -> Counter[tuple[str, bool]]:
    """How often each request was sent on one connection after the other, and whether its answer was as it must be."""
    dice = random.Random(seed)
    answers = Counter[tuple[str, bool]]()
    connection = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        chosen = dice.choice(GOOD if dice.randrange(MALFORMED) else BAD)
        connection = connection or socket.create_connection(("127.0.0.1", port), timeout=30)
        # The server may close the connection before it has read all, and answers first.
        with suppress(ConnectionError):
            connection.sendall(chosen.sent)
        response = http.client.HTTPResponse(connection, method=chosen.method)
        response.begin()
        body = response.read()
        code = (
            json.loads(body)["code"]
            if response.headers["Content-Type"] == "application/problem+json"
            else ""
        )
        is_link = (
            response.status not in (200, 302)
            or b"x-oss-signature=" in body + str(response.headers).encode()
        )
        answers[
            chosen.name, (response.status, code) == (chosen.status, chosen.code) and is_link
        ] += 1
        if response.will_close:
            connection.close()
            connection = None
    if connection is not None:
        connection.close()
    return answers


@pytest.mark.long
def test_an_instance_under_full_load_refuses_only_what_is_malformed_and_does_not_grow(
    tmp_path: Path,
) -> None:
    seconds = float(os.environ.get("LOAD_SECONDS") or SECONDS)
    (tmp_path / "keys.json").write_text(
        json.dumps(document(api=[api("reader", READER)], jwt=[])), "utf-8"
    )
    connections = shipped.custom()["instanceConcurrency"]
    memory = list[float]()
    with instance(tmp_path, LINKS) as running, ThreadPoolExecutor(connections) as pool:
        for duration in (WARM_UP, seconds):
            memory.clear()
            busy = [
                pool.submit(keep_busy, running.port, duration, seed) for seed in range(connections)
            ]
            while wait(busy, timeout=1).not_done:
                memory.append(resident(running.process.pid))
                # The audit lines of millions of requests would fill the disk.
                os.truncate(tmp_path / "out", 0)
        assert (tmp_path / "err").read_text("utf-8") == ""
    answers = sum((each.result() for each in busy), Counter[tuple[str, bool]]())
    assert [name for name, is_right in answers if not is_right] == []
    # Each kind of refusal was really tried.
    assert {each.name for each in BAD} <= {name for name, _ in answers}
    # In a short run, the last third is compared with the first.
    window = max(1, int(min(WINDOW, seconds / 3)))
    assert statistics.median(memory[-window:]) - statistics.median(memory[:window]) <= MAX_GROWTH, (
        memory
    )


def resident(process: int) -> float:
    """MB of a process and its children, 0 if the system does not say."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(
        resident(int(child)) for child in children
    )
