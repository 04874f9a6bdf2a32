"""The hosts of OSS. Source: the OSS page "Regions and endpoints"."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from .errors import InvalidEndpoint, check_type, describe_argument

PRODUCTS = ("oss", "oss-cloudbox")
# They tell a misspelt region from a new one.
KNOWN_REGIONS = (
    # Chinese mainland and Hong Kong
    "cn-beijing",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-heyuan-acdr-1",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "cn-zhongwei",
    "rg-china-mainland",
    # Asia Pacific
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ap-southeast-8",
    # Europe, America and the Middle East
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "sa-east-1",
    "us-east-1",
    "us-west-1",
    # finance and government
    "cn-beijing-finance-1",
    "cn-hangzhou-finance",
    "cn-north-2-gov-1",
    "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1",
)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# Compiled at their first use: most endpoints are OSS's own.
_ORIGIN = r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
_LOOPBACK = r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?"
_ADDRESS = r"localhost|[0-9.]+|.*:.*"
_DEFAULT_PORT = {"http": 80, "https": 443}
_REGION = r"[a-z]{2}-[a-z0-9-]*[a-z0-9](?<!-internal)"
# Compiled when it is first used: a redirect needs it only for a URL in links.toml.
_OSS_HOST = (
    r"(?:(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.)?"
    r"(?P<domain>(?:(?P<accelerate>oss-accelerate(?:-overseas)?)"
    rf"|(?:oss|s3\.oss)-(?P<region>{_REGION})(?P<internal>-internal)?"
    rf"|(?P<dual>{_REGION})\.oss)\.aliyuncs\.com)"
)
# By the group of the expression; all others are public.
_KINDS = {"accelerate": "accelerate", "dual": "dual-stack", "internal": "internal"}
# The hosts of the finance cloud do not contain the ID of their region, which is what a signature names.
_FINANCE_REGIONS = {
    "cn-hzfinance": "cn-hangzhou-finance",
    "cn-hzjbp-a": "cn-hangzhou-finance",
    "cn-hzjbp-b": "cn-hangzhou-finance",
    "cn-szfinance": "cn-shenzhen-finance-1",
    "cn-beijing-finance-1-pub": "cn-beijing-finance-1",
    "cn-shanghai-finance-1-pub": "cn-shanghai-finance-1",
    "cn-shenzhen-finance-1-pub": "cn-shenzhen-finance-1",
}


class Endpoint(NamedTuple):
    """An address of OSS and the region that its signatures name.

    `addressing` says where the bucket is: "virtual" (before the domain), "path" (first in the path) or "custom" (not in
    the URL: the domain belongs to one bucket). The signature is the same for all three; only the URL and `host(bucket)`
    differ. For a cloud box, `product` is "oss-cloudbox" and `region` is its ID. A region is not looked up: OSS
    refuses links to one that does not exist. Of one that is probably misspelt, a `UserWarning` says so, once a process.
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
        return cls(
            "https", f"oss-{_label(region)}-internal.aliyuncs.com", region, check_product(product)
        )

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
        """A domain bound to one bucket (CNAME), such as `https://static.example.com`.

        A host of OSS without a bucket, such as `https://oss-cn-hangzhou.aliyuncs.com`, is that region's own endpoint,
        with the bucket before it. Raises `InvalidEndpoint` for a host of OSS in another region, or with a bucket.
        """
        scheme, domain = parse_origin(url)
        if host := parse_oss_host(domain.partition(":")[0]):
            _check_oss_host(host, _label(region))
            return cls(scheme, domain, region, check_product(product))
        return cls(
            scheme=scheme,
            domain=domain,
            region=_label(region),
            product=check_product(product),
            addressing="custom",
        )

    @classmethod
    def path_style(cls, url: str, region: str, *, product: str = "oss") -> Endpoint:
        """An address with the bucket first in the path, which an IP address requires.

        Raises `InvalidEndpoint` for a host of OSS, which refuses such a link.
        """
        scheme, domain = parse_origin(url)
        if parse_oss_host(domain.partition(":")[0]):
            raise InvalidEndpoint(
                f"Invalid endpoint {domain!r}: OSS refuses a bucket in the path there. Use it without path style.",
                domain,
            )
        return cls(
            scheme=scheme,
            domain=domain,
            region=_label(region),
            product=check_product(product),
            addressing="path",
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Endpoint:
        """That of `OSS_ENDPOINT`, a host of OSS or an origin, in `OSS_REGION`; without the first, the public one.

        A host of OSS names its region itself. An IP address and localhost, as of an OSS for tests, are of path style.
        Raises `InvalidEndpoint`.
        """
        variables = os.environ if environ is None else environ
        check_type("environ", variables, Mapping, InvalidEndpoint, "a mapping of strings")
        address = variables.get("OSS_ENDPOINT", "")
        if address and "://" not in address:
            address = f"https://{address}"
        hostname = re.sub(r":[0-9]+$", "", parse_origin(address)[1]) if address else ""
        host = parse_oss_host(hostname)
        region = variables.get("OSS_REGION") or (host.region if host else None)
        if not region:
            raise InvalidEndpoint("OSS_REGION is not set: set it, for example to cn-hangzhou.")
        if not address:
            return cls.public(region)
        return (cls.path_style if is_address(hostname) else cls.custom_domain)(address, region)

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


class OssHost(NamedTuple):
    """A host of OSS itself.

    `kind` is public, internal, accelerate or dual-stack. `region` is what a signature names, None for transfer
    acceleration, which serves every region. `bucket` is None where the host contains none; `domain` is without it.
    """

    kind: str
    region: str | None
    bucket: str | None
    domain: str


def parse_oss_host(hostname: str) -> OssHost | None:
    """What a lower-case host without a port says; None for a host that is not one of OSS."""
    match = re.fullmatch(_OSS_HOST, hostname)
    if match is None:
        return None
    kind = next((kind for group, kind in _KINDS.items() if match[group]), "public")
    region = match["region"] or match["dual"]
    return OssHost(kind, _FINANCE_REGIONS.get(region, region), match["bucket"], match["domain"])


def _check_oss_host(host: OssHost, region: str) -> None:
    if host.bucket is not None:
        name = f"{host.bucket}.{host.domain}"
        raise InvalidEndpoint(
            f"Invalid endpoint {name!r}: remove the bucket, the endpoint is {host.domain!r}.", name
        )
    if host.region is not None and host.region != region:
        raise InvalidEndpoint(
            f"Invalid region {region!r}: the endpoint {host.domain} is in {host.region}. "
            "Use that region, or the endpoint of yours.",
            region,
        )


def check_endpoint(endpoint: Endpoint) -> None:
    """Raises `InvalidEndpoint` for a region, a URL or another type, for fields of one, and as `check_product`."""
    expected = "an Endpoint, such as Endpoint.public('cn-hangzhou')"
    check_type("endpoint", endpoint, Endpoint, InvalidEndpoint, expected)
    check_product(endpoint.product)
    try:
        is_ascii = "".join(endpoint).isascii()
    except TypeError:  # of a field that is no string
        is_ascii = False
    if not is_ascii:
        raise InvalidEndpoint(f"Invalid endpoint: expected {expected}, whose fields are ASCII.")


def check_product(product: str) -> str:
    """The product. Raises `InvalidEndpoint` unless OSS accepts it in a scope."""
    if product not in PRODUCTS:
        raise InvalidEndpoint(
            f"Invalid product {describe_argument(product)}: expected {' or '.join(PRODUCTS)}.",
            product,
        )
    return product


def _label(value: str) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(f"{value}"):
        raise InvalidEndpoint(
            f"Invalid region {describe_argument(value)}: expected for example cn-hangzhou.", value
        )
    if value.startswith("oss-"):
        raise InvalidEndpoint(
            f"Invalid region {value!r}: remove the prefix, the region is {value[4:]!r}.", value
        )
    # A host with one of these in the place of the region is another kind of endpoint.
    if value.endswith("-internal") or value in ("accelerate", "accelerate-overseas"):
        raise InvalidEndpoint(
            f"Invalid region {value!r}: it is the name of an endpoint. Use for example cn-hangzhou.",
            value,
        )
    if value not in KNOWN_REGIONS:
        _warn_if_misspelt(value)
    return value


def _warn_if_misspelt(region: str) -> None:
    """A region with other numbers than a known one is probably new."""
    closest = closest_region(region)
    if closest and _numbers(closest) == _numbers(region):
        import warnings

        # It names this line as its place, so that Python shows it once a process, however often it is called.
        warnings.warn(
            f"Unknown region {region!r} (did you mean {closest}?): OSS refuses the link unless it exists.",
            stacklevel=1,
        )


def _numbers(region: str) -> list[str]:
    return re.findall("[0-9]+", region)


@lru_cache(maxsize=16)
def closest_region(region: str) -> str | None:
    """The known region that `region` is most probably a misspelling of, None if it is like none of them."""
    from difflib import get_close_matches

    # Enough for two wrong letters in the shortest names.
    return next(iter(get_close_matches(region, KNOWN_REGIONS, 1, 0.77)), None)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: localhost, 127.0.0.0/8 or [::1]."""
    return re.fullmatch(_LOOPBACK, host) is not None


def is_address(hostname: str) -> bool:
    """Whether a host without a port is an IP address or localhost, which cannot have a bucket before it."""
    return re.fullmatch(_ADDRESS, hostname) is not None


def parse_origin(url: str) -> tuple[str, str]:
    """The scheme and the host, with a port that is not the scheme's default, of `https://host:port`.

    Raises `InvalidEndpoint` for a path, a query or a user in it, and for schemes other than http and https.
    """
    match = re.fullmatch(_ORIGIN, url.lower()) if isinstance(url, str) else None
    port = int(match["port"]) if match and match["port"] else None
    if not match or (port is not None and not 0 < port < 65536):
        # A link or a password may be pasted here: neither a query nor a user is repeated.
        origin = url.partition("?")[0].rpartition("@")[2] if isinstance(url, str) else url
        raise InvalidEndpoint(
            f"Invalid endpoint {describe_argument(origin)}: expected only scheme and host, such as https://static.example.com.",
            origin,
        )
    scheme = match["scheme"]
    host = match["host"]
    # Clients leave the default port out of the Host header, and the header can be signed.
    return scheme, host if port in (None, _DEFAULT_PORT[scheme]) else f"{host}:{port}"
