"""One POST to a checked address: certificate of the host's name, no redirects, limits on time and size."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

from .address import Address, Resolve, checked, is_public, resolve
from .base import Post
from .http_answer import NoHttp, Response, read_answer

CONNECT = 5.0  # seconds
READ = 10.0  # seconds from the first byte sent to the last one read
CAP = 64 * 1024  # bytes of an answer that are read
MOST_ADDRESSES = 4


class Unanswered(Exception):
    """No head of an answer came; `code` is no_connection, no_tls, no_answer or too_slow."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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


def send(post: Post, network: Network, *, allow_loopback: bool) -> Response:
    """Sends one message once. Raises `AddressRefused`, `NameUnknown`, `Unanswered`.

    The environment's proxies have no say: the connection goes to an address that was checked.
    """
    parts = urlsplit(post.url)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    addresses = checked(host, port, network.resolve, loopback=not is_tls and allow_loopback, public=network.public)
    request = _request(parts.netloc, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", post)
    fault = "no_connection"
    for address in addresses[:MOST_ADDRESSES]:
        try:
            plug = socket.create_connection((address, port), timeout=network.connect)
        except OSError:
            continue
        with plug:
            try:
                line = network.context().wrap_socket(plug, server_hostname=host) if is_tls else plug
            except (ssl.SSLError, ssl.CertificateError):
                fault = "no_tls"
                continue
            except OSError:
                continue
            with line:
                return _exchange(line, request, network.read)
    raise Unanswered(fault)


def _request(netloc: str, target: str, post: Post) -> bytes:
    headers: Mapping[str, str] = {
        "Host": netloc,
        "User-Agent": "fc-presign",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Length": str(len(post.body)),
        **post.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + post.body


def _exchange(line: socket.socket, request: bytes, limit: float) -> Response:
    """Sends the request and reads its answer, all within the limit: a server that drips gains no time."""
    end = time.monotonic() + limit
    data = bytearray()
    answer: Response | None = None
    fault = "no_answer"
    try:
        line.settimeout(limit)
        line.sendall(request)
        while (answer is None or not answer.is_whole) and len(data) < CAP:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            line.settimeout(left)
            block = line.recv(16384)
            data += block
            answer = read_answer(bytes(data), is_end=not block)
            if not block:
                break
    except TimeoutError:
        fault = "too_slow"
    except (OSError, NoHttp):
        pass
    if answer is None:
        raise Unanswered(fault)
    return answer
