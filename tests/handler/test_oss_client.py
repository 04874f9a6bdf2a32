"""The session of the function's own requests to OSS: what it logs, and how many connections it keeps."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from handler import oss
from handler.config import Location
from signer import Credentials, Endpoint
from signer.cli import listing
from tests.handler.client import KEYS

OBJECT = Location("examplebucket", "exampledir/a.txt")
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
ROUNDS = 2


@contextmanager
def answering(response: bytes) -> Iterator[Endpoint]:
    """An OSS that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)

        thread = threading.Thread(target=answer)
        thread.start()
        yield Endpoint.path_style(f"http://127.0.0.1:{server.getsockname()[1]}", "cn-hangzhou")
        thread.join()


def malformed(body: bytes) -> bytes:
    """A response with a header without a colon, which urllib3 reports together with the URL."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno colon here\r\nConnection: close\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """The log of a new process whose root logger takes everything."""
    caplog.set_level(logging.DEBUG)
    urllib3 = logging.getLogger("urllib3")
    level = urllib3.level
    urllib3.setLevel(logging.NOTSET)
    monkeypatch.setattr(oss, "_sessions", [])
    yield caplog
    urllib3.setLevel(level)


def test_a_malformed_header_does_not_log_the_link(log: pytest.LogCaptureFixture) -> None:
    with answering(malformed(b"ok")) as endpoint:
        assert oss.client_at(endpoint, KEYS).get(OBJECT).status == 200
    assert "x-oss-signature" not in log.text
    assert not [record for record in log.records if record.name.startswith("urllib3")]


def test_nor_does_it_when_the_command_line_lists_objects(log: pytest.LogCaptureFixture) -> None:
    credentials = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    with answering(malformed(LISTED)) as endpoint:
        assert list(listing.objects("examplebucket", "", credentials=credentials, endpoint=endpoint)) == []
    assert not [record for record in log.records if record.name.startswith("urllib3")]


def test_every_thread_keeps_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = 24
    together = threading.Barrier(threads)
    accepted = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            accepted.append(self.client_address)
            super().setup()

        def do_HEAD(self) -> None:
            together.wait(20)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = threads

    monkeypatch.setattr(oss, "_sessions", [])
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        client = oss.client_at(Endpoint.path_style(f"http://127.0.0.1:{server.server_port}", "cn-hangzhou"), KEYS)
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(ROUNDS):
                assert {response.status for response in pool.map(lambda _: client.head(OBJECT), range(threads))} == {
                    200
                }
        client.session.close()
        server.shutdown()
    assert len(accepted) == threads
