"""One POST to a sink: only to public addresses, with the certificate of the host's name, without redirects, and with
limits on time and size.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from ...core.cloud.http_client import Bound, StrictResponse, tls_context, within
from ...core.errors import HandlerError
from ..timing import CONNECT_TIMEOUT, TRY
from .base import Post

MAX_RESPONSE = 64 * 1024  # bytes of a body that are read
MAX_ADDRESSES = 4  # of a host that are tried

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What is not the public Internet, by IANA's special-purpose registries (RFC 6890): Python's own list differs with its
# version. Of IPv6 only 2000::/3 is unicast on the Internet; in there are the IETF's own networks, documentation, and
# 6to4, which carries an IPv4 address.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
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
        ),
    )
)


class NoResponse(HandlerError):
    """No response arrived: `code` is address_refused, name_unknown (also where a look-up takes as long as a try may),
    no_connection, no_tls, no_answer or too_slow.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"The sink did not respond ({code}).", code=code)


class WebhookResponse(NamedTuple):
    """`headers` have lower-case names; of the `body` more may have been sent where it is not complete."""

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


def send(post: Post, network: Network, *, allow_loopback: bool) -> WebhookResponse:
    """Sends one message once, within `network.try_timeout` in all. Raises `NoResponse`.

    The connection goes to an address that was checked, whatever the name resolves to a moment later.
    """
    attempt = _Try(post, network, allow_loopback)
    body = b""
    is_complete = False
    with suppress(TimeoutError):  # A head that has arrived by then counts.
        body, is_complete = within(network.try_timeout, attempt.run)
    if attempt.head is None:
        raise NoResponse(attempt.code)
    return WebhookResponse(attempt.head.status, attempt.head.fields, body, is_complete)


def public_addresses(host: str, port: int, network: Network) -> list[str]:
    """The addresses of a host, all of them public. Raises `NoResponse`."""
    try:
        addresses = network.resolve(host, port)
    except (OSError, ValueError):  # ValueError: a name that IDNA does not allow
        addresses = []
    if not addresses:
        raise NoResponse("name_unknown")
    for address in addresses:
        if not network.is_public(ipaddress.ip_address(address)):
            raise NoResponse("address_refused")
    return addresses


class _Try:
    """One try. At the end of its time, `code` says what it was waiting for, unless the `head` of a response arrived."""

    def __init__(self, post: Post, network: Network, allow_loopback: bool) -> None:
        self._post = post
        self._network = network
        self._allow_loopback = allow_loopback
        self._url = urlsplit(post.url)
        self.code = "name_unknown"
        self.head: StrictResponse | None = None

    def run(self, bound: Bound) -> tuple[bytes, bool]:
        """The response's body, and whether it is complete. Raises `NoResponse` where no head arrived."""
        headers = {
            "Host": self._url.netloc,
            "User-Agent": "fc-presign",
            "Accept": "*/*",
            "Connection": "close",
        }
        target = f"{self._url.path or '/'}{'?' + self._url.query if self._url.query else ''}"
        connection = http.client.HTTPConnection(self._url.netloc)
        connection.response_class = StrictResponse
        connection.sock = self._open(bound)
        self.code = "too_slow"
        try:
            bound.hold(connection.sock)
            connection.sock.settimeout(bound.left())
            connection.request("POST", target, self._post.body, {**headers, **self._post.headers})
            with cast("StrictResponse", connection.getresponse()) as self.head:
                return self.head.receive(MAX_RESPONSE)
        except Exception as error:
            # Whatever reading a broken answer raises is a failed try of this message alone.
            if self.head is None:
                raise NoResponse(
                    "too_slow" if isinstance(error, TimeoutError) else "no_answer"
                ) from None
            return b"", False
        finally:
            connection.close()

    def _open(self, bound: Bound) -> socket.socket:
        """Connected to one of the addresses, with TLS but for the loopback."""
        network = self._network
        host = self._url.hostname or ""
        is_tls = self._url.scheme == "https"
        port = self._url.port or (443 if is_tls else 80)
        if is_tls:
            addresses = public_addresses(host, port, network)
        elif self._allow_loopback and host == "127.0.0.1":
            addresses = [host]
        else:
            raise NoResponse("address_refused")
        code = self.code = "no_connection"
        for address in addresses[:MAX_ADDRESSES]:
            try:
                for_address = Bound(bound.left(network.connect_timeout))
                plain = socket.create_connection((address, port), for_address.left())
            except OSError:
                continue
            self.code = "too_slow"
            try:
                # The head of a request and its body are sent one by one, and must not wait for each other.
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not is_tls:
                    return plain
                context = network.tls_context()
                plain.settimeout(for_address.left())  # of the entire handshake
                return context.wrap_socket(plain, server_hostname=host)
            except TimeoutError:
                code = "too_slow"
            except (
                ssl.SSLError,
                ssl.CertificateError,
                ValueError,
            ):
                # ValueError: a host that no certificate has.
                code = "no_tls"
            except OSError:
                pass
            plain.close()
            self.code = code
        raise NoResponse(code)
