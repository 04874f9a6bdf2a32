"""What a mount may have whose links a CDN checks: neither the method nor the query of such a link is signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from signer import Endpoint

from .mounts import Location, Mount, Mounts
from .on_laptop import read_cdn_endpoints
from .reader import IDENTIFIER, IDENTIFIER_FORM, InvalidConfig, TableReader

if TYPE_CHECKING:
    from pathlib import Path


def read_cdn(reader: TableReader, methods: tuple[str, ...], endpoint: Endpoint) -> str:
    """The entry of the keys document that a mount names. Raises `InvalidConfig`."""
    name = reader.required_string("cdn")
    if not IDENTIFIER.fullmatch(name):
        reader.refuse_value("cdn", f"must be {IDENTIFIER_FORM}")
    if endpoint.addressing != "custom":
        reader.refuse(
            "cdn", "requires endpoint: the domain of the CDN, such as https://static.example.com"
        )
    if methods != ("GET",):
        reason = "a link of a CDN does not sign its method. Use another mount for uploads"
        reader.refuse("methods", f"must be GET only: {reason}")
    for key in ("query", "headers", "process", "unknown_query", "traffic_limit", "inline"):
        if key in reader.table:
            reader.refuse(
                key, "is about requests to OSS: a CDN does not sign it, so anybody could change it"
            )
    return name


def check_cdn_mounts(
    mounts: Mounts, keys_document: Location | Path | None, environ: Mapping[str, str]
) -> Mounts:
    """The mounts, on a laptop with the address of its CDN as their endpoint. Raises `InvalidConfig`."""
    endpoints = read_cdn_endpoints(environ)
    uploads = mounts.one_for_each_target(lambda mount: mount.allows_uploads)

    def check(mount: Mount) -> Mount:
        if mount.cdn is None:
            return mount
        if keys_document is None:
            raise InvalidConfig(f"mount {mount.path}: cdn requires keys, at the top of the file.")
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
