"""The addresses of a laptop's stand-ins, which take the places of OSS and of the service's own address."""

from __future__ import annotations

from collections.abc import Mapping

from signer import Endpoint, SignerError
from signer.endpoint import is_loopback, parse_origin

from . import Config, InvalidConfig


def with_local_addresses(config: Config, environ: Mapping[str, str]) -> Config:
    """With what `LINK_OSS_ENDPOINT` and `LINK_PUBLIC_URL` name. Raises `InvalidConfig`."""
    return config._replace(
        oss_endpoint=read_oss_endpoint(environ.get("LINK_OSS_ENDPOINT", ""), config.region),
        public_url=_read_public_url(environ.get("LINK_PUBLIC_URL", "")) or config.public_url,
    )


def read_oss_endpoint(value: str, region: str) -> Endpoint | None:
    """The local OSS that `LINK_OSS_ENDPOINT` names; links and the function's own calls then go there."""
    if not value:
        return None
    try:
        endpoint = Endpoint.path_style(value, region)
    except SignerError as error:
        raise InvalidConfig(f"LINK_OSS_ENDPOINT: {error}") from None
    if not is_loopback(endpoint.domain):
        raise InvalidConfig(
            "LINK_OSS_ENDPOINT must be a loopback address such as http://127.0.0.1:9001: it is for a local OSS only. "
            "Change or unset it."
        )
    return endpoint


def _read_public_url(value: str) -> str:
    """The address of a service on this machine in `LINK_PUBLIC_URL`, which stands in for `public_url`."""
    if not value:
        return ""
    try:
        _, host = parse_origin(value)
    except SignerError as error:
        raise InvalidConfig(f"LINK_PUBLIC_URL: {error}") from None
    if not is_loopback(host) or value.endswith("/"):
        raise InvalidConfig(
            "LINK_PUBLIC_URL must be a loopback address such as http://127.0.0.1:9000, without a path: it is for a "
            "local service only. Change or unset it."
        )
    return value
