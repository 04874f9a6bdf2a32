"""HTTP to other services: connections that stay open, one reader of responses, and one bound of time.

`http.client` rather than a larger library: the first page of a new instance waits for every import. It follows no
redirect, and uses neither a proxy nor a .netrc of the environment: they could receive or replace the credentials.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from threading import Lock, Thread
from typing import IO, NamedTuple, TypeVar, cast

MAX_IDLE_SECONDS = (
    30.0  # An instance may be frozen for hours, and a firewall forgets a connection silently.
)
# The highest instanceConcurrency of a custom runtime (Function Compute page on instance concurrency).
MAX_THREADS = 200
# Bytes; OSS keeps 8 KB of metadata for an object, and sends each entry as a header.
MAX_HEAD = 256 * 1024
MAX_STRICT_HEAD = 32 * 1024  # bytes
MAX_LINE = 64 * 1024  # bytes

# A status line, but for 101, since nothing asks for another protocol (RFC 9112, 4), and header lines (5).
_STATUS = rb"HTTP/1\.[01] (10[02-9]|1[1-9][0-9]|[2-5][0-9]{2})(?: [^\x00\n\v\f\r]*)?\r\n"
_HEADERS = rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\x00\n\v\f\r]*\r\n)*"

Result = TypeVar("Result")


class HttpResponse(NamedTuple):
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status}, headers={sorted(self.headers)!r}, body=<{len(self.body)} bytes>)"


class Response(http.client.HTTPResponse):
    """Refuses what is cut, too long or doubtful, where http.client takes what it gets for a response."""

    HEAD = _STATUS + b"(?s:.*)\r\n"
    FIRST_FINAL = 101  # An earlier status is that of an interim response, which is skipped.
    lines_left = MAX_HEAD  # bytes, of heads and of what is around the chunks of a body
    fields: dict[str, str]  # The headers, with lower-case names.

    def begin(self) -> None:
        """Reads the head. Raises `HTTPException`."""
        self.status = 100
        while self.status < self.FIRST_FINAL:
            head = bytearray()
            while not head.endswith(b"\r\n\r\n"):
                head += self._line()
            match = re.fullmatch(self.HEAD, head)
            if match is None:
                raise http.client.HTTPException("Invalid response (expected HTTP/1.1).")
            self.status = int(match[1])
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:-2]]
        pairs = [(name.lower(), value.strip(" \t")) for name, _, value in lines]
        self.fields = {}
        for name, value in pairs:
            self.fields[name] = f"{self.fields[name]}, {value}" if name in self.fields else value
        lengths = {
            part.strip(" \t")
            for name, value in pairs
            if name == "content-length"
            for part in value.split(",")
        }
        codings = [value.lower() for name, value in pairs if name == "transfer-encoding"]
        if (lengths and not re.fullmatch("[0-9]{1,20}", ",".join(lengths))) or codings not in (
            [],
            ["chunked"],
        ):
            raise http.client.HTTPException("Invalid response (expected one length).")
        self.chunked = bool(codings)
        self.length = int(lengths.pop()) if lengths and not codings else None
        if self.status < 200 or self.status in (204, 304) or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        is_last = (
            head.startswith(b"HTTP/1.0") or "close" in self.fields.get("connection", "").lower()
        )
        self.will_close = is_last or (self.length is None and not self.chunked)

    def receive(self, limit: int) -> tuple[bytes, bool]:
        """At most `limit` bytes of the body, and whether they are all of it. Raises `HTTPException`."""
        # Also after HEAD, 204 and 304, which have no chunks.
        if not self.chunked or self.length == 0:
            # Python 3.10 allocates as many bytes as it may read.
            content = self.fp.read(limit if self.length is None else min(self.length, limit))
            if self.length is None:
                return content, len(content) < limit
            if len(content) < min(self.length, limit):
                raise http.client.IncompleteRead(b"")
            return content, self.length <= limit
        body = bytearray()
        # RFC 9112, 7.1: http.client does not check what is between chunks, or whether the last one has arrived.
        while header := re.fullmatch(rb"([0-9A-Fa-f]{1,20})(?:;.*)?[ \t]*\r\n", self._line()):
            size = int(header[1], 16)
            if size == 0:
                while re.fullmatch(_HEADERS, line := self._line()):
                    pass  # trailers
                if line == b"\r\n":
                    return bytes(body), True
                break
            chunk = self.fp.read(min(size, limit - len(body)))
            body += chunk
            if size > len(chunk) and len(body) == limit:
                return bytes(body), False
            if size > len(chunk) or self._line() != b"\r\n":
                break
        raise http.client.IncompleteRead(b"")

    def _line(self) -> bytes:
        line = self.fp.readline(min(self.lines_left, MAX_LINE))
        self.lines_left -= len(line)
        if not line.endswith(b"\r\n"):
            raise http.client.IncompleteRead(b"")
        return line


class StrictResponse(Response):
    """Refuses each header line that another reader might understand differently, and skips every interim response."""

    HEAD = _STATUS + _HEADERS + rb"\r\n"
    FIRST_FINAL = 200
    lines_left = MAX_STRICT_HEAD


class Bound:
    """The time of one call, and the sockets that it has open."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._is_over = False
        self._lock = Lock()

    def left(self, at_most: float = float("inf")) -> float:
        """Seconds for the next step. Raises `TimeoutError`."""
        seconds = min(self._end - time.monotonic(), at_most)
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def hold(self, opened: socket.socket) -> None:
        """Has a socket shut down at the end. Raises `TimeoutError` after it, so that nothing is sent late."""
        with self._lock:
            if self._is_over:
                raise TimeoutError
            # A descriptor of its own: the call may close the other one, and its number be another file's by then.
            self._sockets.append(socket.fromfd(opened.fileno(), opened.family, opened.type))

    def end(self) -> None:
        with self._lock:
            self._is_over = True
            for each in self._sockets:
                with each, suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def within(seconds: float, call: Callable[[Bound], Result]) -> Result:
    """What a call returns or raises; `TimeoutError` after so many seconds, and what it holds is shut down.

    In a thread, for which no exit waits: no timeout of a socket limits how long a name is looked up, or how often bytes
    trickle in. Raises `RuntimeError` where no thread can be started.
    """
    from queue import Empty, SimpleQueue

    bound = Bound(seconds)
    results = SimpleQueue[Result | Exception]()

    def run() -> None:
        try:
            results.put(call(bound))
        except Exception as error:
            results.put(error)

    Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    finally:
        bound.end()
    if isinstance(result, Exception):
        raise result
    return result


class _Idle(NamedTuple):
    """An open connection, unused since so many Unix seconds."""

    scheme: str
    host: str
    connection: http.client.HTTPConnection
    since: float

    def is_old(self, now: float) -> bool:
        return not 0 <= now - self.since < MAX_IDLE_SECONDS


class Connections:
    """Connections that are open and unused, so one for each thread that was busy at the same time.

    Those of a call of `within` are held by its `bound`.
    """

    def __init__(self, bound: Bound | None = None) -> None:
        self._bound = bound
        self._idle: list[_Idle] = []  # in the order in which they were used
        self._lock = Lock()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None,
        *,
        timeout: tuple[float, float],
        max_body: int,
        is_new: bool = False,
    ) -> HttpResponse:
        """One request, and at most `max_body` bytes of its response. Redirects are not followed.

        With `is_new`, it opens a connection, though another one is kept.
        `timeout` is in seconds: to connect, and to wait for more bytes. Raises `TimeoutError` if a connected server is
        silent for too long, otherwise an `OSError` or `http.client.HTTPException` for a connection that fails or ends
        within the response.
        """
        scheme, _, rest = url.partition("://")
        host, _, target = rest.partition("/")
        kept = None if is_new else self._take(scheme, host)
        connection = kept or _connect(scheme, host, timeout[0])
        is_reusable = False
        try:
            if self._bound is not None:
                self._bound.hold(connection.sock)
            connection.sock.settimeout(timeout[1])
            connection.request(method, f"/{target}", body, dict(headers))
            with cast("Response", connection.getresponse()) as response:
                content, is_complete = response.receive(max_body)
            # After a 1xx other than 100 the response itself follows.
            is_reusable = is_complete and not response.will_close and response.status >= 200
        except (ConnectionError, http.client.HTTPException):
            # What ended one kept connection, such as a restart, may have ended all.
            if kept is not None:
                self.close()
            raise
        finally:
            if is_reusable:
                self._keep(scheme, host, connection)
            else:
                connection.close()
        return HttpResponse(response.status, response.fields, content)

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().connection.close()

    def _take(self, scheme: str, host: str) -> http.client.HTTPConnection | None:
        """The connection to a host that was used last, if it is still open."""
        while True:
            with self._lock:
                matching = [
                    each for each in self._idle if (each.scheme, each.host) == (scheme, host)
                ]
                if not matching:
                    return None
                idle = matching[-1]
                self._idle.remove(idle)
            if not idle.is_old(time.time()) and not _is_readable(idle.connection):
                return idle.connection
            idle.connection.close()

    def _keep(self, scheme: str, host: str, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            now = time.time()  # within the lock: another thread's would seem to be of the future
            self._idle.append(_Idle(scheme, host, connection, now))
            while len(self._idle) > MAX_THREADS or self._idle[0].is_old(now):
                self._idle.pop(0).connection.close()


@cache
def tls_context() -> ssl.SSLContext:
    """Trusts the authorities of certifi, since the runtime's own may be old."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _connect(scheme: str, host: str, timeout: float) -> http.client.HTTPConnection:
    connection = (
        http.client.HTTPSConnection(host, timeout=timeout, context=tls_context())
        if scheme == "https"
        else http.client.HTTPConnection(host, timeout=timeout)
    )
    connection.response_class = Response
    try:
        connection.connect()
    except TimeoutError:
        raise ConnectionError("No connection in time.") from None
    return connection


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    """Whether bytes or the end have arrived, though nothing was asked: such a connection has no use any more."""
    if isinstance(connection.sock, ssl.SSLSocket) and connection.sock.pending():
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
