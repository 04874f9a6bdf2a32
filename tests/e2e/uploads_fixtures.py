"""Fixtures of the tests that upload: a plugin that each of them names beside system_fixtures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.system import Requires, System, running
from tests.e2e.uploads_system import POLICY, document

SCRIPT = Path(__file__).parents[2] / "docs" / "upload.js"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]


class _Site(BaseHTTPRequestHandler):
    """A site of another origin: docs/upload.js, and an empty page at every other address."""

    def do_GET(self) -> None:
        is_script = self.path == "/upload.js"
        body = (
            SCRIPT.read_bytes() if is_script else b'<!doctype html><html lang="en"><title>Another origin</title></html>'
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The origin of a site whose pages upload by docs/upload.js; the policy's cors names it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def uploading(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[System]:
    """A running system whose policy takes uploads and shares."""
    folder = tmp_path_factory.mktemp("uploading")
    keys = folder / "keys.json"
    keys.write_text(json.dumps(document()))
    environment = {"LINK_CONFIG": str(POLICY), "LINK_KEYS": str(keys), "LINK_PAGE_ORIGIN": site}
    with running(folder / "log", environment) as found:
        yield found


@pytest.fixture(scope="module")
def chromium(requires: Requires) -> Iterator[Browser]:
    program = requires("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield found
        found.close()
