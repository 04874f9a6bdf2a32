"""Whether the keys document can be read and holds what links.toml needs. Nothing is sent to its sinks."""

from __future__ import annotations

from collections.abc import Iterator

from handler.core.cloud.oss import MISSING, REFUSED, OssClient, StoreError
from handler.core.cloud.store import Store, store_at
from handler.core.config import Location, Mount
from handler.core.context import Clock
from handler.core.errors import HandlerError
from handler.core.keys import Keys, parse
from handler.notices.sinks import KINDS, read_sink

from . import cdn
from .deployment import Deployment, ProbeResponse
from .findings import Finding, fault, ok, unknown, warning
from .oss import CREDENTIAL_ERRORS, unusable


def document_and_sinks(deployment: Deployment) -> Iterator[Finding]:
    """The document, each sink of a notice that links.toml does not have, and the CDN of each mount with `cdn`."""
    keys = None
    try:
        store = _store(deployment)
        if store is not None:
            stored = store.read("")
            if stored is None:
                raise StoreError("GetObject", 404, MISSING, "NoSuchKey")
            keys = parse(stored.body)
            yield from _contents(deployment, keys)
    except HandlerError as error:
        yield _unusable(deployment, error)
    yield from _sinks(deployment, keys)
    for mount in deployment.config.mounts:
        if mount.cdn:
            yield from _cdn(deployment, mount, mount.cdn, keys)


def _store(deployment: Deployment) -> Store | None:
    """None if links.toml does not name an object, or OSS cannot be asked: other findings say so."""
    location = deployment.config.keys_document
    credentials = deployment.credentials
    if not isinstance(location, Location) or credentials is None:
        return None
    endpoint = deployment.object_endpoint(location.bucket)
    if deployment.is_unreachable(endpoint.url(location.bucket, "")):
        return None
    return store_at(OssClient(credentials, endpoint, deployment.connections), location, Clock())


def _unusable(deployment: Deployment, error: HandlerError) -> Finding:
    address = deployment.config.keys_document
    if error.code == MISSING:
        create = f"if there never was one, create it with {_command(deployment, 'init')}"
        return fault("keys", f"{address} not found: restore your backup, or, {create}")
    if isinstance(error, StoreError) and isinstance(address, Location):
        host = deployment.object_endpoint(address.bucket).host(address.bucket)
        if problem := unusable(ProbeResponse(host, error.status or 503, error.reason)):
            return problem
    if error.code == REFUSED:
        reason = error.reason.partition(" ")[0] if isinstance(error, StoreError) else ""
        advice = CREDENTIAL_ERRORS.get(reason, "allow oss:GetObject on it")
        return unknown("keys", f"{address}: {error.sentence}: {advice}.")
    if isinstance(error, StoreError):
        return unknown("keys", f"{address}: {error.sentence}.")
    return fault("keys", f"{address} is invalid: {error.sentence}")


def _contents(deployment: Deployment, keys: Keys) -> Iterator[Finding]:
    config = deployment.config
    counts = {
        "share keys": keys.share,
        "API keys": keys.api,
        "issuers": keys.jwt,
        "sinks": keys.sinks,
    }
    listed = ", ".join(f"{name}: {len(entries)}" for name, entries in counts.items())
    yield ok("keys", f"{config.keys_document} is valid ({listed}).")
    if not keys.share and any(notice.give == "share" for notice in config.notices):
        command = _command(deployment, "rotate-share")
        yield warning(
            "keys",
            f"{config.keys_document} has no share key, which notices with shares require: run {command}",
        )
    mounts = sorted(
        (mount for mount in config.mounts if mount.access != "anonymous"),
        key=lambda mount: mount.path,
    )
    if mounts and not keys.api and not keys.jwt:
        paths = ", ".join(mount.path for mount in mounts)
        command = _command(
            deployment, f"add-api-key NAME --path {mounts[0].path} --method {mounts[0].methods[0]}"
        )
        yield warning(
            "keys",
            f"{config.keys_document} has no API key and no issuer for {paths}: run {command}",
        )


def _sinks(deployment: Deployment, keys: Keys | None) -> Iterator[Finding]:
    config = deployment.config
    names = sorted(config.keys_sinks)
    if names and keys is None and config.keys_document is not None:
        yield unknown(
            "sinks",
            f"Not checked, because {config.keys_document} was not read: {', '.join(names)}.",
        )
        return
    for name in names:
        entry = keys.sinks.get(name) if keys else None
        if entry is None:
            command = _command(deployment, f"add-sink {name} --kind webhook --url -")
            yield fault(
                "sinks", f"Sink {name} not found in links.toml and the keys document: run {command}"
            )
            continue
        try:
            read_sink(name, entry, KINDS)
        except HandlerError as error:
            yield fault("sinks", error.sentence)
        else:
            yield ok("sinks", f"{name} is in the keys document.")


def _cdn(deployment: Deployment, mount: Mount, name: str, keys: Keys | None) -> Iterator[Finding]:
    """Without a key, an unsigned address is tried, and another finding says why."""
    if keys and name in keys.cdn_faults:
        yield fault("cdn", f"{mount.path}: {keys.cdn_faults[name]}")
    elif keys and name not in keys.cdn:
        command = _command(deployment, f"add-cdn {name} --key -")
        yield fault(
            "cdn", f"{mount.path}: cdn {name} not found in the keys document: run {command}"
        )
    yield cdn.domain(deployment, mount, keys.cdn.get(name) if keys else None)


def _command(deployment: Deployment, command: str) -> str:
    """What changes the document: without --keys, it would need all variables of links.toml."""
    config = deployment.config
    return f'LINK_REGION={config.region} make keys ARGS="--keys {config.keys_document} {command}"'
