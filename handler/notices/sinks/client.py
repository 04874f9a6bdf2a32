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
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from ...cloud.http_client import tls_context
from ...errors import HandlerError
from .base import Post

TRY = 15.0  # seconds of one try at most: look-up, connection, TLS, request and response
CONNECT_TIMEOUT = 5.0  # seconds of them for each address, TLS included
MAX_RESPONSE = 64 * 1024  # bytes that are read
MAX_HEAD = 32 * 1024  # bytes
MAX_ADDRESSES = 4  # of a host that are tried

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What is not the public Internet, by IANA's special-purpose registries (RFC 6890): Python's own list differs with its
# version. Of IPv6 only 2000::/3 is unicast on the Internet; in there are the IETF's own networks, documentation, and
# 6to4, which carries an IPv4 address.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)

# Lines that end in a bare LF, and headers that continue on the next line: h11 reads both, but a doubtful head must not
# count as a delivery.
_DOUBTFUL = re.compile(rb"(?<!\r)\n|\n[ \t]")


class NoResponse(HandlerError):
    """No response arrived: `code` is address_refused, name_unknown (also where a look-up takes as long as a try may),
    no_connection, no_tls, no_answer or too_slow.
    """

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
    """Whether it is on the public Internet. An IPv4 address that IPv6 maps is judged as what it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST:
            return False
    return not any(address in network for network in _SPECIAL)


class Network(NamedTuple):
    """How messages reach the world; times are in seconds."""

    resolve: Callable[[str, int], list[str]] = resolve
    is_public: Callable[[Address], bool] = is_public
    tls_context: Callable[[], ssl.SSLContext] = tls_context
    connect_timeout: float = CONNECT_TIMEOUT
    try_timeout: float = TRY


class _Budget:
    """The seconds that a try has left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, at_most: float = float("inf")) -> float:
        """Seconds for the next step. Raises `TimeoutError`."""
        seconds = min(self._end - time.monotonic(), at_most)
        if seconds <= 0:
            raise TimeoutError
        return seconds


def send(post: Post, network: Network, *, allow_loopback: bool) -> WebhookResponse:
    """Sends one message once, within `network.try_timeout` in all. Raises `NoResponse`.

    The connection goes to an address that was checked, whatever the name resolves to a moment later and whatever
    proxies the environment names.
    """
    budget = _Budget(network.try_timeout)
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
            for_address = _Budget(budget.left(network.connect_timeout))
            plain = socket.create_connection((address, port), timeout=for_address.left())
        except OSError:
            continue
        with plain:
            try:
                connection = _with_tls(plain, host, network, for_address) if is_tls else plain
            except TimeoutError:
                code = "too_slow"
                continue
            except (ssl.SSLError, ssl.CertificateError, ValueError):  # ValueError: a host that no certificate has
                code = "no_tls"
                continue
            except OSError:
                continue
            with connection:
                return _post(connection, post, budget)
    raise NoResponse(code)


def public_addresses(host: str, port: int, network: Network) -> list[str]:
    """The addresses of a host, all of them public. Raises `NoResponse`, at the latest after `network.try_timeout`."""
    addresses = _resolve(host, port, network)
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


def _resolve(host: str, port: int, network: Network) -> list[str]:
    """The addresses of a host; none if it has none or the look-up takes too long.

    Nothing can interrupt getaddrinfo, so it runs in a daemon thread, for which no exit waits.
    """
    results: SimpleQueue[list[str]] = SimpleQueue()

    def look_up() -> None:
        try:
            results.put(network.resolve(host, port))
        except (OSError, ValueError):  # ValueError: a name that IDNA does not allow
            results.put([])

    Thread(target=look_up, daemon=True).start()
    try:
        return results.get(timeout=network.try_timeout)
    except Empty:
        return []


def _with_tls(plain: socket.socket, host: str, network: Network, budget: _Budget) -> ssl.SSLSocket:
    context = network.tls_context()
    plain.settimeout(budget.left())  # of the entire handshake
    return context.wrap_socket(plain, server_hostname=host)


def _post(connection: socket.socket, post: Post, budget: _Budget) -> WebhookResponse:
    """Sends the request and reads its response, however slowly the peer reads or writes. Raises `NoResponse`."""
    exchange = _Exchange()
    code = "no_answer"
    try:
        request = exchange.request(post)
        connection.settimeout(budget.left())  # of the entire sendall
        connection.sendall(request)
        while not exchange.is_complete and len(exchange.received) < MAX_RESPONSE:
            connection.settimeout(budget.left())
            exchange.receive(connection.recv(16384))
    except TimeoutError:
        code = "too_slow"
    except Exception:  # noqa: S110 - the try that failed is reported below, as its code
        # Whatever reading a broken answer raises, in h11 or below it, is a failed try of this message alone.
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
