"""links.toml, read strictly: a file with any fault stops the function when it starts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from signer import Endpoint
from signer.link import MAX_EXPIRES_IN

from .mounts import (
    MAX_CDN_EXPIRES,
    MAX_SHARE,
    MIN_SHARE,
    TRAFFIC_LIMIT,
    Config,
    Location,
    Mount,
    Mounts,
)
from .reader import (
    InvalidConfig,
    Table,
    TableReader,
    check_literal,
    covered_path_fault,
    read_origin,
    read_prefix,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

METHODS = ("GET", "PUT", "POST")
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
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-ac-forward-allow",
)
HEADERS = ("content-type",)
ENDPOINTS: Mapping[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "dual-stack": Endpoint.dual_stack,
}

# Every key of the file, and what it means; docs/configuration.md is written from these tables.
TOP_KEYS: Mapping[str, str] = {
    "region": "Required. The region of the buckets, such as cn-hangzhou.",
    "credential_life": "The maximum lifetime of a link if the expiry of its credentials is unknown: 1m to 12h "
    "(default 1h).",
    "keys": "The keys document: oss://bucket/key, or file:path relative to this file. Links to it are never issued.",
    "state": "The prefix in OSS for the service's own records, oss://bucket/prefix/. Links to it are never issued.",
    "public_url": "The service's own address, such as https://links.example.com. Limited shares and pages require it.",
    "cors": "Origins, such as https://app.example.com, whose pages may read the JSON routes.",
    "cors_allow_origin": "Who sends Access-Control-Allow-Origin: platform (default) or function.",
    "assume_role": "The role that the service assumes for each mount, one [assume_role] table (default: the "
    "function's own).",
    "sender_page": "The page at /-/, on which people send and receive files with a key of theirs: one [sender_page] "
    "table with enabled = true. It opens where public_url is set.",
    "mount": "The mounts, one [[mount]] table each.",
    "notice": "What is sent when an event arrives, one [[notice]] table each.",
    "sink": "Prefixes in OSS to which notices are written, one [[sink]] table each. All other sinks are in the keys "
    "document.",
}
MOUNT_KEYS: Mapping[str, str] = {
    "path": "Required. The path prefix at this service, not percent-encoded. It begins and ends with /.",
    "target": "Required. The prefix in OSS for this path, oss://bucket/prefix/, not percent-encoded. It ends with /.",
    "access": "anonymous, or authenticated (default). The target of an anonymous mount with GET may be a part "
    "of the target of an authenticated mount, but must not contain all of it.",
    "methods": "The methods that links may be issued for: GET (default; HEAD comes with it), PUT, POST.",
    "list": "true shows folders, with the names, sizes and times of objects, to callers who have the method LIST, on "
    "an anonymous mount to everyone. It requires GET in methods.",
    "expires": "The lifetime of a link if the caller does not request one (default 15m, or max_expires if shorter).",
    "max_expires": "The maximum lifetime of a link, up to 7d, with cdn up to 365d (default 1h).",
    "region": "The region of the target's bucket, if it is not that of the top level.",
    "role": "The ARN of the role of this mount's sessions (default: role of [assume_role]).",
    "endpoint": "The endpoint in links: public (default), or one of those below.",
    "query": "The query parameters of OSS that a caller may add.",
    "headers": "The headers that POST /-/sign may sign into a GET link: content-type, or none (default). Whoever uses "
    "the link must send exactly the same.",
    "process": "The exact values that x-oss-process may have.",
    "unknown_query": "What happens to other query parameters, such as those that chat tools add: refuse (default) "
    "or ignore.",
    "whole_bucket": "true allows an anonymous mount whose target is a bucket without a prefix.",
    "max_share": "The maximum lifetime of a share, up to 3660d. Without it, shares are not enabled for this mount. It "
    "requires state.",
    "check": "true checks that the object exists before a link is issued. pages does so only before a browser is "
    "redirected, and shows a page for a missing object (default of anonymous mounts). false never does (default of "
    "others).",
    "cache": "For anonymous mounts: all links that are issued within this time are identical, to be cached.",
    "max_size": "The maximum size of an upload, in bytes or as 10MB. PUT and POST require it. A PUT link "
    "and a form have at most 5GB, an upload in parts, also by an upload page, 48.8TB.",
    "overwrite": "Whether an upload that requests it may replace an existing object (default: false for anonymous "
    "mounts, true for others).",
    "inline": "The types of files, such as image/png, that browsers show; they download all others, and uploads of "
    "types that they run (HTML, XHTML, SVG, XML, JavaScript) are refused. The extension of the key decides. Default: "
    "no type if uploads reach the mount's objects and the bucket has a custom domain as the endpoint of any mount; "
    "otherwise the type of the object decides.",
    "app_packages": "true allows shares of app packages (.apk, .ipa) at the public endpoints of OSS, which serve them "
    "only if the bucket was created before 15 August 2023. At a custom domain, and at internal, they are allowed.",
    "traffic_limit": "The maximum speed of each request through a GET or PUT link, in bytes a second, such as 1MB: "
    "100KB to 100MB. A caller who may add x-oss-traffic-limit may only lower it. Forms are not limited.",
    "require_password": "true gives every share of this mount a code, which whoever opens it types. It requires "
    "max_share and public_url.",
    "cdn": "The entry of the keys document that signs links, which the CDN at endpoint then checks instead of OSS. It "
    "requires keys, and a custom domain as endpoint.",
    "cdn_ignores_query": "true says that the CDN of a mount with cdn sends no query to OSS, which allows uploads "
    "through other mounts of its objects.",
}

MAX_ORIGINS = 5000  # characters in a header of the sender's page

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load(path: str, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`, with variables from `environ`. Raises `InvalidConfig`."""
    name = path.rsplit("/", 1)[-1]
    try:
        with open(path, "rb") as file:
            document = tomllib.loads(
                file.read().decode("utf-8-sig")
            )  # Notepad writes a mark at the start
    except FileNotFoundError:
        raise InvalidConfig(
            f"File {path} not found. Create it, or set LINK_CONFIG to another file."
        ) from None
    except OSError as error:
        raise InvalidConfig(
            f"{path} cannot be read ({error.strerror}). Fix its permissions."
        ) from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # not only of TOML: also of UTF-8, and of numbers of 5,000 digits
        raise InvalidConfig(f"{name} is not valid TOML: {error}.") from None
    try:
        return read(document, environ, os.path.dirname(os.path.abspath(path)))
    except InvalidConfig as error:
        raise InvalidConfig(f"{name}: {error.sentence}") from None
    except RecursionError:  # dotted keys nest deeper than the parser does
        raise InvalidConfig(f"{name}: its tables are nested too deep.") from None


def read(document: Table, environ: Mapping[str, str], folder: str = "") -> Config:
    """The configuration in a parsed document, in a time linear in its mounts. Raises `InvalidConfig`.

    `folder` is that of links.toml, to which the path of a keys document is relative.
    """
    top = TableReader("top level", _fill(document, environ, ""), TOP_KEYS)
    region = top.required_string("region")
    own_endpoint = top.parsed("region", Endpoint.internal, region)
    public_url = top.string("public_url")
    if public_url is not None:
        read_origin(top, "public_url", public_url)
    keys_document = read_keys(top, "keys", folder)
    state = (
        read_prefix(top, "state", top.table["state"], ".links/state/")
        if top.string("state") is not None
        else None
    )
    reserved = tuple(
        location for location in (keys_document, state) if isinstance(location, Location)
    )
    credential_life = top.duration("credential_life", "1h", 60, 43_200)
    local_endpoint = None
    if environ.get("LINK_OSS_ENDPOINT") or environ.get("LINK_PUBLIC_URL"):
        from .on_laptop import read_local_url, read_oss_endpoint

        local_endpoint = read_oss_endpoint(environ, region)
        public_url = read_local_url(environ, "LINK_PUBLIC_URL", "service", 9000) or public_url
    assume_role = None
    if "assume_role" in top.table:
        from .assume_role import read_assume_role

        assume_role = read_assume_role(top, region, environ)
    # With sessions, their real expiry counts, which is at most 12 hours after they are opened.
    max_life = credential_life if assume_role is None else 43_200
    tables = [
        _read_mount(reader, region, max_life, local_endpoint)
        for reader in top.tables("mount", MOUNT_KEYS)
    ]
    mounts = Mounts((mount for mount, _ in tables), reserved)
    if any(mount.cdn for mount in mounts):
        from .cdn import check_cdn_mounts

        mounts = check_cdn_mounts(mounts, keys_document, environ)
    domains = {mount.target.bucket for mount, endpoint in tables if endpoint.addressing == "custom"}
    if domains:
        from .media_types import protect_domains

        mounts = protect_domains(mounts, domains)
    config = Config(
        region=region,
        mounts=mounts,
        credential_life=credential_life,
        keys_document=keys_document,
        state=state,
        own_endpoint=local_endpoint or own_endpoint,
        public_url=public_url,
        cors=frozenset(read_origin(top, "cors", origin) for origin in top.strings("cors")),
        cors_by_function=top.choice("cors_allow_origin", ("platform", "function")) == "function",
        notices=(),
        sinks=(),
        assume_role=assume_role,
        sender_page="sender_page" in top.table
        and TableReader("sender_page", top.table["sender_page"], ("enabled",)).boolean("enabled"),
    )
    if not {"notice", "sink"}.isdisjoint(top.table):
        from .notices import read_notices

        config = read_notices(top, config)
    _check(config)
    return config


def _check(config: Config) -> None:
    """Whether the tables fit together. Raises `InvalidConfig`."""
    if config.assume_role is not None or any(mount.role_arn for mount in config.mounts):
        from .assume_role import check_sessions

        check_sessions(config)
    for mount in config.mounts:
        if config.mounts.by_path[mount.path] is not mount:
            raise InvalidConfig(f"mount {mount.path}: two mounts have this path. Remove one.")
        if mount.max_share is not None and config.state is None:
            raise InvalidConfig(
                f"mount {mount.path}: max_share requires state, at the top of the file."
            )
        if mount.require_password and config.public_url is None:
            raise InvalidConfig(
                f"mount {mount.path}: require_password requires public_url, at the top of the file."
            )
    if config.sender_page and sum(map(len, config.upload_origins)) > MAX_ORIGINS:
        raise InvalidConfig(
            "sender_page: the mounts with PUT have too many buckets for the page. Remove the table."
        )
    _check_regions(config)
    authenticated = config.mounts.one_for_each_target(lambda mount: mount.access != "anonymous")
    uploads = config.mounts.one_for_each_target(lambda mount: mount.allows_uploads)
    for mount in config.mounts:
        _check_anonymous_access(mount, config, authenticated)
        _check_content_type(mount, uploads)
        _check_reserved(mount, config)


def read_keys(reader: TableReader, name: str, folder: str) -> Location | Path | None:
    """The address of a keys document; a path is relative to `folder`. Raises `InvalidConfig`."""
    keys = reader.string(name)
    if keys is not None and re.fullmatch(r"file:.+", keys):
        from pathlib import Path  # takes milliseconds

        return Path(os.path.normpath(os.path.join(folder, keys[len("file:") :])))
    location = reader.parsed(name, Location.parse, keys) if keys is not None else None
    if location is not None and location.key[-1:] in ("", "/"):
        reader.refuse_value(name, "must be oss://bucket/.links/keys.json or file:path")
    return location


def _read_mount(
    reader: TableReader, home: str, max_life: int, local_endpoint: Endpoint | None
) -> tuple[Mount, Endpoint]:
    """A mount, and the endpoint that it names, which on a laptop is not that of its links; `home` is our own region."""
    region = home if reader.string("region") is None else reader.table["region"]
    # An internal endpoint can be reached in its own region only.
    own_endpoint = reader.parsed(
        "region", Endpoint.internal if region == home else Endpoint.public, region
    )
    path = reader.required_string("path")
    if not (path.startswith("/") and path.endswith("/")):
        reader.refuse_value(
            "path", "must begin and end with /: otherwise /pub would also cover /public-secret"
        )
    if fault := covered_path_fault(path):
        reader.refuse("path", f"is invalid: {fault}")
    check_literal(reader, "path", path)
    has_cdn = "cdn" in reader.table
    longest = MAX_CDN_EXPIRES if has_cdn else MAX_EXPIRES_IN
    max_expires = reader.duration("max_expires", "1h", 1, longest)
    expires = reader.duration("expires", f"{min(900, max_expires)}s", 1, longest)
    if expires > max_expires:
        reader.refuse("expires", f"({expires} s) exceeds max_expires ({max_expires} s)")
    target = read_prefix(reader, "target", reader.required_string("target"))
    access = reader.choice("access", ("authenticated", "anonymous"))
    if not reader.boolean("whole_bucket") and access == "anonymous" and not target.key:
        problem = f"gives everyone access to the entire bucket {target.bucket}"
        reader.refuse("target", f"{problem}: add a prefix, or set whole_bucket = true")
    if "HEAD" in reader.items("methods"):
        reader.refuse("methods", "contains HEAD, which comes with GET: remove it")
    methods = reader.strings("methods", ("GET",), METHODS, required=True)
    lists = reader.boolean("list")
    if lists and "GET" not in methods:
        reader.refuse("list", "requires GET in methods")
    max_size = reader.size("max_size")
    if max_size is None and not {"PUT", "POST"}.isdisjoint(methods):
        reader.refuse("max_size", "is required for PUT and POST")
    query = reader.strings("query", (), QUERY)
    process = reader.strings("process")
    if process and "x-oss-process" not in query:
        reader.refuse("process", "requires x-oss-process in query")
    if "x-oss-process" in query and not process:
        reader.refuse(
            "query",
            "contains x-oss-process, which requires process: the exact values that are allowed",
        )
    headers = reader.strings("headers", (), HEADERS)
    if headers and "GET" not in methods:
        reader.refuse("headers", "requires GET in methods")
    inline = None
    if "inline" in reader.table:
        from .media_types import read_inline

        inline = read_inline(reader)
    endpoint = _read_endpoint(reader, region)
    cdn = None
    ignores_query = reader.boolean("cdn_ignores_query")
    if has_cdn:
        from .cdn import read_cdn

        cdn = read_cdn(reader, methods, endpoint)
    elif ignores_query:
        reader.refuse("cdn_ignores_query", "requires cdn")
    check = reader.table.get("check", "pages" if access == "anonymous" else False)
    if not isinstance(check, bool) and check != "pages":
        reader.refuse_value("check", 'must be true, false or "pages"')
    require_password = reader.boolean("require_password")
    if require_password and "max_share" not in reader.table:
        reader.refuse("require_password", "requires max_share")
    minimum, maximum = TRAFFIC_LIMIT
    traffic_limit = reader.size("traffic_limit", minimum // 8, maximum // 8)
    mount = Mount(
        path=path,
        target=target,
        access=access,
        methods=methods,
        expires=expires,
        max_expires=max_expires,
        endpoint=endpoint if has_cdn else local_endpoint or endpoint,
        own_endpoint=local_endpoint or own_endpoint,
        query=frozenset(query),
        headers=headers,
        process=frozenset(process),
        unknown_query=reader.choice("unknown_query", ("refuse", "ignore")),
        max_size=max_size,
        max_share=reader.duration("max_share", "1h", MIN_SHARE, MAX_SHARE)
        if "max_share" in reader.table
        else None,
        check=check is True,
        check_pages=check == "pages",
        cache=_read_cache(reader, access, max_expires if has_cdn else min(max_expires, max_life)),
        overwrite=reader.boolean("overwrite")
        if "overwrite" in reader.table
        else access != "anonymous",
        inline=inline,
        app_packages=reader.boolean("app_packages") or not _is_own_public_domain(endpoint),
        region=region,
        role_arn=reader.string("role") or "",
        lists=lists,
        traffic_limit=traffic_limit and traffic_limit * 8,
        require_password=require_password,
        cdn=cdn,
        cdn_ignores_query=ignores_query,
    )
    return mount, endpoint


def _read_cache(reader: TableReader, access: str, max_lifetime: int) -> int | None:
    """The window in which links are identical; at its end, a link of `max_lifetime` is valid for as long again."""
    if "cache" not in reader.table:
        return None
    if access != "anonymous":
        reader.refuse(
            "cache",
            'requires access = "anonymous": links of one caller must not be cached for others',
        )
    return reader.duration("cache", "5m", 10, max_lifetime // 2)


def _read_endpoint(reader: TableReader, region: str) -> Endpoint:
    value = reader.string("endpoint")
    if value is None:
        return Endpoint.public(region)
    if value in ENDPOINTS:
        return ENDPOINTS[value](region)
    if not value.startswith(("https://", "http://")):
        expected = (
            f"must be {', '.join(ENDPOINTS)}, or an address such as https://static.example.com"
        )
        reader.refuse_value("endpoint", expected)
    return reader.parsed("endpoint", lambda url: Endpoint.custom_domain(url, region), value)


def _is_own_public_domain(endpoint: Endpoint) -> bool:
    """Whether it is one of OSS's own that the internet reaches, where OSS answers ApkDownloadForbidden."""
    return endpoint.addressing == "virtual" and not endpoint.domain.endswith(
        "-internal.aliyuncs.com"
    )


def _fill(value: Any, environ: Mapping[str, str], where: str) -> Any:
    """The value with `${NAME}` replaced in every string; an empty variable counts as missing."""
    if isinstance(value, str):

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if not _NAME.fullmatch(name) or not match[0].endswith("}"):
                raise InvalidConfig(f"{where}: invalid variable {match[0]!r} (expected ${{NAME}}).")
            if not environ.get(name):
                raise InvalidConfig(f"{where}: the variable {name} is not set or empty.")
            return environ[name]

        return _VARIABLE.sub(fill, value)
    if isinstance(value, list):
        return [_fill(item, environ, f"{where} {number}") for number, item in enumerate(value, 1)]
    if isinstance(value, dict):
        return {
            name: _fill(item, environ, f"{where}, {name}" if where else name)
            for name, item in value.items()
        }
    return value


def _check_anonymous_access(mount: Mount, config: Config, authenticated: Mounts) -> None:
    """An anonymous mount must not give everyone what an authenticated mount is for: all of its objects.

    A narrower target, such as public/ in an authenticated bucket, is how a part of the objects is published.
    """
    if mount.access != "anonymous" or "GET" not in mount.methods:
        return
    for other in authenticated.within(mount.target):
        # The path of what both contain, through the anonymous mount; a mount with a longer path there takes precedence.
        shared = mount.path + other.target.key[len(mount.target.key) :]
        if config.mounts.covering(shared) is mount:
            raise InvalidConfig(
                f"mount {mount.path}: its target contains all objects of the authenticated mount {other.path}, which "
                "anyone could then reach. Use a narrower target, or make both mounts authenticated."
            )


def _check_content_type(mount: Mount, uploads: Mounts) -> None:
    """Whoever may upload a file and choose its type in a link could show their own page on your domain."""
    if "response-content-type" not in mount.query:
        return
    for other in uploads.overlapping(mount.target):
        raise InvalidConfig(
            f"mount {mount.path}: query contains response-content-type, and uploads to the mount {other.path} "
            "reach the same objects: a stranger's HTML could be shown on your domain. Remove one of the two."
        )


def _check_reserved(mount: Mount, config: Config) -> None:
    """Uploads must not reach the service's own objects; links to them are refused one by one, too."""
    for location in config.mounts.reserved:
        if mount.allows_uploads and mount.target.overlaps(location):
            problem = f"it allows uploads, and its target overlaps {location}, which belongs to the service itself"
            raise InvalidConfig(f"mount {mount.path}: {problem}. Choose another target.")


def _check_regions(config: Config) -> None:
    """A bucket is in one region; the service's own documents are in that of the top level."""
    regions = {location.bucket: config.region for location in config.mounts.reserved}
    for mount in config.mounts:
        bucket = mount.target.bucket
        both = sorted({mount.region, regions.setdefault(bucket, mount.region)})
        if len(both) > 1:
            places = " and in ".join(both)
            raise InvalidConfig(
                f"mount {mount.path}: the bucket {bucket} cannot be in {places}. Correct region."
            )
