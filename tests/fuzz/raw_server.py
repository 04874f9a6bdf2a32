"""A server that answers every request with the same bytes, whatever they are."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 2.0  # seconds
MAX_REQUEST = 1 << 20  # bytes

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class RawServer:
    """`answer` is sent once for each connection, or again and again up to `endless` bytes; then the connection ends.

    After `limit` connections, further ones end without an answer.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.answer = b""
        self.endless = 0
        self.limit = 0
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(PATIENCE)
                    self._serve_one(connection)

    def _serve_one(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (block := connection.recv(65536)):
            request += block
        length = _LENGTH.search(request)
        end = request.find(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
        while len(request) < min(end, MAX_REQUEST) and (block := connection.recv(65536)):
            request += block
        self.limit -= 1
        if self.limit < 0:
            return
        connection.sendall(self.answer * (1 + self.endless // max(1, len(self.answer))))
        connection.shutdown(socket.SHUT_WR)


@contextmanager
def raw_server() -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = RawServer(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
