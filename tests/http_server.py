"""A server of a test on this machine, whose handler decides what it answers."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Logs nothing: a request line may contain a complete link."""

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = (
        128  # of 5, the connections of all threads would be more, and one would wait a second
    )

    def handle_error(self, request: object, client_address: object) -> None:
        """Prints nothing of a client that went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def http_server(
    handler: type[Handler], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The address of a server that runs until the block ends."""
    with _Server((address, 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://{address}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(60)
