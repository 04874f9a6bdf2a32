"""An HTTP server on the loopback for a WSGI application, with the request's target as the client wrote it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .errors import LocalError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HOST = "127.0.0.1"

_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class PortTaken(LocalError):
    """Somebody else listens there."""


class _Requests(WSGIRequestHandler):
    """Werkzeug's, quiet, with HTTP/1.1 and a `RAW_URI` that is the target as it came."""

    protocol_version = "HTTP/1.1"
    raw_requestline: bytes

    def parse_request(self) -> bool:
        # curl sends what is typed; the base class would take some of its bytes (0x85, 0xA0) for spaces.
        self.raw_requestline = _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], self.raw_requestline)
        return super().parse_request()

    def make_environ(self) -> WSGIEnvironment:
        environ = super().make_environ()
        # The base class collapses a leading "//".
        words = self.requestline.split()
        if len(words) > 1:
            environ["RAW_URI"] = words[1]
        return environ

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: a request line holds whole links."""


@dataclass(frozen=True)
class Server:
    """A running server; `url` has no slash at its end."""

    url: str
    _server: BaseWSGIServer
    _thread: threading.Thread

    def close(self) -> None:
        """Stops listening; requests under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listen(port: int, option: str = "--http-port") -> socket.socket:
    """A listening socket on the loopback; port 0 picks a free one. Raises `PortTaken`, which names `option`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTaken(
            f"Port {port} cannot be used ({getattr(error, 'strerror', None) or error}): "
            f"end what listens there, or name another with {option} (0 picks a free one)."
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The address that a socket of `listen` has."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def serve(app: Callable[..., Iterable[bytes]], listener: socket.socket) -> Server:
    """Serves `app` on `listener`, one thread for each request, until it is closed."""
    url = url_of(listener)
    options: dict[str, Any] = {"threaded": True, "request_handler": _Requests, "fd": listener.fileno()}
    server = make_server(HOST, listener.getsockname()[1], app, **options)
    listener.close()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return Server(url, server, thread)
