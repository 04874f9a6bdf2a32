"""A proxy before the local OSS that delays, fails, cuts and drops at random, by a seed."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# How many of 24 requests meet which fate. "after" means: after OSS carried out the request.
DECK = {
    "passed": 11,
    "delayed": 2,
    "failed before": 2,
    "failed after": 2,
    "dropped before": 2,
    "dropped after": 2,
    "cut": 1,
    "stalled after": 1,
    "forwarded late": 1,
}
STALL = 0.4  # seconds, longer than the tests wait for an answer
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class UnsteadyOss:
    """The state of the proxy: `happened` counts the fates; once `calm` is set, every request passes.

    `fates` are those of the first requests, in their order; the seed decides the others.
    """

    def __init__(self, upstream: str, seed: object, fates: Sequence[str] = ()) -> None:
        self.upstream = urlsplit(upstream).netloc
        self._dice = random.Random(str(seed))
        self._deck = list(reversed(fates))
        self.calm = threading.Event()
        self.happened: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._late: list[threading.Thread] = []

    def fate(self) -> tuple[str, float]:
        """The fate of the next request, and after how many seconds it happens."""
        with self._lock:
            if not self._deck:
                self._deck = [fate for fate, times in DECK.items() for _ in range(times)]
                self._dice.shuffle(self._deck)
            fate = "passed" if self.calm.is_set() else self._deck.pop()
            self.happened[fate] += 1
            return fate, self._dice.uniform(0.005, 0.05)

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        connection.request(method, target, body or None, headers)
        return connection.getresponse()

    def forward_late(self, seconds: float, *request: Any) -> None:
        """Forwards a request later, while the client assumes that it did not arrive."""
        thread = threading.Timer(seconds, lambda: self.forward(*request).read())
        with self._lock:
            self._late.append(thread)
        thread.start()

    def settle(self) -> None:
        """Lets every request pass from now on, and waits for those that are late."""
        self.calm.set()
        for thread in self._late:
            thread.join()


def _handler(unsteady: UnsteadyOss) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            request = (self.command, self.path, headers, body)
            fate, seconds = unsteady.fate()
            self.close_connection = fate != "passed"
            if fate == "forwarded late":
                unsteady.forward_late(seconds, *request)
                return
            if fate == "dropped before":
                return
            if fate == "failed before":
                self._send(503, {}, b"")
                return
            if fate == "delayed":
                unsteady.calm.wait(seconds)
            response = unsteady.forward(*request)
            content = response.read()
            if fate == "stalled after":
                unsteady.calm.wait(STALL)
            if fate in ("dropped after", "stalled after"):
                return
            if fate == "failed after":
                self._send(500, {}, b"<Error><Code>InternalError</Code></Error>")
                return
            self._send(response.status, dict(response.headers), content, cut=fate == "cut")

        do_GET = do_HEAD = do_PUT = do_DELETE = _answer

        def _send(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing: a request line contains complete links."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def unsteady_oss(upstream: str, seed: object, fates: Sequence[str] = ()) -> Iterator[tuple[str, UnsteadyOss]]:
    """Runs the proxy: its URL, and its state."""
    unsteady = UnsteadyOss(upstream, seed, fates)
    server = _Server(("127.0.0.1", 0), _handler(unsteady))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", unsteady
    finally:
        unsteady.settle()
        server.shutdown()
        thread.join()
        server.server_close()
