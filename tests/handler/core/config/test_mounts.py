"""Each key of a mount and of the top level: a valid value is used, an invalid one is refused by its name."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from handler.core.config import Config, Mount, NoticeRule, OssSink
from handler.core.config.load import read
from handler.core.config.notices import NOTICE_KEYS, SINK_KEYS
from handler.core.config.table import FIELDS, MOUNT_KEYS, QUERY, TOP_KEYS
from tests.handler.core.config.tables import A_MOUNT, UPLOADS, document, refusal


def refusal_of(**changes: Any) -> str:
    """The message for an invalid mount; it names the mount by its number and its path."""
    table = {name: value for name, value in {**A_MOUNT, **changes}.items() if value is not ...}
    sentence = refusal(document(table))
    if isinstance(table.get("path"), str):
        assert sentence.startswith(f"mount 1 ({table['path']}): ")
    else:
        assert sentence.startswith("mount 1: ")
    return sentence


# --- the tables of keys -------------------------------------------------------------------------------------------

DERIVED = {"own_endpoint", "check_pages"}  # fields that have no key of their own
CONSUMED = {"whole_bucket"}  # what only decides whether a mount is valid


def test_the_keys_of_each_table_are_the_fields_of_what_it_becomes() -> None:
    mount = {FIELDS.get(name, name) for name in {*MOUNT_KEYS} - CONSUMED}
    assert mount == {*Mount._fields} - DERIVED
    assert {*NOTICE_KEYS} == {*NoticeRule._fields}
    assert {*SINK_KEYS} == {*OssSink._fields}


def test_what_a_key_needs_or_forbids_is_a_key() -> None:
    rows = [(name, key) for name, key in MOUNT_KEYS.items() if key.needs or key.forbids]
    assert {"require_password", "headers", "cdn"} <= {name for name, _ in rows}
    for name, key in rows:
        needs = {need.rpartition(" in ")[2] for need in key.needs}
        assert needs | {other for other, _ in key.forbids} <= {*MOUNT_KEYS, *TOP_KEYS} - {name}


# --- one key at a time --------------------------------------------------------------------------------------------

PUT: dict[str, Any] = {"methods": ["PUT"]}
WHOLE = "oss://examplebucket/"
# Values that a key must not have; ... leaves the key out.
VALUES: dict[str, list[Any]] = {
    "path": [
        ...,
        "",
        7,
        "/pub",
        "pub/",
        "/a//b/",
        "/a/../b/",
        "/./",
        "/a\t/",
        "/\x85/",
        "/-/",
        "/-/files/",
        "/a%20b/",
    ],
    "target": [
        ...,
        "s3://examplebucket/a/",
        "oss://examplebucket",
        "oss://examplebucket/pub",
        "oss://example_bucket/a/",
        "oss://examplebucket/a//b/",
        "oss://examplebucket/a/../b/",
        f"{WHOLE}{'a' * 1100}/",
        WHOLE,
    ],
    "access": ["public", "Anonymous", True, ""],
    "methods": ["GET", [], ["get"], ["HEAD"], ["DELETE"], ["GET", "GET"], [["GET"]], [7]],
    "expires": ["0", 0, -1, 1.5, True, "soon", "", "2h"],
    "max_expires": ["0", "8d", 604_801, []],
    "endpoint": [
        "extern",
        "",
        "Public",
        "ftp://static.example.com",
        "https://user@static.example.com",
        "https://",
    ],
    "query": [
        "versionId",
        ["acl"],
        ["versionid"],
        ["versionId", "versionId"],
        ["x-oss-security-token"],
        ["*"],
        {"versionId": True},
        ["x-oss-process"],
    ],
    "headers": ["content-type", ["range"], ["Content-Type"]],
    "process": [["image/info"]],
    "unknown_query": ["drop", True],
    "check": ["true", "page", "", 1, 0, ["pages"]],
    "app_packages": ["true", 1],
    "archive_direct_read": ["true", 1],
    "list": ["true", 1],
    "region": ["oss-cn-hangzhou"],
    "traffic_limit": ["99KB", 102_399, "101MB", 104_857_601, "1Mbit", "fast", 0, True, 1.5],
    "require_password": ["true", 1, True],  # without max_share
    "whole_bucket": ["true", 1],
}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    *((name, {name: value}) for name, values in VALUES.items() for value in values),
    ("expires", {"expires": "8d", "max_expires": "7d"}),
    ("query", {"query": ["x-oss-process"], "process": []}),
    ("process", {"query": ["x-oss-process"], "process": "image/info"}),
    ("target", {"target": WHOLE, "whole_bucket": False}),
    ("list", {**PUT, "max_size": "1MB", "list": True}),
    ("headers", {**PUT, "max_size": "1MB", "headers": ["content-type"]}),
    *(("max_size", changes) for changes in (PUT, {"methods": ["POST"]})),
    *(
        ("max_size", {**PUT, "max_size": size})
        for size in (0, "-1", "10 parsecs", "99999999GB", 1.5, True)
    ),
]


@pytest.mark.parametrize(
    ("name", "changes"), REFUSED, ids=[f"{name} {changes}"[:60] for name, changes in REFUSED]
)
def test_an_invalid_value_in_a_mount_is_refused_by_name(name: str, changes: dict[str, Any]) -> None:
    assert name in refusal_of(**changes).split(": ", 1)[1]


@pytest.mark.parametrize(
    "part",
    [
        "board%20minutes",
        "%e6",
        "a\u200b",
        "\u3164",
        "\ufeffa",
        "a\x85",
        "\U000e0041",
    ],
)
def test_a_path_and_a_target_that_only_look_like_another_are_refused(part: str) -> None:
    """A mount of the first would not protect the folder `board minutes`."""
    for name, value in (("path", f"/pub/{part}/"), ("target", f"oss://examplebucket/pub/{part}/")):
        sentence = refusal_of(**{name: value})
        if part != "a\x85" or name == "target":
            assert (
                f"{name} must be written as it is: not percent-encoded, and without control or "
                in sentence
            )
    path = "/a b/100%/پی\u200cدی/第\u3000一/"
    table = {**A_MOUNT, "path": path, "target": f"oss://examplebucket{path}"}
    assert read(document(table), {}).mounts[0].path == path


def test_a_method_that_comes_with_another_is_refused_with_what_to_write() -> None:
    sentence = refusal_of(methods=["GET", "HEAD"])
    assert (
        sentence
        == "mount 1 (/exampledir/): methods contains HEAD, which comes with GET: remove it."
    )


TOP_VALUES: dict[str, list[object]] = {
    "region": ["", 7, "CN-Hangzhou", "oss-cn-hangzhou", "cn hangzhou", "evil.example/"],
    "credential_life": ["59", 59, "13h", 43_201, "long", True, 3600.0],
    "keys": [
        7,
        "",
        "file:",
        "keys.json",
        "http://links.example.com/keys.json",
        "oss://examplebucket",
        "oss://examplebucket/",
        "oss://examplebucket/.links/",
        "oss://example_bucket/keys.json",
        "oss://examplebucket/a/../keys.json",
    ],
    "state": [7, "", "file:state", "oss://examplebucket/", "oss://examplebucket/.links"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in TOP_VALUES for value in TOP_VALUES[name]]
)
def test_an_invalid_value_at_the_top_level_is_refused_by_name(name: str, value: object) -> None:
    sentence = refusal({**document(), name: value})
    assert sentence.startswith("top level: ")
    assert name in sentence


def test_the_region_is_required() -> None:
    assert "region" in refusal({"mount": [dict(A_MOUNT)]})


@pytest.mark.parametrize("access", ["anonymous", "authenticated"])
def test_browsers_get_pages_of_anonymous_mounts_unless_the_mount_says_otherwise(
    access: str,
) -> None:
    default = {"anonymous": (False, True), "authenticated": (False, False)}[access]
    for table, expected in (
        ({}, default),
        ({"check": True}, (True, False)),
        ({"check": "pages"}, (False, True)),
        ({"check": False}, (False, False)),
    ):
        (mount,) = read(document({**A_MOUNT, "access": access, **table}), {}).mounts
        assert (mount.check, mount.check_pages) == expected


@pytest.mark.parametrize(
    "environ", [{}, {"LINK_OSS_ENDPOINT": "http://127.0.0.1:9001"}], ids=["deployed", "laptop"]
)
def test_app_packages_are_served_where_the_endpoint_is_not_one_of_oss_on_the_internet(
    environ: dict[str, str],
) -> None:
    own = ("public", "accelerate", "dual-stack", "https://oss-cn-hangzhou.aliyuncs.com")
    others = (
        "internal",
        "https://oss-cn-hangzhou-internal.aliyuncs.com",
        "https://static.example.com",
    )
    for endpoint in (*own, *others):
        (mount,) = read(document({**A_MOUNT, "endpoint": endpoint}), environ).mounts
        assert mount.app_packages is (endpoint in others), endpoint
    (mount,) = read(document({**A_MOUNT, "app_packages": True}), environ).mounts
    assert mount.app_packages


def test_durations_and_sizes_are_read_in_every_form() -> None:
    table = {**A_MOUNT, **UPLOADS, "expires": 90, "max_expires": "7d"}
    (mount,) = read(document(table, credential_life="12h"), {}).mounts
    assert (mount.expires, mount.max_expires, mount.max_size) == (90, 604_800, 10 * 1024**2)
    for value, size in (
        (5_242_880, 5_242_880),
        ("5242880", 5_242_880),
        ("1KB", 1024),
        ("5 GB", 5 * 1024**3),
    ):
        assert read(document({**table, "max_size": value}), {}).mounts[0].max_size == size
    for value, bits in (
        ("100KB", 819_200),
        ("1MB", 8_388_608),
        ("100MB", 838_860_800),
        (102_400, 819_200),
    ):
        assert read(document({**table, "traffic_limit": value}), {}).mounts[0].traffic_limit == bits


def test_a_bucket_is_in_one_region() -> None:
    """OSS would refuse every link of one of the two mounts. The one with the shorter path is named."""
    other = {**A_MOUNT, "path": "/other/", "region": "cn-beijing"}
    sentence = (
        "the bucket examplebucket cannot be in cn-beijing and in cn-hangzhou. Correct region."
    )
    assert refusal(document(A_MOUNT, other)) == f"mount /other/: {sentence}"
    assert refusal(document(other, A_MOUNT)) == f"mount /other/: {sentence}"
    state = "oss://examplebucket/.links/state/"
    assert refusal(document(other, state=state)) == f"mount /other/: {sentence}"
    assert read(document(other, state=state.replace("examplebucket", "statebucket")), {}).mounts
    assert read(document(A_MOUNT, {**other, "target": "oss://otherbucket/a/"}), {}).mounts


def test_shares_require_a_state_and_codes_a_page() -> None:
    table = document({**A_MOUNT, "max_share": "1d", "require_password": True})
    assert refusal(table) == "mount /exampledir/: max_share requires state, at the top of the file."
    table["state"] = "oss://examplebucket/.links/state/"
    assert (
        refusal(table)
        == "mount /exampledir/: require_password requires public_url, at the top of the file."
    )
    assert read({**table, "public_url": "https://links.example.com"}, {}).mounts[0].require_password


def test_the_query_parameters_that_a_mount_may_allow() -> None:
    response = (
        "content-type",
        "content-language",
        "expires",
        "cache-control",
        "content-disposition",
        "content-encoding",
    )
    limits = (
        "process",
        "traffic-limit",
        "ac-source-ip",
        "ac-subnet-mask",
        "ac-vpc-id",
        "ac-forward-allow",
    )
    names = (f"response-{name}" for name in response), (f"x-oss-{name}" for name in limits)
    assert {*QUERY} == {"versionId", *chain(*names)}


def test_the_cache_window_must_fit_into_the_lifetime_of_links() -> None:
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"cache": "31m"}, {}),
        ({"cache": "31s", "max_expires": "7d"}, {"credential_life": "1m"}),
        *(({"cache": value}, {}) for value in ("9", "0", "nonsense", True, 1.5)),
        ({"cache": "5m", "access": "authenticated"}, {}),
    ]
    for table, top in cases:
        assert "cache" in refusal(document({**A_MOUNT, **table}, **top))


# --- mounts whose links a CDN checks: what such a link cannot keep is refused ----------------------------------------

CDN: dict[str, Any] = {
    "path": "/videos/",
    "target": "oss://examplebucket/videos/",
    "endpoint": "https://static.example.com",
    "cdn": "static",
}
OTHER = {"path": "/in/", "target": "oss://examplebucket/"}


def config(*mounts: dict[str, Any], environ: dict[str, str] | None = None) -> Config:
    return read(document(*mounts, keys="file:keys.json"), environ or {})


def refused(*mounts: dict[str, Any]) -> str:
    return refusal(document(*mounts, keys="file:keys.json"))


def test_a_mount_names_its_entry_of_the_keys_document() -> None:
    mount = config(CDN).mounts[0]
    assert (mount.cdn, mount.endpoint.url("examplebucket", "a.mp4")) == (
        "static",
        "https://static.example.com/a.mp4",
    )


def test_links_may_last_for_a_year() -> None:
    assert (
        config({**CDN, "expires": "90d", "max_expires": "365d"}).mounts[0].max_expires == 31_536_000
    )
    assert "max_expires must be a duration from 1 to 31536000" in refused(
        {**CDN, "max_expires": "366d"}
    )
    plain = {name: value for name, value in CDN.items() if name != "cdn"}
    assert "max_expires must be a duration from 1 to 604800" in refused(
        {**plain, "max_expires": "8d"}
    )


def test_the_link_of_a_notice_may_outlast_the_credentials() -> None:
    notice = {"on": "message", "mount": "/videos/", "to": ["team"], "expires": "90d"}
    more = {
        "keys": "file:keys.json",
        "state": "oss://examplebucket/.links/state/",
        "notice": [notice],
    }
    assert (
        read(document({**CDN, "max_expires": "365d"}, **more), {}).notices[0].expires == 7_776_000
    )
    plain = {**CDN, "max_expires": "7d"}
    del plain["cdn"]
    notice["expires"] = "7d"
    assert "exceeds credential_life" in refusal(document(plain, **more))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endpoint": "public"}, "cdn requires endpoint: the domain of the CDN"),
        (
            {"endpoint": "https://oss-cn-hangzhou.aliyuncs.com"},
            "cdn requires endpoint: the domain of the CDN",
        ),
        ({"cdn": "a/b"}, "cdn must be 1 to 64 letters"),
        ({"cdn": ""}, "cdn is required"),
        ({**UPLOADS}, "a link of a CDN does not sign its method"),
        (
            {"methods": ["GET", "POST"], "max_size": "1MB"},
            "a link of a CDN does not sign its method",
        ),
        ({"query": ["versionId"]}, "query is about requests to OSS: a CDN does not sign it"),
        ({"process": ["style/small"]}, "process is about requests to OSS: a CDN does not sign it"),
        ({"headers": ["content-type"]}, "headers is about requests to OSS"),
        ({"unknown_query": "ignore"}, "unknown_query is about requests to OSS"),
        (
            {"traffic_limit": "1MB"},
            "traffic_limit is about requests to OSS: a CDN does not sign it",
        ),
        ({"inline": ["image/png"]}, "inline is about requests to OSS: a CDN does not sign it"),
    ],
)
def test_what_a_cdn_does_not_keep_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    assert reason in refused({**CDN, **changes})


def test_links_of_a_cdn_require_a_keys_document() -> None:
    assert "cdn requires keys" in refusal(document(CDN))


def test_uploads_to_its_objects_require_a_cdn_that_sends_no_query() -> None:
    for target in (
        "oss://examplebucket/",
        "oss://examplebucket/videos/",
        "oss://examplebucket/videos/in/",
    ):
        uploads = {**OTHER, **UPLOADS, "target": target}
        assert "uploads to the mount /in/ reach its objects" in refused(CDN, uploads)
        assert config({**CDN, "cdn_ignores_query": True}, uploads).mounts
    assert config(CDN, {**OTHER, **UPLOADS, "target": "oss://examplebucket/others/"}).mounts
    assert config(CDN, {**OTHER, **UPLOADS, "target": "oss://anotherbucket/videos/"}).mounts


def test_only_links_of_a_cdn_may_ignore_the_query() -> None:
    assert "cdn_ignores_query requires cdn" in refused({**OTHER, "cdn_ignores_query": True})


def test_on_a_laptop_only_the_links_of_the_cdn_go_to_its_stand_in() -> None:
    environ = {
        "LINK_OSS_ENDPOINT": "http://127.0.0.1:9001",
        "LINK_CDN_ENDPOINT": "other=http://127.0.0.1:9005, static=http://127.0.0.1:9004",
    }
    mounts = config(CDN, OTHER, environ=environ).mounts.by_path
    assert (
        mounts["/videos/"].endpoint.url("examplebucket", "a.mp4") == "http://127.0.0.1:9004/a.mp4"
    )
    assert (
        mounts["/videos/"].own_endpoint.url("examplebucket", "a")
        == "http://127.0.0.1:9001/examplebucket/a"
    )
    assert mounts["/in/"].endpoint.domain == "127.0.0.1:9001"

    for address in ("https://cdn.example.com", ""):
        sentence = refusal(
            document(CDN, keys="file:keys.json"), {"LINK_CDN_ENDPOINT": f"static={address}"}
        )
        assert "LINK_CDN_ENDPOINT" in sentence
