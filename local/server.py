"""A loopback HTTP server for WSGI applications that passes on path and query exactly as they were sent."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from handler.request import path_and_query

from .errors import LocalError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HOST = "127.0.0.1"

_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class PortUnavailable(LocalError):
    """The port is in use, or may not be used."""


class _RequestHandler(WSGIRequestHandler):
    """Werkzeug's, without log, with HTTP/1.1 and a `RAW_URI` that is path and query as they were sent."""

    protocol_version = "HTTP/1.1"
    raw_requestline: bytes

    def parse_request(self) -> bool:
        # curl sends non-ASCII bytes as they are typed; the base class would take some (0x85, 0xA0) for blanks.
        self.raw_requestline = _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], self.raw_requestline)
        return super().parse_request()

    def make_environ(self) -> WSGIEnvironment:
        environ = super().make_environ()
        # The base class collapses a leading "//".
        words = self.requestline.split()
        if len(words) > 1:
            environ["RAW_URI"] = path_and_query(words[1])
        return environ

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing is logged: a request line may hold a complete link."""


@dataclass(frozen=True)
class Server:
    """A running server; `url` has no slash at its end."""

    url: str
    _server: BaseWSGIServer
    _thread: threading.Thread

    def close(self) -> None:
        """Stops listening, without waiting for requests under way."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listen(port: int, option: str = "--http-port") -> socket.socket:
    """A listening loopback socket; port 0 picks a free one. Raises `PortUnavailable`, which names `option`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortUnavailable(
            f"Port {port} is not available ({getattr(error, 'strerror', None) or error}). "
            f"Stop the program that uses it, or choose another port with {option} (0: any free one)."
        ) from None
    return listener


def serve(app: Callable[..., Iterable[bytes]], listener: socket.socket) -> Server:
    """Serves `app` on `listener`, one thread for each request, until it is closed."""
    port = listener.getsockname()[1]
    options: dict[str, Any] = {"threaded": True, "request_handler": _RequestHandler, "fd": listener.fileno()}
    server = make_server(HOST, port, app, **options)
    listener.close()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return Server(f"http://{HOST}:{port}", server, thread)
