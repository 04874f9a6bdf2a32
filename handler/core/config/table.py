"""Every key of links.toml at the top and of a mount: docs/configuration.md is written from these tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from signer import Endpoint

from . import values
from .cdn import read_entry
from .media_types import read_inline
from .mounts import MAX_SHARE, MIN_SHARE, Config, Mount
from .reader import (
    REQUIRED,
    Key,
    TableReader,
    choice,
    duration,
    origin,
    origins,
    string_set,
    strings,
)

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
ENDPOINTS: Mapping[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "dual-stack": Endpoint.dual_stack,
}

# The fields of a mount and of the configuration that are not called like their keys.
FIELDS: Mapping[str, str] = {"keys": "keys_document", "list": "lists", "role": "role_arn"}
# The keys of a mount of which more than the value decides.
DERIVED = frozenset(
    ("whole_bucket", "region", "endpoint", "expires", "check", "cache", "overwrite", "app_packages")
)
_SIGNED_BY_OSS = (
    "cdn",
    "is about requests to OSS: a CDN does not sign it, so anybody could change it",
)


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
        read=values.state,
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
        read=values.is_enabled,
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
        read=values.path,
        default=REQUIRED,
        schema={"type": "string", "description": "That of a mount, or of the caller below it."},
        says="The path prefix at this service. It begins and ends with /.",
    ),
    "target": Key(
        read=values.target,
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
        read=values.methods,
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
        read=values.lifetime,
        says="The lifetime of a link if the caller requests none. Default: 15m, or max_expires if shorter.",
    ),
    "max_expires": Key(
        read=values.lifetime,
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
        read=values.when_to_check,
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
        read=read_inline,
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
        read=values.traffic_limit,
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
        read=values.whole_days,
        says="After how many days [OSS deletes](deploy.md#files-that-end-with-their-shares) **everything "
        "below the target, also what was there before and what others put there**. At least twice "
        "max_share, such as 61d. Mounts that overlap must have the same.",
    ),
    "earlier_targets": Key(
        read=values.earlier_targets,
        default=(),
        says="[Targets of before](deploy.md#move-to-another-bucket). Their shares open what is at today's "
        "target, also shares that a change of the target had ended.",
    ),
    "cdn": Key(
        read=read_entry,
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


def field(table: Mount | Config, key: str) -> object:
    """What a key has become in a mount or in the configuration."""
    return getattr(table, FIELDS.get(key, key))
