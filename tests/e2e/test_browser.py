"""A page of another origin in Chromium fetches, shows, downloads and uploads private objects."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Request

from tests.e2e.system import System

KEY = "exampledir/报告/季度 数据+1.bin"
CONTENT = bytes(range(256)) * 40
FETCH = """async address => {
    const response = await fetch(address);
    const bytes = await response.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return {
        status: response.status,
        redirected: response.redirected,
        etag: response.headers.get("etag"),
        sha256: Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join(""),
    };
}"""


def fetch(page: Page, address: str) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate(FETCH, address)
    return result


def headers_to(origin: str, requests: list[Request]) -> dict[str, str]:
    """The headers of the only request to an origin."""
    (request,) = [request for request in requests if request.url.startswith(origin + "/")]
    return request.all_headers()


def test_a_page_of_another_origin_fetches_through_the_redirect(
    system: System, page: Page, site: str
) -> None:
    stored = system.put(KEY, CONTENT)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    with system.allowing("null"):
        assert fetch(page, system.address(KEY)) == {
            "status": 200,
            "redirected": True,
            "etag": stored.headers["etag"],
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        }
    assert headers_to(system.stack.http_url, requests)["origin"] == site
    assert headers_to(system.stack.oss_url, requests)["origin"] == "null"


def test_a_bucket_must_allow_the_null_origin_and_not_that_of_the_page(
    system: System, page: Page, site: str
) -> None:
    for key in ("exampledir/first", "exampledir/second"):
        system.put(key, CONTENT)
    with system.allowing(site), pytest.raises(Error, match="Failed to fetch"):
        fetch(page, system.address("exampledir/first"))
    with system.allowing("null"):
        assert fetch(page, system.address("exampledir/second"))["status"] == 200


def test_a_person_opens_a_link_and_reads(system: System, page: Page) -> None:
    system.put(
        "exampledir/read me.txt", "你好".encode(), {"Content-Type": "text/plain; charset=utf-8"}
    )
    page.set_content(f'<a href="{system.address("exampledir/read me.txt")}">read</a>')
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.locator("a").click()
    page.wait_for_url(system.stack.oss_url + "/**")
    assert page.locator("body").inner_text() == "你好"
    # OSS does not learn on which page the person was.
    assert "referer" not in headers_to(system.stack.oss_url, requests)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param("download", "季度 数据+1.bin", marks=pytest.mark.long),
        ("download=q3%20%E6%8A%A5%E5%91%8A.bin", "q3 报告.bin"),
    ],
)
def test_a_person_downloads(system: System, page: Page, query: str, name: str) -> None:
    system.put(KEY, CONTENT)
    page.set_content(f'<a href="{system.address(KEY, query)}">download</a>')
    with page.expect_download() as started:
        page.locator("a").click()
    assert started.value.suggested_filename == name
    assert started.value.path().read_bytes() == CONTENT


def png(width: int, height: int) -> bytes:
    """A grey image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
