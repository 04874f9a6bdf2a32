"""The addresses of a laptop's stand-ins, which take the places of OSS and of the service's own address."""

from __future__ import annotations

from collections.abc import Mapping

from signer import Endpoint, SignerError
from signer.endpoint import is_loopback, parse_origin

from .reader import InvalidConfig


def read_oss_endpoint(environ: Mapping[str, str], region: str) -> Endpoint | None:
    """The local OSS that `LINK_OSS_ENDPOINT` names; links and the function's own calls then go there."""
    url = read_local_url(environ, "LINK_OSS_ENDPOINT", "OSS", 9001)
    return Endpoint.path_style(url, region) if url else None


def read_cdn_endpoints(environ: Mapping[str, str]) -> dict[str, str]:
    """The local CDNs of `LINK_CDN_ENDPOINT`, which are `name=address` pairs, separated by commas."""
    variable = "LINK_CDN_ENDPOINT"
    pairs = [
        pair.strip().partition("=")[::2] for pair in environ.get(variable, "").split(",") if pair
    ]
    return {
        name: read_local_url({variable: url or "none"}, variable, "CDN", 9004)
        for name, url in pairs
    }


def read_local_url(environ: Mapping[str, str], name: str, service: str, port: int) -> str:
    """The address of a service on this machine in a variable, "" if it is not set. Raises `InvalidConfig`."""
    value = environ.get(name, "")
    if not value:
        return ""
    try:
        _, host = parse_origin(value)
    except SignerError as error:
        raise InvalidConfig(f"{name}: {error}") from None
    if not is_loopback(host):
        expected = f"a loopback address such as http://127.0.0.1:{port}, without a path"
        raise InvalidConfig(
            f"{name} must be {expected}: it is for a local {service} only. Change or unset it."
        )
    return value.removesuffix("/")
