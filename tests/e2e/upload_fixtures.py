"""Fixtures of the tests of uploads: a plugin that each of their files names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.system import System, run_system
from tests.e2e.upload_system import LINKS_TOML, keys_document

SCRIPT = Path(__file__).parents[2] / "docs" / "upload.js"


class _Site(BaseHTTPRequestHandler):
    """A site of another origin: docs/upload.js, and an empty page at every other path."""

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
        """Silences the server."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The origin of a site with docs/upload.js, which cors of the configuration allows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def upload_system(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[System]:
    """The running system with uploads and shares enabled."""
    folder = tmp_path_factory.mktemp("upload_system")
    keys = folder / "keys.json"
    keys.write_text(json.dumps(keys_document()))
    environment = {"LINK_CONFIG": str(LINKS_TOML), "LINK_KEYS": str(keys), "LINK_PAGE_ORIGIN": site}
    with run_system(folder / "log", environment) as system:
        yield system
