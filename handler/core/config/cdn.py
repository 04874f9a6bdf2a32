"""What a mount may have whose links a CDN checks: neither the method nor the query of such a link is signed."""

from __future__ import annotations

from collections.abc import Mapping

from signer import Endpoint

from .mounts import Mount, Mounts
from .on_laptop import read_cdn_endpoints
from .reader import IDENTIFIER, IDENTIFIER_FORM, InvalidConfig, TableReader


def read_entry(reader: TableReader, name: str) -> str:
    """The entry of the keys document that a mount names. Raises `InvalidConfig`."""
    entry = reader.required_string(name)
    if not IDENTIFIER.fullmatch(entry):
        reader.refuse_value(name, f"must be {IDENTIFIER_FORM}")
    return entry


def check_cdn(reader: TableReader, methods: tuple[str, ...], endpoint: Endpoint) -> None:
    """Raises `InvalidConfig`."""
    if endpoint.addressing != "custom":
        reader.refuse(
            "cdn", "requires endpoint: the domain of the CDN, such as https://static.example.com"
        )
    if methods != ("GET",):
        reason = "a link of a CDN does not sign its method. Use another mount for uploads"
        reader.refuse("methods", f"must be GET only: {reason}")


def check_cdn_mounts(mounts: Mounts, environ: Mapping[str, str]) -> Mounts:
    """The mounts, on a laptop with the address of its CDN as their endpoint. Raises `InvalidConfig`."""
    endpoints = read_cdn_endpoints(environ)
    uploads = mounts.one_for_each_target(lambda mount: mount.allows_uploads)

    def check(mount: Mount) -> Mount:
        if mount.cdn is None:
            return mount
        for other in () if mount.cdn_ignores_query else uploads.overlapping(mount.target):
            raise InvalidConfig(
                f"mount {mount.path}: uploads to the mount {other.path} reach its objects, and the CDN does not sign "
                "the query, so anybody could add response-content-type to a link. If your CDN sends no query to OSS, "
                "set cdn_ignores_query = true."
            )
        if mount.cdn not in endpoints:
            return mount
        return mount._replace(endpoint=Endpoint.custom_domain(endpoints[mount.cdn], mount.region))

    return Mounts(map(check, mounts), mounts.reserved)
