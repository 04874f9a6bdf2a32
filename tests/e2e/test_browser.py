"""A real Chromium on a page of a third origin: it fetches, shows, downloads and uploads private objects."""

from __future__ import annotations

import hashlib
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import oss2
import pytest
from playwright.sync_api import Browser, Error, Page, Request, sync_playwright

from tests.e2e.system import Requires, System

pytest_plugins = ("tests.e2e.system_fixtures",)

KEY = "exampledir/报告/季度 数据+1.bin"
CONTENT = bytes(range(256)) * 40
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
FETCH = """async address => {
    const answer = await fetch(address);
    const bytes = await answer.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return {
        status: answer.status,
        redirected: answer.redirected,
        etag: answer.headers.get("etag"),
        sha256: Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join(""),
    };
}"""
UPLOAD = """async ({ url, headers, text }) =>
    (await fetch(url, { method: "PUT", headers, body: new Blob([text]) })).status"""


class _EmptyPage(BaseHTTPRequestHandler):
    """Every address of the third origin."""

    def do_GET(self) -> None:
        body = b'<!doctype html><html lang="en"><title>Third origin</title><body></body></html>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def third_origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(requires: Requires) -> Iterator[Browser]:
    chromium = requires("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, third_origin: str) -> Iterator[Page]:
    """A page of the third origin, with nothing remembered."""
    context = browser.new_context()
    context.set_default_timeout(20_000)
    found = context.new_page()
    found.goto(third_origin)
    yield found
    context.close()


def fetched(page: Page, address: str) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(FETCH, address)
    return found


def sent_to(origin: str, requests: list[Request]) -> dict[str, str]:
    """The headers, as they went out, of the one request to an origin."""
    (request,) = [request for request in requests if request.url.startswith(origin + "/")]
    return request.all_headers()


def test_a_page_of_a_third_origin_fetches_through_the_redirect(system: System, page: Page, third_origin: str) -> None:
    stored = system.put(KEY, CONTENT)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    assert fetched(page, system.address(KEY)) == {
        "status": 200,
        "redirected": True,
        "etag": stored.headers["ETag"],
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert sent_to(system.stack.http_url, requests)["origin"] == third_origin
    assert sent_to(system.stack.oss_url, requests)["origin"] == "null"


def test_a_bucket_must_admit_the_null_origin_and_not_that_of_the_page(
    own_system: System, page: Page, third_origin: str
) -> None:
    for key in ("exampledir/first", "exampledir/second"):
        own_system.put(key, CONTENT)
    admit(own_system, third_origin)
    with pytest.raises(Error, match="Failed to fetch"):
        fetched(page, own_system.address("exampledir/first"))
    admit(own_system, "null")
    assert fetched(page, own_system.address("exampledir/second"))["status"] == 200


def test_a_page_uploads_by_a_link(system: System, page: Page) -> None:
    key = "exampledir/from the browser.txt"
    link = system.link("PUT", key, headers={"Content-Type": "text/plain; charset=utf-8"})
    assert page.evaluate(UPLOAD, {"url": link.url, "headers": link.headers, "text": "报告"}) == 200
    found = fetched(page, system.address(key))
    assert found["sha256"] == hashlib.sha256("报告".encode()).hexdigest()
    # A signed header that the page leaves out.
    assert page.evaluate(UPLOAD, {"url": link.url, "headers": {}, "text": "other"}) == 403


def test_an_image_is_shown(system: System, page: Page) -> None:
    system.put("exampledir/图.png", png(3, 2), {"Content-Type": "image/png"})
    page.set_content(f'<img src="{system.address("exampledir/图.png")}">')
    size = "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    assert page.locator("img").evaluate(size) == [3, 2]


def test_a_person_follows_a_link_and_reads(system: System, page: Page) -> None:
    system.put("exampledir/read me.txt", "你好".encode(), {"Content-Type": "text/plain; charset=utf-8"})
    page.set_content(f'<a href="{system.address("exampledir/read me.txt")}">read</a>')
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.locator("a").click()
    page.wait_for_url(system.stack.oss_url + "/**")
    assert page.locator("body").inner_text() == "你好"
    # OSS is not told where the person came from.
    assert "referer" not in sent_to(system.stack.oss_url, requests)


@pytest.mark.parametrize(
    ("query", "name"), [("download", "季度 数据+1.bin"), ("download=q3%20%E6%8A%A5%E5%91%8A.bin", "q3 报告.bin")]
)
def test_a_person_downloads(system: System, page: Page, query: str, name: str) -> None:
    system.put(KEY, CONTENT)
    page.set_content(f'<a href="{system.address(KEY, query)}">download</a>')
    with page.expect_download() as started:
        page.locator("a").click()
    assert started.value.suggested_filename == name
    assert started.value.path().read_bytes() == CONTENT


def test_a_person_who_is_refused_sees_a_page_that_says_so(system: System, page: Page) -> None:
    answer = page.goto(system.address("private/none.txt"))
    assert answer is not None
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is nothing at this address." in page.locator("body").inner_text()


def admit(system: System, origin: str) -> None:
    """Lets pages of this origin alone read the bucket."""
    rule = oss2.models.CorsRule(allowed_origins=[origin], allowed_methods=["GET"])
    system.operator().put_bucket_cors(oss2.models.BucketCors([rule]))


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
