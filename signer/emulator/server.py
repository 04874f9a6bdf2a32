"""A loopback HTTP server for WSGI applications that passes on path and query exactly as they were sent."""

from __future__ import annotations

import io
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ..signed_request import path_and_query
from .errors import EmulatorError

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIEnvironment

HOST = "127.0.0.1"
EVERY_HOST = "0.0.0.0"  # noqa: S104 - for a container alone

_PATIENCE = 10.0  # seconds for which the end waits for requests
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


@dataclass
class _Connections:
    """The open connections with their threads, and those that wait for a next request."""

    open: dict[socket.socket, threading.Thread] = field(default_factory=dict)
    waiting: set[socket.socket] = field(default_factory=set)
    is_closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def opened(self, connection: socket.socket) -> None:
        with self.lock:
            self.open[connection] = threading.current_thread()

    def closed(self, connection: socket.socket) -> None:
        with self.lock:
            del self.open[connection]

    def wait(self, connection: socket.socket) -> bool:
        """Whether a next request may be read from it."""
        with self.lock:
            if not self.is_closed:
                self.waiting.add(connection)
            return not self.is_closed

    def received(self, connection: socket.socket) -> None:
        with self.lock:
            self.waiting.discard(connection)

    def close(self) -> None:
        """Ends the connections that wait; those with a request under way end after it."""
        with self.lock:
            self.is_closed = True
            _shut_down(self.waiting)

    def end(self) -> None:
        """Ends every connection, also with a request under way, and waits for their threads."""
        with self.lock:
            self.is_closed = True
            threads = list(self.open.values())
            _shut_down(self.open)
        end = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))


def _shut_down(connections: Iterable[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # the client was faster
            connection.shutdown(socket.SHUT_RDWR)


@dataclass
class _Framing:
    """How a response's body ends: at its `length`, in "chunks", at the "close" of the connection, or it has "none"."""

    kind: str
    length: int = 0
    sent: int = 0

    def frame(self, block: bytes) -> bytes:
        self.sent += len(block)
        if self.kind == "none" or not block:
            return b""
        return b"%x\r\n%b\r\n" % (len(block), block) if self.kind == "chunks" else block

    def end(self) -> bytes:
        return b"0\r\n\r\n" if self.kind == "chunks" else b""

    @property
    def is_complete(self) -> bool:
        """Whether the client knows where the next response begins."""
        return self.kind != "length" or self.sent == self.length


class _RequestBody(io.RawIOBase):
    """A request's body; `is_read` once its end was reached, so that the next request can follow.

    `length` is None for a body whose end is known only to its stream.
    """

    def __init__(self, stream: BinaryIO, length: int | None) -> None:
        self._stream = stream
        self._remaining = length
        self.is_read = length == 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer) if self._remaining is None else min(len(buffer), self._remaining)
        block = self._stream.read(size)
        buffer[: len(block)] = block
        if self._remaining is None:
            self.is_read = len(block) < size
        else:
            self._remaining -= len(block)
            self.is_read = self._remaining == 0
        return len(block)


class _RequestHandler(WSGIRequestHandler):
    """Werkzeug's, without log, with connections that are kept alive and a `RAW_URI` that is path and query as sent.

    A connection is kept as OSS keeps it, but only after a request whose body was read to its end.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # a response is several packets, and no end of the connection pushes the last one
    )
    raw_requestline: bytes
    connections: _Connections

    def handle_one_request(self) -> None:
        if self.connections.wait(self.connection):
            super().handle_one_request()
        else:
            self.close_connection = True

    def handle(self) -> None:
        self.connections.opened(self.connection)
        try:
            super().handle()
        finally:
            self.connections.closed(self.connection)

    def finish(self) -> None:
        self.connections.received(self.connection)
        super().finish()

    def parse_request(self) -> bool:
        self.connections.received(self.connection)
        # curl sends non-ASCII bytes as they are typed; the base class would take some (0x85, 0xA0) for blanks.
        self.raw_requestline = _NOT_ASCII.sub(
            lambda byte: b"%%%02X" % byte[0][0], self.raw_requestline
        )
        return super().parse_request()

    def make_environ(self) -> WSGIEnvironment:
        environ = super().make_environ()
        # The base class collapses a leading "//".
        words = self.requestline.split()
        if len(words) > 1:
            environ["RAW_URI"] = path_and_query(words[1])
        return environ

    def run_wsgi(self) -> None:
        environ = self.environ = self.make_environ()
        body = environ["wsgi.input"] = self._body(environ)
        status = ""
        headers = list[tuple[str, str]]()
        framing: _Framing | None = None  # until the headers are sent

        def start_response(
            new_status: str, new_headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            status = new_status
            headers = new_headers
            return self.wfile.write

        try:
            blocks = self.server.app(environ, start_response)
            try:
                for block in blocks:
                    framing = framing or self._send_headers(status, headers, body)
                    self.wfile.write(framing.frame(block))
            finally:
                if hasattr(blocks, "close"):
                    blocks.close()
            framing = framing or self._send_headers(status, headers, body)
            self.wfile.write(framing.end())
            self.close_connection = self.close_connection or not framing.is_complete
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            print(f"server: a request failed with {type(error).__name__}", file=sys.stderr)
            self.close_connection = True
            if framing is None:
                self._send_headers("500 Internal Server Error", [("Content-Length", "0")], body)
        if not body.is_read:
            self._discard_request()

    def _body(self, environ: WSGIEnvironment) -> _RequestBody:
        stream = environ["wsgi.input"]
        lengths = self.headers.get_all("Content-Length", ["0"])
        has_length = len(lengths) == 1 and re.fullmatch("[0-9]{1,18}", lengths[0])
        if has_length and "Transfer-Encoding" not in self.headers:
            return _RequestBody(stream, int(lengths[0]))
        return _RequestBody(stream, None)

    def _send_headers(
        self, status: str, headers: list[tuple[str, str]], body: _RequestBody
    ) -> _Framing:
        code, _, phrase = status.partition(" ")
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        framing = _Framing("none")
        if self.command != "HEAD" and code not in ("204", "304"):
            framing = _Framing("length", lengths[0]) if lengths else _Framing("chunks")
            if not lengths and self.request_version < "HTTP/1.1":
                framing = _Framing("close")
        if framing.kind == "close" or not body.is_read:
            self.close_connection = True
        self.send_response_only(int(code), phrase)
        self.send_header("Server", self.version_string())
        if all(name.lower() != "date" for name, _ in headers):
            self.send_header("Date", self.date_time_string())
        for name, value in headers:
            self.send_header(name, value)
        if framing.kind == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        return framing

    def _discard_request(self) -> None:
        """Reads what the client still sends: a reset connection would cost it the response."""
        self.connection.settimeout(2)  # seconds
        with suppress(OSError):
            # A client that waits for the end of the response has it.
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(1 << 20):
                pass

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing is logged: a request line may hold a complete link."""


@dataclass(frozen=True)
class Server:
    """A running server; `url` has no slash at its end."""

    url: str
    _server: BaseWSGIServer
    _thread: threading.Thread
    _connections: _Connections

    def close(self) -> None:
        """Stops listening, without waiting for requests under way."""
        self._server.shutdown()
        self._server.server_close()
        self._connections.close()
        self._thread.join()

    def end(self) -> None:
        """As `close`, and ends requests under way, too."""
        self.close()
        self._connections.end()


def listen(port: int, option: str = "--http-port", host: str = HOST) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises `EmulatorError`, which names `option`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # where SO_REUSEADDR would let a second server take the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise EmulatorError(
            f"Port {port} is not available ({getattr(error, 'strerror', None) or error}). "
            f"Stop the program that uses it, or choose another port with {option} (0: any free one).",
            code="port_in_use",
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of what is served on `listener`, without a slash at its end."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def serve(app: Callable[..., Iterable[bytes]], listener: socket.socket) -> Server:
    """Serves `app` on `listener`, one thread for each connection, until it is closed."""
    url = url_of(listener)
    port = listener.getsockname()[1]
    connections = _Connections()
    handler = type("RequestHandler", (_RequestHandler,), {"connections": connections})
    options: dict[str, Any] = {
        "threaded": True,
        "request_handler": handler,
        "fd": listener.fileno(),
    }
    server = make_server(HOST, port, app, **options)
    listener.close()
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    return Server(url, server, thread, connections)
