"""Where OSS answers: hosts of the OSS page "Regions and endpoints"."""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import InvalidEndpoint

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")
_DEFAULT_PORT = {"http": 80, "https": 443}


class Endpoint(NamedTuple):
    """An address of OSS and the region that its signatures name.

    `addressing` says where the bucket stands: "virtual" (before the domain), "path" (first in the path) or
    "custom" (nowhere: the domain belongs to one bucket). The signature is the same for all three; only
    `host(bucket)` and the scheme differ. For a cloud box, `product` is "oss-cloudbox" and `region` its id.
    """

    scheme: str
    domain: str
    region: str
    product: str = "oss"
    addressing: str = "virtual"

    @classmethod
    def public(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`oss-{region}.aliyuncs.com`, reached from the internet."""
        return cls("https", f"oss-{_label(region)}.aliyuncs.com", region, _label(product))

    @classmethod
    def internal(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`oss-{region}-internal.aliyuncs.com`, reached from inside the region only."""
        return cls("https", f"oss-{_label(region)}-internal.aliyuncs.com", region, _label(product))

    @classmethod
    def accelerate(cls, region: str, *, overseas: bool = False, product: str = "oss") -> Endpoint:
        """Transfer acceleration, `oss-accelerate(-overseas).aliyuncs.com`."""
        domain = "oss-accelerate-overseas" if overseas else "oss-accelerate"
        return cls("https", f"{domain}.aliyuncs.com", _label(region), _label(product))

    @classmethod
    def dual_stack(cls, region: str, *, product: str = "oss") -> Endpoint:
        """`{region}.oss.aliyuncs.com`, reached by IPv4 and IPv6."""
        return cls("https", f"{_label(region)}.oss.aliyuncs.com", region, _label(product))

    @classmethod
    def custom_domain(cls, url: str, region: str, *, product: str = "oss") -> Endpoint:
        """A domain bound to one bucket (CNAME), such as `https://static.example.com`."""
        scheme, domain = parse_origin(url)
        return cls(scheme, domain, _label(region), _label(product), "custom")

    @classmethod
    def path_style(cls, url: str, region: str, *, product: str = "oss") -> Endpoint:
        """An address with the bucket first in the path, as an IP address needs it."""
        scheme, domain = parse_origin(url)
        return cls(scheme, domain, _label(region), _label(product), "path")

    def host(self, bucket: str) -> str:
        """The `Host` header of a request for an object of `bucket`."""
        return f"{bucket}.{self.domain}" if self.addressing == "virtual" else self.domain

    def url(self, bucket: str, encoded_key: str) -> str:
        """The URL, without a query, of the object whose percent-encoded key is given."""
        if self.addressing == "virtual":
            return f"{self.scheme}://{bucket}.{self.domain}/{encoded_key}"
        if self.addressing == "path":
            return f"{self.scheme}://{self.domain}/{bucket}/{encoded_key}"
        return f"{self.scheme}://{self.domain}/{encoded_key}"


def _label(value: str) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise InvalidEndpoint(f"{value!r} is no region: write it as cn-hangzhou.", value=value)
    if value.startswith("oss-") and value != "oss-cloudbox":
        raise InvalidEndpoint(f"{value!r} is an endpoint's name: the region alone is {value[4:]!r}.", value=value)
    return value


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: localhost, 127.0.0.0/8 or [::1]."""
    return _LOOPBACK.fullmatch(host) is not None


def parse_origin(url: str) -> tuple[str, str]:
    """The scheme and the host, with a port that is not the scheme's own, of `https://host:port`.

    Raises `InvalidEndpoint` for a path, a query or a user in it, and for any other scheme than http and https.
    """
    found = _ADDRESS.fullmatch(url.lower()) if isinstance(url, str) else None
    port = int(found["port"]) if found and found["port"] else None
    if not found or (port is not None and not 0 < port < 65536):
        # A link or a password may be pasted here: neither a query nor a user is repeated.
        shown = url.partition("?")[0].rpartition("@")[2] if isinstance(url, str) else url
        raise InvalidEndpoint(
            f"{shown!r} is no endpoint: write scheme and host alone, such as https://static.example.com.", value=shown
        )
    scheme, host = found["scheme"], found["host"]
    # Clients leave the scheme's own port out of the Host header, and the header can be signed.
    return scheme, host if port in (None, _DEFAULT_PORT[scheme]) else f"{host}:{port}"
