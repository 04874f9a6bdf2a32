"""One POST to a checked address: certificate of the host's name, no redirects, limits on time and size."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from .address import Address, Resolve, checked, is_public, resolve
from .sink import Post

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

CONNECT = 5.0  # seconds
READ = 10.0  # seconds from the last byte sent to the last one read
CAP = 64 * 1024  # bytes of an answer that are read


class Unanswered(Exception):
    """No head of an answer came; `code` is no_connection, no_tls, no_answer or too_slow."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Answered(NamedTuple):
    """An answer: header names in lower case; `body` is None where it broke off, and cut at `CAP`."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


@cache
def trusted() -> ssl.SSLContext:
    """The certificate authorities that requests brings along."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


class Network(NamedTuple):
    """The world as messages reach it; a test brings its own."""

    resolve: Resolve = resolve
    public: Callable[[Address], bool] = is_public
    context: Callable[[], ssl.SSLContext] = trusted
    connect: float = CONNECT
    read: float = READ


def send(post: Post, network: Network, *, allow_loopback: bool) -> Answered:
    """Sends one message once. Raises `AddressRefused`, `NameUnknown`, `Unanswered`.

    The environment's proxies have no say: the connection goes to an address that was checked.
    """
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import HTTPError

    parts = urlsplit(post.url)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    addresses = checked(host, port, network.resolve, loopback=not is_tls and allow_loopback, public=network.public)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = {"Host": parts.netloc, "User-Agent": "fc-presign", "Accept-Encoding": "identity", **post.headers}
    fault = "no_connection"
    for address in addresses[:4]:
        connection: HTTPConnection
        if is_tls:
            connection = HTTPSConnection(
                address,
                port,
                timeout=network.connect,
                ssl_context=network.context(),
                server_hostname=host,
            )
        else:
            connection = HTTPConnection(address, port, timeout=network.connect)
        try:
            connection.connect()
        except ssl.SSLError:
            fault = "no_tls"
        except (HTTPError, OSError):
            fault = "no_connection"
        else:
            return _exchange(connection, target, headers, post.body, network.read)
        connection.close()
    raise Unanswered(fault)


def _exchange(
    connection: HTTPConnection, target: str, headers: Mapping[str, str], body: bytes, limit: float
) -> Answered:
    """Sends the request on an open connection and reads its answer, all within the limit."""
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    assert connection.sock is not None
    plug = connection.sock
    plug.settimeout(limit)
    # A timeout of the socket begins anew with each byte: a server that sends one now and then would hold us for long.
    watchdog = threading.Timer(limit, _cut, [plug])
    watchdog.daemon = True
    watchdog.start()
    began = time.monotonic()
    try:
        try:
            connection.request("POST", target, body=body, headers=dict(headers), preload_content=False)
            answer = connection.getresponse()
        except (HTTPError, HTTPException, OSError, ValueError):
            raise Unanswered("too_slow" if time.monotonic() - began >= limit else "no_answer") from None
        found = {name.lower(): value for name, value in answer.headers.items()}
        try:
            content: bytes | None = answer.read(CAP, decode_content=False)
        except (HTTPError, HTTPException, OSError, ValueError):
            content = None
        return Answered(answer.status, found, content)
    finally:
        watchdog.cancel()
        connection.close()


def _cut(plug: socket.socket) -> None:
    with suppress(OSError):
        plug.shutdown(socket.SHUT_RDWR)
