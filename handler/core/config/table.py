"""links.toml, read strictly: a file with any fault stops the function when it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from signer import Endpoint
from signer.link import MAX_EXPIRES_IN

from .mounts import (
    MAX_CDN_EXPIRES,
    MAX_DELETE_AFTER,
    MAX_SHARE,
    MIN_SHARE,
    TRAFFIC_LIMIT,
    Config,
    Location,
    Mount,
    Mounts,
)
from .reader import (
    REQUIRED,
    InvalidConfig,
    Key,
    Table,
    TableReader,
    check_literal,
    choice,
    covered_path_fault,
    duration,
    origin,
    origins,
    read_prefix,
    replace_variables,
    string_set,
    strings,
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
HOUR = 3600  # seconds
DAY = 86_400  # seconds
ENDPOINTS: Mapping[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "dual-stack": Endpoint.dual_stack,
}

# The fields of a mount and of the configuration that are not called like their keys.
FIELDS: Mapping[str, str] = {"keys": "keys_document", "list": "lists", "role": "role_arn"}
_SIGNED_BY_OSS = (
    "cdn",
    "is about requests to OSS: a CDN does not sign it, so anybody could change it",
)


def _state(reader: TableReader, name: str) -> Location:
    return read_prefix(reader, name, reader.string(name) or "", ".links/state/")


def _is_enabled(reader: TableReader, name: str) -> bool:
    return TableReader(name, reader.table[name], ("enabled",)).boolean("enabled")


def _path(reader: TableReader, name: str) -> str:
    path = reader.required_string(name)
    if not (path.startswith("/") and path.endswith("/")):
        reader.refuse_value(
            name, "must begin and end with /: otherwise /pub would also cover /public-secret"
        )
    if fault := covered_path_fault(path):
        reader.refuse(name, f"is invalid: {fault}")
    check_literal(reader, name, path)
    return path


def _target(reader: TableReader, name: str) -> Location:
    return read_prefix(reader, name, reader.required_string(name))


def _methods(reader: TableReader, name: str) -> tuple[str, ...]:
    if "HEAD" in reader.items(name):
        reader.refuse(name, "contains HEAD, which comes with GET: remove it")
    return reader.strings(name, METHODS, required=True)


def _lifetime(reader: TableReader, name: str) -> int:
    return reader.duration(name, 1, MAX_CDN_EXPIRES if "cdn" in reader.table else MAX_EXPIRES_IN)


def _when_to_check(reader: TableReader, name: str) -> bool | str:
    check: bool | str = reader.table[name]
    if not isinstance(check, bool) and check != "pages":
        reader.refuse_value(name, 'must be true, false or "pages"')
    return check


def _traffic_limit(reader: TableReader, name: str) -> int:
    """Bits per second; the value is in bytes."""
    minimum, maximum = TRAFFIC_LIMIT
    return 8 * (reader.size(name, minimum // 8, maximum // 8) or 0)


def _whole_days(reader: TableReader, name: str) -> int:
    seconds = reader.duration(name, DAY, MAX_DELETE_AFTER)
    if seconds % DAY:
        reader.refuse_value(name, "must be whole days, such as 61d")
    return seconds


def _earlier_targets(reader: TableReader, name: str) -> tuple[Location, ...]:
    return tuple(read_prefix(reader, name, each) for each in reader.strings(name))


def _inline(reader: TableReader, name: str) -> tuple[str, ...]:
    from .media_types import read_inline

    return read_inline(reader)


def _cdn(reader: TableReader, name: str) -> str:
    from .cdn import read_entry

    return read_entry(reader, name)


# Every key of the file; docs/configuration.md is written from these tables.
TOP_KEYS: Mapping[str, Key] = {
    "region": Key(
        read=TableReader.required_string,
        default=REQUIRED,
        says="The region of the buckets, such as cn-hangzhou.",
    ),
    "credential_life": Key(
        read=duration(60, 43_200),
        default=HOUR,
        says="The longest lifetime of a link if the expiry of its credentials is unknown, 1m to 12h.",
    ),
    "keys": Key(
        read=TableReader.string,
        says="The [keys document](keys.md): oss://bucket/key, or file:path relative to this file.",
    ),
    "state": Key(
        read=_state,
        says="The prefix for the service's own records, oss://bucket/prefix/.",
    ),
    "public_url": Key(
        read=origin,
        says="The service's own address. Limited shares and pages require it.",
    ),
    "cors": Key(
        read=origins,
        default=frozenset(),
        says="The [origins](api.md#cors) whose pages may read the JSON routes, such as "
        "https://app.example.com.",
    ),
    "cors_allow_origin": Key(
        read=choice("platform", "function"),
        default="platform",
        says="platform or function sends Access-Control-Allow-Origin.",
    ),
    "assume_role": Key(
        read=TableReader.required,
        says="",
    ),
    "sender_page": Key(
        read=_is_enabled,
        default=False,
        says="With enabled = true: the page at /-/, on which people with a key send and receive files.",
    ),
    "mount": Key(
        read=TableReader.required,
        says="",
    ),
    "notice": Key(
        read=TableReader.required,
        says="",
    ),
    "sink": Key(
        read=TableReader.required,
        says="",
    ),
}
MOUNT_KEYS: Mapping[str, Key] = {
    "path": Key(
        read=_path,
        default=REQUIRED,
        schema={"type": "string", "description": "That of a mount, or of the caller below it."},
        says="The path prefix at this service. It begins and ends with /.",
    ),
    "target": Key(
        read=_target,
        default=REQUIRED,
        says="The prefix in OSS, oss://bucket/prefix/.",
    ),
    "access": Key(
        read=choice("authenticated", "anonymous"),
        default="authenticated",
        says="anonymous or authenticated. The target of an anonymous mount with GET must not contain all of "
        "an authenticated mount's.",
    ),
    "methods": Key(
        read=_methods,
        default=("GET",),
        schema={
            "type": "array",
            "items": {"enum": ["GET", "PUT", "POST"]},
            "description": "Those of links that the caller may get. HEAD comes with GET.",
        },
        says="The methods of its links: GET (HEAD comes with it), PUT, POST.",
    ),
    "list": Key(
        read=TableReader.boolean,
        default=False,
        needs=("GET in methods",),
        schema={"type": "boolean", "description": "Whether the caller may list folders."},
        says="true lists folders to callers with the method LIST, on an anonymous mount to everyone.",
    ),
    "expires": Key(
        read=_lifetime,
        says="The lifetime of a link if the caller requests none. Default: 15m, or max_expires if shorter.",
    ),
    "max_expires": Key(
        read=_lifetime,
        default=HOUR,
        says="The longest lifetime of a link, up to 7d, with cdn 365d.",
    ),
    "region": Key(
        read=TableReader.string,
        says="The region of its bucket, if it is another one.",
    ),
    "role": Key(
        read=TableReader.string,
        default="",
        says="The role of this mount's sessions. Default: that of [assume_role].",
    ),
    "endpoint": Key(
        read=TableReader.string,
        default="public",
        says=f"The endpoint in links: {', '.join(ENDPOINTS)}, or an address such as https://static.example.com.",
    ),
    "query": Key(
        read=string_set(*QUERY),
        default=frozenset(),
        forbids=(_SIGNED_BY_OSS,),
        says=f"The query parameters of OSS that callers may add: {', '.join(QUERY)}.",
    ),
    "headers": Key(
        read=strings(*HEADERS),
        default=(),
        needs=("GET in methods",),
        forbids=(_SIGNED_BY_OSS,),
        says="The headers that [POST /-/sign](api.md#sign-many-links) may sign into a GET link: content-type, "
        "or none.",
    ),
    "process": Key(
        read=string_set(),
        default=frozenset(),
        needs=("x-oss-process in query",),
        forbids=(_SIGNED_BY_OSS,),
        says="The exact values of x-oss-process.",
    ),
    "unknown_query": Key(
        read=choice("refuse", "ignore"),
        default="refuse",
        forbids=(_SIGNED_BY_OSS,),
        says="What happens to other parameters: refuse or ignore.",
    ),
    "whole_bucket": Key(
        read=TableReader.boolean,
        default=False,
        says="true allows an anonymous mount of a bucket without a prefix.",
    ),
    "max_share": Key(
        read=duration(MIN_SHARE, MAX_SHARE),
        needs=("state",),
        schema={
            "type": ["integer", "null"],
            "description": "The maximum lifetime of the caller's shares in seconds. null if the caller may not share.",
        },
        says="The longest lifetime of a share, up to 3660d. Without it, nothing can be shared.",
    ),
    "check": Key(
        read=_when_to_check,
        says="[Whether a link requires that the object "
        "exists](api.md#settings-of-a-mount-that-change-its-links): true, false or pages. Default: pages "
        "for anonymous mounts, false for others.",
    ),
    "cache": Key(
        read=TableReader.required,
        says="Of an anonymous mount: links that are issued within this time are identical.",
    ),
    "max_size": Key(
        read=TableReader.size,
        schema={
            "type": ["integer", "null"],
            "description": "That of an upload in bytes. null without any.",
        },
        says="The largest upload, such as 10MB. PUT and POST require it. A PUT link and a form have at most "
        "5GB, an upload in parts 48.8TB.",
    ),
    "overwrite": Key(
        read=TableReader.boolean,
        says="Whether an upload that requests it may replace an object. Default: false for anonymous mounts, "
        "true for others.",
    ),
    "inline": Key(
        read=_inline,
        forbids=(_SIGNED_BY_OSS,),
        says="The types of files that browsers show; they download all others. Default: none where uploads "
        "can reach a [custom domain](uploads.md#uploads-and-custom-domains).",
    ),
    "app_packages": Key(
        read=TableReader.boolean,
        default=False,
        says="For a bucket from before 15 August 2023: true allows shares of .apk and .ipa at OSS's own "
        "domains.",
    ),
    "archive_direct_read": Key(
        read=TableReader.boolean,
        default=False,
        says="true where the bucket has real-time access of Archive objects, which OSS bills: they then need "
        "no restoring.",
    ),
    "traffic_limit": Key(
        read=_traffic_limit,
        forbids=(_SIGNED_BY_OSS,),
        says="The maximum speed of each request, in bytes a second: 100KB to 100MB. A caller may only lower "
        "it. Forms are not limited.",
    ),
    "require_password": Key(
        read=TableReader.boolean,
        default=False,
        needs=("max_share", "public_url"),
        schema={"type": "boolean", "description": "Whether each share has a code."},
        says="true gives every share a code.",
    ),
    "delete_after": Key(
        read=_whole_days,
        says="After how many days [OSS deletes](deploy.md#files-that-end-with-their-shares) **everything "
        "below the target, also what was there before and what others put there**. At least twice "
        "max_share, such as 61d. Mounts that overlap must have the same.",
    ),
    "earlier_targets": Key(
        read=_earlier_targets,
        default=(),
        says="[Targets of before](deploy.md#move-to-another-bucket). Their shares open what is at today's "
        "target, also shares that a change of the target had ended.",
    ),
    "cdn": Key(
        read=_cdn,
        needs=("keys",),
        says="The entry of the keys document with which links are signed for the [CDN](cdn.md) at endpoint, a "
        "custom domain.",
    ),
    "cdn_ignores_query": Key(
        read=TableReader.boolean,
        default=False,
        needs=("cdn",),
        says="true says that this CDN sends no query to OSS, which allows uploads to the same objects.",
    ),
}

# What mounts need of the top level.
_NEEDS_OF_TOP = [
    (name, need)
    for name, key in MOUNT_KEYS.items()
    for need in key.needs
    if need in TOP_KEYS and need not in MOUNT_KEYS
]
MAX_ORIGINS = 5000  # characters in a header of the sender's page


def load(path: str, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`, with variables from `environ`. Raises `InvalidConfig`."""
    name = path.rsplit("/", 1)[-1]
    try:
        with open(path, "rb") as file:
            # Notepad writes a mark at the start.
            document = tomllib.loads(file.read().decode("utf-8-sig"))
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
    top = TableReader("top level", replace_variables(document, environ, ""), TOP_KEYS)
    values = top.values(TOP_KEYS)
    region = values["region"]
    own_endpoint = top.parsed("region", Endpoint.internal, region)
    public_url = values["public_url"]
    keys_document = read_keys(top, "keys", folder)
    state = values["state"]
    reserved = tuple(
        location for location in (keys_document, state) if isinstance(location, Location)
    )
    local_endpoint = None
    if environ.get("LINK_OSS_ENDPOINT") or environ.get("LINK_PUBLIC_URL"):
        from .on_laptop import read_local_url, read_oss_endpoint

        local_endpoint = read_oss_endpoint(environ, region)
        public_url = read_local_url(environ, "LINK_PUBLIC_URL", "service", 9000) or public_url
    assume_role = None
    if values["assume_role"] is not None:
        from .assume_role import read_assume_role

        assume_role = read_assume_role(values["assume_role"], region, environ)
    credential_life = values["credential_life"]
    # With sessions, their real expiry counts, which is at most 12 hours after they are opened.
    max_life = credential_life if assume_role is None else 12 * HOUR
    tables = [
        _read_mount(reader, region, max_life, local_endpoint)
        for reader in top.tables("mount", MOUNT_KEYS)
    ]
    mounts = Mounts((mount for mount, _ in tables), reserved)
    if any(mount.cdn for mount in mounts):
        from .cdn import check_cdn_mounts

        mounts = check_cdn_mounts(mounts, environ)
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
        cors=values["cors"],
        cors_by_function=values["cors_allow_origin"] == "function",
        notices=(),
        sinks=(),
        assume_role=assume_role,
        sender_page=values["sender_page"],
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
        for name, need in _NEEDS_OF_TOP:
            if field(mount, name) and field(config, need) is None:
                raise InvalidConfig(
                    f"mount {mount.path}: {name} requires {need}, at the top of the file."
                )
    if config.sender_page and sum(map(len, config.upload_origins)) > MAX_ORIGINS:
        raise InvalidConfig(
            "sender_page: the mounts with PUT have too many buckets for the page. Remove the table."
        )
    _check_regions(config)
    if any(mount.delete_after or mount.earlier_targets for mount in config.mounts):
        from .targets import check_targets

        check_targets(config.mounts)
    authenticated = config.mounts.one_for_each_target(lambda mount: mount.access != "anonymous")
    uploads = config.mounts.one_for_each_target(lambda mount: mount.allows_uploads)
    for mount in config.mounts:
        _check_anonymous_access(mount, config, authenticated)
        _check_content_type(mount, uploads)
        _check_reserved(mount, config)


def read_keys(reader: TableReader, name: str, folder: str) -> Location | Path | None:
    """The address of a keys document; a path is relative to `folder`. Raises `InvalidConfig`."""
    keys = reader.string(name)
    scheme, _, path = (keys or "").partition(":")
    if scheme == "file" and path and "\n" not in path:
        from pathlib import Path  # takes milliseconds

        return Path(os.path.normpath(os.path.join(folder, path)))
    location = reader.parsed(name, Location.parse, keys) if keys is not None else None
    if location is not None and location.key[-1:] in ("", "/"):
        reader.refuse_value(name, "must be oss://bucket/.links/keys.json or file:path")
    return location


def field(table: Mount | Config, key: str) -> object:
    """What a key has become in a mount or in the configuration."""
    return getattr(table, FIELDS.get(key, key))


def _read_mount(
    reader: TableReader, home: str, max_life: int, local_endpoint: Endpoint | None
) -> tuple[Mount, Endpoint]:
    """A mount, and the endpoint that it names, which on a laptop is not that of its links; `home` is our own region."""
    values = reader.values(MOUNT_KEYS)
    region = home if values["region"] is None else values["region"]
    # An internal endpoint can be reached in its own region only.
    own_endpoint = reader.parsed(
        "region", Endpoint.internal if region == home else Endpoint.public, region
    )
    endpoint = _read_endpoint(reader, values["endpoint"], region)
    has_cdn = values["cdn"] is not None
    if has_cdn:
        from .cdn import check_cdn

        check_cdn(reader, values["methods"], endpoint)
    _check_target(reader, values)
    _check_uploads(reader, values)
    _check_process(reader, values)
    max_expires = values["max_expires"]
    is_anonymous = values["access"] == "anonymous"
    check = values["check"]
    if check is None:
        check = "pages" if is_anonymous else False
    fields = {FIELDS.get(name, name): value for name, value in values.items()}
    del fields["whole_bucket"]
    fields.update(
        region=region,
        endpoint=endpoint if has_cdn else local_endpoint or endpoint,
        own_endpoint=local_endpoint or own_endpoint,
        expires=_expires(reader, values["expires"], max_expires),
        check=check is True,
        check_pages=check == "pages",
        cache=_read_cache(
            reader, is_anonymous, max_expires if has_cdn else min(max_expires, max_life)
        ),
        overwrite=not is_anonymous if values["overwrite"] is None else values["overwrite"],
        app_packages=values["app_packages"] or not _is_own_public_domain(endpoint),
    )
    return Mount(**fields), endpoint


def _check_target(reader: TableReader, values: Table) -> None:
    target = values["target"]
    if values["access"] == "anonymous" and not target.key and not values["whole_bucket"]:
        problem = f"gives everyone access to the entire bucket {target.bucket}"
        reader.refuse("target", f"{problem}: add a prefix, or set whole_bucket = true")


def _check_uploads(reader: TableReader, values: Table) -> None:
    if values["max_size"] is None and not {"PUT", "POST"}.isdisjoint(values["methods"]):
        reader.refuse("max_size", "is required for PUT and POST")


def _check_process(reader: TableReader, values: Table) -> None:
    if "x-oss-process" in values["query"] and not values["process"]:
        reader.refuse(
            "query",
            "contains x-oss-process, which requires process: the exact values that are allowed",
        )


def _expires(reader: TableReader, expires: int | None, max_expires: int) -> int:
    if expires is None:
        return min(15 * 60, max_expires)
    if expires > max_expires:
        reader.refuse("expires", f"({expires} s) exceeds max_expires ({max_expires} s)")
    return expires


def _read_cache(reader: TableReader, is_anonymous: bool, max_lifetime: int) -> int | None:
    """The window in which links are identical; at its end, a link of `max_lifetime` is valid for as long again."""
    if "cache" not in reader.table:
        return None
    if not is_anonymous:
        reader.refuse(
            "cache",
            'requires access = "anonymous": links of one caller must not be cached for others',
        )
    return reader.duration("cache", 10, max_lifetime // 2)


def _read_endpoint(reader: TableReader, value: str, region: str) -> Endpoint:
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
