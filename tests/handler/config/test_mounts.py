"""Each key of a mount and of the top level: a valid value is used, an invalid one is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config import InvalidConfig, load
from handler.config.load import MOUNT_KEYS, QUERY, read
from tests.handler.client import ask, mount
from tests.handler.config.tables import A_MOUNT, UPLOADS, document, refusal


def refusal_of(**changes: Any) -> str:
    """The message for an invalid mount; it names the mount by its number and its path."""
    table = {name: value for name, value in {**A_MOUNT, **changes}.items() if value is not ...}
    sentence = refusal(document(table))
    if isinstance(table.get("path"), str):
        assert sentence.startswith(f"mount 1 ({table['path']}): ")
    else:
        assert sentence.startswith("mount 1: ")
    return sentence


# --- one key at a time --------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("path", {"path": ...}),
    ("path", {"path": ""}),
    ("path", {"path": 7}),
    ("path", {"path": "/pub"}),
    ("path", {"path": "pub/"}),
    ("path", {"path": "/a//b/"}),
    ("path", {"path": "//"}),
    ("path", {"path": "/a/../b/"}),
    ("path", {"path": "/./"}),
    ("path", {"path": "/a\t/"}),
    ("path", {"path": "/\x85/"}),
    ("path", {"path": "/-/"}),
    ("path", {"path": "/-/files/"}),
    ("target", {"target": ...}),
    ("target", {"target": "examplebucket/a/"}),
    ("target", {"target": "s3://examplebucket/a/"}),
    ("target", {"target": "OSS://examplebucket/a/"}),
    ("target", {"target": "oss:/examplebucket/a/"}),
    ("target", {"target": "oss://examplebucket"}),
    ("target", {"target": "oss://examplebucket/pub"}),
    ("target", {"target": "oss://example_bucket/a/"}),
    ("target", {"target": "oss://Examplebucket/a/"}),
    ("target", {"target": "oss://ab/a/"}),
    ("target", {"target": "oss:///a/"}),
    ("target", {"target": "oss://examplebucket//"}),
    ("target", {"target": "oss://examplebucket/a//b/"}),
    ("target", {"target": "oss://examplebucket/a/../b/"}),
    ("target", {"target": "oss://examplebucket/" + "a" * 1100 + "/"}),
    ("access", {"access": "public"}),
    ("access", {"access": "Anonymous"}),
    ("access", {"access": True}),
    ("access", {"access": ""}),
    ("methods", {"methods": "GET"}),
    ("methods", {"methods": []}),
    ("methods", {"methods": ["get"]}),
    ("methods", {"methods": ["DELETE"]}),
    ("methods", {"methods": ["GET", "GET"]}),
    ("methods", {"methods": [["GET"]]}),
    ("methods", {"methods": [7]}),
    ("expires", {"expires": "0"}),
    ("expires", {"expires": 0}),
    ("expires", {"expires": -1}),
    ("expires", {"expires": 1.5}),
    ("expires", {"expires": True}),
    ("expires", {"expires": "soon"}),
    ("expires", {"expires": ""}),
    ("expires", {"expires": "2h"}),
    ("expires", {"expires": "8d", "max_expires": "7d"}),
    ("max_expires", {"max_expires": "0"}),
    ("max_expires", {"max_expires": "8d"}),
    ("max_expires", {"max_expires": 604_801}),
    ("max_expires", {"max_expires": []}),
    ("endpoint", {"endpoint": "extern"}),
    ("endpoint", {"endpoint": ""}),
    ("endpoint", {"endpoint": "Public"}),
    ("endpoint", {"endpoint": "static.example.com"}),
    ("endpoint", {"endpoint": "ftp://static.example.com"}),
    ("endpoint", {"endpoint": "https://static.example.com/path"}),
    ("endpoint", {"endpoint": "https://user@static.example.com"}),
    ("endpoint", {"endpoint": "https://static.example.com?a"}),
    ("endpoint", {"endpoint": "https://"}),
    ("query", {"query": "versionId"}),
    ("query", {"query": ["acl"]}),
    ("query", {"query": ["versionid"]}),
    ("query", {"query": ["versionId", "versionId"]}),
    ("query", {"query": ["x-oss-security-token"]}),
    ("query", {"query": ["x-oss-ac-source-ip"]}),
    ("query", {"query": ["*"]}),
    ("query", {"query": {"versionId": True}}),
    ("query", {"query": ["x-oss-process"]}),
    ("query", {"query": ["x-oss-process"], "process": []}),
    ("process", {"process": ["image/info"]}),
    ("process", {"query": ["x-oss-process"], "process": "image/info"}),
    ("unknown_query", {"unknown_query": "drop"}),
    ("unknown_query", {"unknown_query": True}),
    ("whole_bucket", {"whole_bucket": "true"}),
    ("whole_bucket", {"whole_bucket": 1}),
    ("target", {"target": "oss://examplebucket/"}),
    ("target", {"target": "oss://examplebucket/", "whole_bucket": False}),
    ("max_size", {"methods": ["PUT"]}),
    ("max_size", {"methods": ["POST"]}),
    ("max_size", {"methods": ["PUT"], "max_size": 0}),
    ("max_size", {"methods": ["PUT"], "max_size": "-1"}),
    ("max_size", {"methods": ["PUT"], "max_size": "10 parsecs"}),
    ("max_size", {"methods": ["PUT"], "max_size": "99999999GB"}),
    ("max_size", {"methods": ["PUT"], "max_size": 1.5}),
    ("max_size", {"methods": ["PUT"], "max_size": True}),
]


@pytest.mark.parametrize(("name", "changes"), REFUSED, ids=[f"{name} {changes}"[:60] for name, changes in REFUSED])
def test_an_invalid_value_in_a_mount_is_refused_by_name(name: str, changes: dict[str, Any]) -> None:
    assert name in refusal_of(**changes).split(": ", 1)[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("region", ""),
        ("region", 7),
        ("region", "CN-Hangzhou"),
        ("region", "oss-cn-hangzhou"),
        ("region", "cn hangzhou"),
        ("region", "evil.example/"),
        ("credential_life", "59"),
        ("credential_life", 59),
        ("credential_life", "13h"),
        ("credential_life", 43_201),
        ("credential_life", "long"),
        ("credential_life", True),
        ("credential_life", 3600.0),
        ("keys", 7),
        ("keys", ""),
        ("keys", "file:"),
        ("keys", "keys.json"),
        ("keys", "http://links.example.com/keys.json"),
        ("keys", "oss://examplebucket"),
        ("keys", "oss://examplebucket/"),
        ("keys", "oss://examplebucket/.links/"),
        ("keys", "oss://example_bucket/keys.json"),
        ("keys", "oss://examplebucket/a/../keys.json"),
        ("state", 7),
        ("state", ""),
        ("state", "file:state"),
        ("state", "oss://examplebucket/"),
        ("state", "oss://examplebucket/.links"),
        ("mount", "a"),
        ("mount", {}),
    ],
)
def test_an_invalid_value_at_the_top_level_is_refused_by_name(name: str, value: object) -> None:
    sentence = refusal({**document(), name: value})
    assert sentence.startswith("top level: ")
    assert name in sentence


def test_the_region_is_required() -> None:
    assert "region" in refusal({"mount": [dict(A_MOUNT)]})


@given(
    name=st.sampled_from([*MOUNT_KEYS]),
    value=st.recursive(
        st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_any_value_is_either_used_or_refused(name: str, value: object) -> None:
    error = None
    try:
        read(document({**A_MOUNT, name: value}), {})
    except InvalidConfig as raised:
        error = raised
    assert error is None or error.sentence.startswith("mount ")


def test_durations_and_sizes_are_read_in_every_form() -> None:
    table = {**A_MOUNT, **UPLOADS, "expires": 90, "max_expires": "7d"}
    (mount,) = read(document(table, credential_life="12h"), {}).mounts
    assert (mount.expires, mount.max_expires, mount.max_size) == (90, 604_800, 10 * 1024**2)
    for value, size in ((5_242_880, 5_242_880), ("5242880", 5_242_880), ("1KB", 1024), ("5 GB", 5 * 1024**3)):
        assert read(document({**table, "max_size": value}), {}).mounts[0].max_size == size


def test_the_query_parameters_that_a_mount_may_allow() -> None:
    assert set(QUERY) == {
        "versionId",
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "x-oss-process",
        "x-oss-traffic-limit",
    }


def test_the_cache_window_must_fit_into_the_lifetime_of_links() -> None:
    for table, top in (
        ({"cache": "31m"}, {}),
        ({"cache": "31s", "max_expires": "7d"}, {"credential_life": "1m"}),
        ({"cache": "9"}, {}),
        ({"cache": "5m", "access": "authenticated"}, {}),
    ):
        assert "cache" in refusal(document({**A_MOUNT, **table}, **top))


def test_a_cached_link_is_valid_whenever_it_is_requested() -> None:
    config = read(document({**A_MOUNT, "cache": "30s", "expires": "60"}, credential_life="1m"), {})
    for second in range(0, 90, 7):
        now = 1_772_347_200.5 + second
        answered = ask(config=config, now=now)
        assert answered.signs(now=now)
        assert answered.signs(now=now + 29)


def test_the_names_in_this_file_are_those_of_links_toml() -> None:
    assert set(A_MOUNT) | set(UPLOADS) <= set(MOUNT_KEYS)
    assert {name for name, _ in REFUSED} <= set(load.MOUNT_KEYS)
    assert mount().mounts[0].path == A_MOUNT["path"]
