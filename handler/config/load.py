"""links.toml, read strictly: what is not understood whole stops the function before its first visitor."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from signer import Endpoint, SignerError

from . import Config, InvalidConfig, Mount
from .overlaps import check_overlaps
from .reader import LOOPBACK, Entry, Table, read_location, read_origin, read_prefix

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

METHODS = ("GET", "HEAD", "PUT", "POST")
QUERY = (
    "versionId",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "x-oss-process",
    "x-oss-traffic-limit",
)
ENDPOINTS: Mapping[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "dual-stack": Endpoint.dual_stack,
}
MAX_EXPIRES = 604_800
MAX_SHARE = 3660 * 86_400
# A multipart upload has at most 10,000 parts of 5 GB.
MAX_SIZE = 10_000 * 5 * 1024**3

# Every key that the file may hold, and what it means.
TOP_KEYS: Mapping[str, str] = {
    "region": "The region of the buckets, such as cn-hangzhou.",
    "credential_life": "How long a link may live where its credentials do not say when they end: 1m to 12h (1h).",
    "keys": "The keys document, oss://bucket/key or file:path (relative to this file). No link ever reaches it.",
    "state": "The prefix in OSS where the service keeps its records, oss://bucket/prefix/. No link ever reaches it.",
    "public_url": "This service's own address, such as https://links.example.com; limited shares and pages need it.",
    "cors": "Origins, such as https://app.example.com, whose pages may read the JSON routes.",
    "cors_allow_origin": "platform (the default: Function Compute itself echoes the Origin), or function.",
    "mount": "The mounts, one table each.",
    "notice": "What is told when an event comes, one table each.",
    "sink": "Places in OSS where notices are written, one table each; all other sinks stand in the keys document.",
}
MOUNT_KEYS: Mapping[str, str] = {
    "path": "The path prefix at this service; begins and ends in /.",
    "target": "What it stands for, oss://bucket/prefix/; ends in /.",
    "access": "anonymous, or authenticated (the default).",
    "methods": "What links may do: GET and HEAD (the default), PUT, POST.",
    "expires": "How long a link lives when the caller names no expiry; 15m, or max_expires if that is less.",
    "max_expires": "How long a link may live at most, up to 7d; 1h if absent.",
    "endpoint": "public (the default), internal, accelerate, dual-stack, or a custom domain such as https://static.example.com.",
    "query": "OSS's own query parameters that a caller may add.",
    "process": "The exact values that x-oss-process may have.",
    "unknown_query": "refuse (the default) or ignore, for links that chat tools decorate.",
    "whole_bucket": "true allows an anonymous mount of a whole bucket.",
    "max_share": "How long a share may live at most, up to 3660d; without it the mount takes no shares.",
    "check": "true looks whether the object is there before it is linked.",
    "cache": "On an anonymous mount: links made within this span are the same, so that browsers and CDNs can cache.",
    "max_size": "The largest upload, in bytes or as 10MB; required with PUT or POST.",
}

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANY_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def load(path: str, environ: Mapping[str, str]) -> Config:
    """The policy in the file at `path`, with variables from `environ`. Raises `InvalidConfig`."""
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        raise InvalidConfig(f"There is no file {path}: write one, or name another in LINK_CONFIG.") from None
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read ({error.strerror}): mend its permissions.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path} is no TOML: {error}.") from None
    try:
        policy = read(document, environ)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path.rsplit('/', 1)[-1]}: {error.sentence}") from None
    if policy.keys is not None and policy.keys.startswith("file:"):
        beside = os.path.join(os.path.dirname(os.path.abspath(path)), policy.keys[len("file:") :])
        policy = policy._replace(keys=f"file:{os.path.normpath(beside)}")
    return policy


def read(document: Table, environ: Mapping[str, str]) -> Config:
    """The policy of a parsed document, checked whole. Raises `InvalidConfig`."""
    top = Entry("at the top", _filled(document, environ, "at the top"), TOP_KEYS)
    region = top.text("region")
    if region is None:
        top.refuse("region", "is missing: name the region of the buckets, such as cn-hangzhou")
    _endpoint(top, "region", Endpoint.public, region)
    keys, state, public_url = top.text("keys"), top.text("state"), top.text("public_url")
    reserved = []
    if keys is not None and not re.fullmatch(r"file:.+", keys):
        document_at = read_location(top, "keys", keys)
        if not document_at.key or document_at.key.endswith("/"):
            top.refuse("keys", f"= {keys!r} names no object: write oss://bucket/.links/keys.json or file:path")
        reserved.append(document_at)
    state_at = read_prefix(top, "state", state) if state is not None else None
    if state_at is not None:
        if not state_at.key:
            top.refuse("state", f"= {state!r} is a whole bucket: write oss://bucket/.links/state/")
        reserved.append(state_at)
    credential_life = top.span("credential_life", "1h", 60, 43_200)
    mounts = [
        _mount(Entry(f"mount {number}", table, MOUNT_KEYS), region, credential_life)
        for number, table in enumerate(top.tables("mount"), 1)
    ]
    policy = Config(
        region=region,
        mounts=tuple(sorted(mounts, key=lambda mount: -len(mount.path))),
        credential_life=credential_life,
        keys=keys,
        state=state_at,
        reserved=tuple(reserved),
        oss_endpoint=read_oss_endpoint(environ.get("LINK_OSS_ENDPOINT", ""), region),
        public_url=read_origin(top, "public_url", public_url) if public_url is not None else None,
        cors=frozenset(read_origin(top, "cors", origin) for origin in top.texts("cors")),
        cors_by_function=top.choice("cors_allow_origin", ("platform", "function")) == "function",
    )
    if not {"notice", "sink"}.isdisjoint(top.table):
        from .notices import read_notices

        policy = read_notices(top, policy)
    check_overlaps(policy)
    return policy


def _mount(entry: Entry, region: str, credential_life: int) -> Mount:
    path = entry.required("path")
    if not (path.startswith("/") and path.endswith("/")):
        entry.refuse("path", f"= {path!r} does not begin and end in /: /pub would admit /public-secret too")
    if path.startswith("/-/"):
        entry.refuse("path", "begins with /-/, where the service's own routes are")
    if "//" in path or not {".", ".."}.isdisjoint(path.split("/")) or _ANY_CONTROL.search(path):
        entry.refuse("path", f"= {path!r} has a segment or a character that no request can have")
    max_expires = entry.span("max_expires", "1h", 1, MAX_EXPIRES)
    expires = entry.span("expires", f"{min(900, max_expires)}s", 1, MAX_EXPIRES)
    if expires > max_expires:
        entry.refuse("expires", f"({expires} s) is above max_expires ({max_expires} s)")
    target = read_prefix(entry, "target", entry.required("target"))
    access = entry.choice("access", ("authenticated", "anonymous"))
    if access == "anonymous" and not target.key and not entry.flag("whole_bucket"):
        entry.refuse(
            "target", f"opens the whole bucket {target.bucket} to everyone: name a prefix, or say whole_bucket = true"
        )
    entry.flag("whole_bucket")
    methods = entry.texts("methods", ("GET", "HEAD"), METHODS)
    if not methods:
        entry.refuse("methods", "is empty: name what links may do, such as GET and HEAD")
    max_size = entry.size("max_size", MAX_SIZE)
    if max_size is None and not {"PUT", "POST"}.isdisjoint(methods):
        entry.refuse("max_size", "is missing: a mount with PUT or POST says how large an upload may be")
    query, process = entry.texts("query", (), QUERY), entry.texts("process")
    if process and "x-oss-process" not in query:
        entry.refuse("process", "is given, but query does not list x-oss-process")
    if "x-oss-process" in query and not process:
        entry.refuse("query", "lists x-oss-process, but process does not name its exact values")
    return Mount(
        path=path,
        target=target,
        access=access,
        methods=methods,
        expires=expires,
        max_expires=max_expires,
        endpoint=_link_endpoint(entry, region),
        query=frozenset(query),
        process=frozenset(process),
        unknown_query=entry.choice("unknown_query", ("refuse", "ignore")),
        max_size=max_size,
        max_share=entry.span("max_share", "1h", 60, MAX_SHARE) if "max_share" in entry.table else None,
        check=entry.flag("check"),
        cache=_cache(entry, access, min(max_expires, credential_life)),
    )


def _cache(entry: Entry, access: str, longest: int) -> int | None:
    """The window in which links are the same; at its end a link of the `longest` life still lives as long again."""
    if "cache" not in entry.table:
        return None
    if access != "anonymous":
        entry.refuse("cache", "is for anonymous mounts: what one caller is given, no cache may give to another")
    return entry.span("cache", "5m", 10, longest // 2)


def _link_endpoint(entry: Entry, region: str) -> Endpoint:
    value = entry.text("endpoint")
    if value is None:
        return Endpoint.public(region)
    if value in ENDPOINTS:
        return ENDPOINTS[value](region)
    if not value.startswith(("https://", "http://")):
        entry.refuse(
            "endpoint",
            f"= {value!r} is none of {', '.join(ENDPOINTS)}, nor an address such as https://static.example.com",
        )
    return _endpoint(entry, "endpoint", lambda url: Endpoint.custom_domain(url, region), value)


def _endpoint(entry: Entry, name: str, make: Callable[[str], Endpoint], value: str) -> Endpoint:
    try:
        return make(value)
    except SignerError as error:
        raise InvalidConfig(f"{entry.where}: {name}: {error}") from None


def read_oss_endpoint(value: str, region: str) -> Endpoint | None:
    """The local OSS that `LINK_OSS_ENDPOINT` names; links and the function's own calls then go there."""
    if not value:
        return None
    if not LOOPBACK.fullmatch(value.partition("://")[2].rstrip("/")):
        raise InvalidConfig(
            "LINK_OSS_ENDPOINT is for a local OSS only: name a loopback address such as http://127.0.0.1:9001, "
            "or unset it."
        )
    try:
        return Endpoint.path_style(value, region)
    except SignerError as error:
        raise InvalidConfig(f"LINK_OSS_ENDPOINT: {error}") from None


def _filled(value: Any, environ: Mapping[str, str], where: str) -> Any:
    """The value with `${NAME}` replaced inside every text; an empty variable is a missing one."""
    if isinstance(value, str):

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if not _NAME.fullmatch(name) or not found[0].endswith("}"):
                raise InvalidConfig(f"{where}: {found[0]!r} is no variable: write it as ${{NAME}}.")
            if not environ.get(name):
                raise InvalidConfig(f"{where}: the variable {name} is not set or empty: set it in the environment.")
            return environ[name]

        return _VARIABLE.sub(fill, value)
    if isinstance(value, list):
        return [_filled(item, environ, f"{where} {number}") for number, item in enumerate(value, 1)]
    if isinstance(value, dict):
        return {
            name: _filled(item, environ, f"{where}, {name}" if where != "at the top" else name)
            for name, item in value.items()
        }
    return value
