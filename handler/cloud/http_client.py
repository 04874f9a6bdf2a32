"""HTTP connections of the function to OSS, kept open between invocations, and the authorities that its TLS trusts.

`http.client` rather than a larger library: the first page of a new instance waits for every import.
"""

from __future__ import annotations

import http.client
import select
import ssl
import time
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import BinaryIO, NamedTuple

MAX_IDLE_SECONDS = 30.0  # An instance may be frozen for hours, and a firewall forgets a connection silently.
# The highest instanceConcurrency of a custom runtime (Function Compute page on instance concurrency).
MAX_THREADS = 200
# OSS keeps 8 KB of metadata for an object, and sends each entry as a header.
MAX_HEADERS = 8 * 1024

# http.client cannot set its limit of 100 otherwise.
vars(http.client)["_MAXHEADERS"] = MAX_HEADERS


class HttpResponse(NamedTuple):
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status}, headers={sorted(self.headers)!r}, body=<{len(self.body)} bytes>)"


class _Lines:
    """The lines of a response's head."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.last = file, b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.file.readline(limit)
        return self.last

    def close(self) -> None:
        self.file.close()


class _Response(http.client.HTTPResponse):
    """Raises `IncompleteRead` for a head without its empty line: http.client takes what arrived of it for all."""

    def begin(self) -> None:
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp:  # None where the status line is invalid
                self.fp = lines.file  # type: ignore[assignment]
        if not lines.last:
            raise http.client.IncompleteRead(lines.last)


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

    Neither a proxy nor a .netrc of the environment is used: they could receive or replace the credentials.
    """

    def __init__(self) -> None:
        self._idle: list[_Idle] = []  # in the order in which they were used
        self._lock = Lock()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
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
            connection.sock.settimeout(timeout[1])
            connection.request(method, f"/{target}", body, dict(headers))
            response = connection.getresponse()
            length = response.length
            if length == 0:  # also after HEAD, 204 and 304, where http.client would wait for chunks
                response.close()
            # Python 3.10 allocates as many bytes as it may read.
            content = response.read(max_body if length is None else min(length, max_body))
            if length is not None and len(content) < min(length, max_body):
                raise http.client.IncompleteRead(content, length - len(content))
            # After a 1xx other than 100, which http.client skips, the response itself follows.
            is_reusable = response.isclosed() and not response.will_close and response.status >= 200
            received = {name.lower(): value for name, value in response.getheaders()}
        except ValueError:  # of http.client, for a chunk of a negative length
            raise http.client.HTTPException("Invalid response (expected HTTP).") from None
        except (ConnectionError, http.client.HTTPException):
            if kept is not None:  # what ended one kept connection, such as a restart, may have ended all
                self.close()
            raise
        finally:
            if is_reusable:
                self._keep(scheme, host, connection)
            else:
                connection.close()
        return HttpResponse(response.status, received, content)

    def close(self) -> None:
        """Closes the unused connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().connection.close()

    def _take(self, scheme: str, host: str) -> http.client.HTTPConnection | None:
        """The connection to a host that was used last, if it is still open."""
        while True:
            with self._lock:
                matching = [each for each in self._idle if (each.scheme, each.host) == (scheme, host)]
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
    connection.response_class = _Response
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
