"""One POST to a sink: only to public addresses, with the certificate of the host's name, without redirects, and with
limits on time and size.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from ...errors import HandlerError
from .base import Post

CONNECT_TIMEOUT = 5.0  # seconds
RESPONSE_TIMEOUT = 10.0  # seconds from the first byte sent to the last one read
MAX_RESPONSE = 64 * 1024  # bytes that are read
MAX_HEAD = 32 * 1024  # bytes
MAX_ADDRESSES = 4  # of a host that are tried

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 networks that carry an IPv4 address (RFC 6052, 8215, 3056, 4380), which may be a private one.
_IPV4_CARRIERS = tuple(
    ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
# Reserved by the IETF (RFC 6890); Python's versions differ on which of it is global.
_IETF = ipaddress.IPv4Network("192.0.0.0/24")

# Lines that end in a bare LF, and headers that continue on the next line: h11 reads both, but a doubtful head must not
# count as a delivery.
_DOUBTFUL = re.compile(rb"(?<!\r)\n|\n[ \t]")


class NoResponse(HandlerError):
    """No response arrived: `code` is address_refused, name_unknown, no_connection, no_tls, no_answer or too_slow."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The sink did not respond ({code}).", code=code)
        self.is_temporary = code not in ("address_refused", "no_tls")


class WebhookResponse(NamedTuple):
    """`headers` have lower-case names; `body` is what arrived of it, entire where `is_complete`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, in the system's order. Raises `OSError`."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def is_public(address: Address) -> bool:
    """Whether it is on the public Internet, and so is any IPv4 address inside."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _IPV4_CARRIERS):
            return False
    elif address in _IETF:
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address.is_private
    )


@cache
def tls_context() -> ssl.SSLContext:
    """Trusts the certificate authorities that come with requests."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


class Network(NamedTuple):
    """How messages reach the world; times are in seconds."""

    resolve: Callable[[str, int], list[str]] = resolve
    is_public: Callable[[Address], bool] = is_public
    tls_context: Callable[[], ssl.SSLContext] = tls_context
    connect_timeout: float = CONNECT_TIMEOUT
    response_timeout: float = RESPONSE_TIMEOUT


def send(post: Post, network: Network, *, allow_loopback: bool) -> WebhookResponse:
    """Sends one message once. Raises `NoResponse`.

    The connection goes to an address that was checked, whatever the name resolves to a moment later and whatever
    proxies the environment names.
    """
    parts = urlsplit(post.url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    if is_tls:
        addresses = public_addresses(host, port, network)
    elif allow_loopback and host == "127.0.0.1":
        addresses = [host]
    else:
        raise NoResponse("address_refused")
    code = "no_connection"
    for address in addresses[:MAX_ADDRESSES]:
        try:
            plain = socket.create_connection((address, port), timeout=network.connect_timeout)
        except OSError:
            continue
        with plain:
            try:
                connection = network.tls_context().wrap_socket(plain, server_hostname=host) if is_tls else plain
            except (ssl.SSLError, ssl.CertificateError):
                code = "no_tls"
                continue
            except OSError:
                continue
            with connection:
                return _post(connection, post, network.response_timeout)
    raise NoResponse(code)


def public_addresses(host: str, port: int, network: Network) -> list[str]:
    """The addresses of a host, all of them public. Raises `NoResponse`."""
    try:
        addresses = network.resolve(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise NoResponse("name_unknown")
    for address in addresses:
        try:
            allowed = network.is_public(ipaddress.ip_address(address))
        except ValueError:  # a link-local address with its interface
            allowed = False
        if not allowed:
            raise NoResponse("address_refused")
    return addresses


def _post(connection: socket.socket, post: Post, timeout: float) -> WebhookResponse:
    """Sends the request and reads its response, within `timeout` seconds in all however slowly bytes arrive."""
    end = time.monotonic() + timeout
    exchange = _Exchange()
    code = "no_answer"
    try:
        connection.settimeout(timeout)
        connection.sendall(exchange.request(post))
        while not exchange.is_complete and len(exchange.received) < MAX_RESPONSE:
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            connection.settimeout(remaining)
            exchange.receive(connection.recv(16384))
    except TimeoutError:
        code = "too_slow"
    except (OSError, h11.RemoteProtocolError):
        pass
    head = exchange.head
    if head is None:
        raise NoResponse(code)
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
    return WebhookResponse(head.status_code, headers, bytes(exchange.body), exchange.is_complete)


class _Exchange:
    """One request, and what has arrived of its response (RFC 9112)."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.received = bytearray()
        self.head: h11.Response | None = None
        self.body = bytearray()
        self.is_complete = False

    def request(self, post: Post) -> bytes:
        parts = urlsplit(post.url)
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        headers = {
            "Host": parts.netloc,
            "User-Agent": "fc-presign",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Length": str(len(post.body)),
            **post.headers,
        }
        request = h11.Request(method="POST", target=target, headers=list(headers.items()))
        events = (request, h11.Data(data=post.body), h11.EndOfMessage())
        return b"".join(self._http.send(event) or b"" for event in events)

    def receive(self, block: bytes) -> None:
        """Reads what arrived; an empty block is the end. Raises `h11.RemoteProtocolError`."""
        self.received += block
        if not b"HTTP/1.".startswith(self.received[:7]):
            raise h11.RemoteProtocolError("This is not HTTP/1.")
        self._http.receive_data(block)
        while not self.is_complete and (event := self._http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                lines = self.received[: len(self.received) - len(self._http.trailing_data[0])]
                if event.status_code > 599 or event.http_version > b"1.1":
                    raise h11.RemoteProtocolError("The status line is invalid.")
                if len(lines) > MAX_HEAD or _DOUBTFUL.search(lines):
                    raise h11.RemoteProtocolError("The head is too long or doubtful.")
                self.head = event
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.is_complete = True
