"""The hosts of OSS. Source: the OSS page "Regions and endpoints"."""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import InvalidEndpoint

PRODUCTS = ("oss", "oss-cloudbox")

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")
_ADDRESS = re.compile(r"localhost|[0-9.]+|.*:.*")
_DEFAULT_PORT = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """An address of OSS and the region that its signatures name.

    `addressing` says where the bucket is: "virtual" (before the domain), "path" (first in the path) or "custom" (not in
    the URL: the domain belongs to one bucket). The signature is the same for all three; only the URL and `host(bucket)`
    differ. For a cloud box, `product` is "oss-cloudbox" and `region` is its ID.
    """

    scheme: str
    domain: str
    region: str
    product: str = "oss"
    addressing: str = "virtual"

    @classmethod
    def public(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`oss-{region}.aliyuncs.com`, for clients on the internet."""
        return cls("https", f"oss-{_label(region)}.aliyuncs.com", region, check_product(product))

    @classmethod
    def internal(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`oss-{region}-internal.aliyuncs.com`, for clients inside the region only."""
        return cls("https", f"oss-{_label(region)}-internal.aliyuncs.com", region, check_product(product))

    @classmethod
    def accelerate(cls, region: str, *, overseas: bool = False, product: str = "oss") -> Endpoint:
        """Transfer acceleration, `oss-accelerate(-overseas).aliyuncs.com`."""
        domain = "oss-accelerate-overseas" if overseas else "oss-accelerate"
        return cls("https", f"{domain}.aliyuncs.com", _label(region), check_product(product))

    @classmethod
    def dual_stack(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`{region}.oss.aliyuncs.com`, for IPv4 and IPv6."""
        return cls("https", f"{_label(region)}.oss.aliyuncs.com", region, check_product(product))

    @classmethod
    def custom_domain(cls, url: str, region: str, *, product: str = "oss") -> Endpoint:
        """A domain bound to one bucket (CNAME), such as `https://static.example.com`."""
        scheme, domain = parse_origin(url)
        return cls(scheme, domain, _label(region), check_product(product), "custom")

    @classmethod
    def path_style(cls, url: str, region: str, *, product: str = "oss") -> Endpoint:
        """An address with the bucket first in the path, which an IP address requires."""
        scheme, domain = parse_origin(url)
        return cls(scheme, domain, _label(region), check_product(product), "path")

    def host(self, bucket: str) -> str:
        """The `Host` header of a request for an object of `bucket`."""
        return f"{bucket}.{self.domain}" if self.addressing == "virtual" else self.domain

    def url(self, bucket: str, encoded_key: str) -> str:
        """The URL of an object, without a query; the key is percent-encoded already."""
        if self.addressing == "virtual":
            return f"{self.scheme}://{bucket}.{self.domain}/{encoded_key}"
        if self.addressing == "path":
            return f"{self.scheme}://{self.domain}/{bucket}/{encoded_key}"
        return f"{self.scheme}://{self.domain}/{encoded_key}"


def check_product(product: str) -> str:
    """The product. Raises `InvalidEndpoint` unless OSS accepts it in a scope."""
    if product not in PRODUCTS:
        raise InvalidEndpoint(f"Invalid product {product!r}: expected {' or '.join(PRODUCTS)}.", product)
    return product


def _label(value: str) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise InvalidEndpoint(f"Invalid region {value!r}: expected for example cn-hangzhou.", value)
    if value.startswith("oss-"):
        raise InvalidEndpoint(f"Invalid region {value!r}: remove the prefix, the region is {value[4:]!r}.", value)
    return value


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: localhost, 127.0.0.0/8 or [::1]."""
    return _LOOPBACK.fullmatch(host) is not None


def is_address(hostname: str) -> bool:
    """Whether a host without a port is an IP address or localhost, which cannot have a bucket before it."""
    return _ADDRESS.fullmatch(hostname) is not None


def parse_origin(url: str) -> tuple[str, str]:
    """The scheme and the host, with a port that is not the scheme's default, of `https://host:port`.

    Raises `InvalidEndpoint` for a path, a query or a user in it, and for schemes other than http and https.
    """
    match = _ORIGIN.fullmatch(url.lower()) if isinstance(url, str) else None
    port = int(match["port"]) if match and match["port"] else None
    if not match or (port is not None and not 0 < port < 65536):
        # A link or a password may be pasted here: neither a query nor a user is repeated.
        origin = url.partition("?")[0].rpartition("@")[2] if isinstance(url, str) else url
        raise InvalidEndpoint(
            f"Invalid endpoint {origin!r}: expected only scheme and host, such as https://static.example.com.", origin
        )
    scheme, host = match["scheme"], match["host"]
    # Clients leave the default port out of the Host header, and the header can be signed.
    return scheme, host if port in (None, _DEFAULT_PORT[scheme]) else f"{host}:{port}"
