"""Where a sink's host really is: every address is looked at, and the connection goes to one that was.

A name that answers otherwise a moment later changes nothing, since it is not asked again.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from ...errors import HandlerError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

# Forms of IPv6 that carry an IPv4 address (RFC 6052, 3056, 4380, 8215): what they carry may be anywhere.
_CARRIERS = tuple(
    ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)

# IETF's own (RFC 6890), of which Python's versions differ on what is global.
_SPECIAL = ipaddress.IPv4Network("192.0.0.0/24")


class AddressRefused(HandlerError):
    """The host is not, or not only, on the public Internet."""

    code = "address_refused"


class NameUnknown(HandlerError):
    """The host's name cannot be resolved now."""

    code = "name_unknown"


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, in the system's order. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(host: str, port: int, look_up: Resolve, *, loopback: bool, public: Callable[[Address], bool]) -> list[str]:
    """The addresses of a host, all of them allowed. With `loopback` the host is 127.0.0.1 itself.

    Raises `AddressRefused`, `NameUnknown`.
    """
    if loopback:
        if host != "127.0.0.1":
            raise AddressRefused("Only 127.0.0.1 is allowed without https.")
        return [host]
    try:
        found = look_up(host, port)
    except (OSError, UnicodeError):
        raise NameUnknown("The host's name cannot be resolved.") from None
    if not found:
        raise NameUnknown("The host's name has no address.")
    for address in found:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:  # a scoped one
            raise AddressRefused("The host has a link-local address: notices go to the public Internet only.") from None
        if not public(parsed):
            raise AddressRefused(
                "The host resolves to a loopback, private, link-local or metadata address: notices go to the public "
                "Internet only."
            )
    return found


def is_public(address: Address) -> bool:
    """Whether it is on the public Internet, also inside of IPv6 forms that carry an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _CARRIERS):
            return False
    elif address in _SPECIAL:
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address.is_private
    )
