"""links.toml: what is not understood whole stops the function, with a sentence that names the entry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visitor import ask, mount, policy

import handler
from handler import configuration, startup
from handler.configuration import MOUNT_KEYS, QUERY, TOP_KEYS, load, read
from handler.policy import InvalidPolicy, Location, Policy

ROOT = Path(__file__).parents[2]

A_MOUNT: Mapping[str, Any] = {
    "path": "/exampledir/",
    "target": "oss://examplebucket/exampledir/",
    "access": "anonymous",
}
UPLOADS: Mapping[str, Any] = {"methods": ["GET", "PUT"], "max_size": "10MB"}


def document(*mounts: Mapping[str, Any], **top: Any) -> dict[str, Any]:
    return {"region": "cn-hangzhou", **top, "mount": [dict(table) for table in mounts or (A_MOUNT,)]}


def refusal(table: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> str:
    """The sentence with which a document is refused."""
    with pytest.raises(InvalidPolicy) as refused:
        read(table, environ or {})
    sentence = refused.value.sentence
    assert str(refused.value) == sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def refusal_of(**changes: Any) -> str:
    """The sentence with which a mount is refused; it names the mount by its number and its path."""
    table = {name: value for name, value in {**A_MOUNT, **changes}.items() if value is not ...}
    sentence = refusal(document(table))
    if isinstance(table.get("path"), str):
        assert sentence.startswith(f"mount 1 ({table['path']}): ")
    else:
        assert sentence.startswith("mount 1: ")
    return sentence


# --- what is good -------------------------------------------------------------------------------------------------


def test_the_links_toml_of_the_repository_is_good() -> None:
    loaded = load(str(ROOT / "links.toml"), {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"})
    found = loaded.mount("/exampledir/a.txt")
    assert found is not None
    assert found.target == Location("examplebucket", "exampledir/")
    assert ask("/exampledir/a.txt", under=loaded).key == "exampledir/a.txt"


def test_the_example_of_the_design_is_good_and_means_what_it_says() -> None:
    text = """
    region = "${LINK_REGION}"

    [[mount]]
    path        = "/exampledir/"
    target      = "oss://${LINK_BUCKET}/exampledir/"
    access      = "anonymous"            # or "authenticated"
    methods     = ["GET", "HEAD"]
    expires     = "15m"                  # when the caller names none
    max_expires = "1h"
    endpoint    = "public"               # internal, accelerate, dual-stack, or "https://static.example.com"
    query       = ["response-content-disposition"]
    """
    found_policy = policy(text, {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"})
    (found,) = found_policy.mounts
    assert (found.path, found.access, found.methods) == ("/exampledir/", "anonymous", ("GET", "HEAD"))
    assert (found.expires, found.max_expires, found_policy.credential_life) == (900, 3600, 3600)
    assert found.query == {"response-content-disposition"}
    assert found.unknown_query == "refuse"
    assert (found_policy.keys, found_policy.state, found_policy.oss_endpoint) == (None, None, None)


def test_a_mount_is_closed_unless_it_says_otherwise() -> None:
    found_policy = read(document({"path": "/a/", "target": "oss://examplebucket/a/"}), {})
    (found,) = found_policy.mounts
    assert found.access == "authenticated"
    assert found.methods == ("GET", "HEAD")
    assert found.query == found.process == frozenset()
    assert found.unknown_query == "refuse"
    assert found.max_share is None


def test_a_policy_without_mounts_opens_nothing() -> None:
    found_policy = read({"region": "cn-hangzhou"}, {})
    for path in ("/", "/a", "/exampledir/a.txt"):
        assert ask(path, under=found_policy).status == 404


# --- keys that are not known --------------------------------------------------------------------------------------


@st.composite
def misspelt(draw: st.DrawFn, names: list[str]) -> str:
    """A name with a letter doubled, dropped, swapped or changed in case."""
    name = draw(st.sampled_from(names))
    at = draw(st.integers(0, len(name) - 2))
    change = draw(st.sampled_from(["double", "drop", "swap", "case", "plural", "dash"]))
    return {
        "double": name[:at] + name[at] + name[at:],
        "drop": name[:at] + name[at + 1 :],
        "swap": name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        "case": name.title(),
        "plural": name + "s",
        "dash": name.replace("_", "-") + "-",
    }[change]


@given(misspelt(list(TOP_KEYS)).filter(lambda name: name not in TOP_KEYS))
def test_a_key_that_is_misspelt_at_the_top_is_refused_by_name(name: str) -> None:
    sentence = refusal(document(**{name: "1h"}))
    assert sentence.startswith("at the top: ")
    assert repr(name) in sentence
    assert all(known in sentence for known in TOP_KEYS)


@given(misspelt(list(MOUNT_KEYS)).filter(lambda name: name not in MOUNT_KEYS))
def test_a_key_that_is_misspelt_in_a_mount_is_refused_by_name(name: str) -> None:
    sentence = refusal(document({**A_MOUNT, name: "1h"}))
    assert sentence.startswith("mount 1 (/exampledir/): ")
    assert repr(name) in sentence


@given(st.text(max_size=10))
def test_no_key_but_the_known_ones_is_taken(name: str) -> None:
    if name not in TOP_KEYS:
        refusal({**document(), name: True})
    if name not in MOUNT_KEYS:
        refusal(document({**A_MOUNT, name: True}))


@pytest.mark.parametrize("text", ["[mount]\npath = '/a/'", "mount = 'a'", "mount = [1]", "mounts = []", "[[mount.x]]"])
def test_a_list_of_mounts_is_nothing_else(text: str) -> None:
    with pytest.raises(InvalidPolicy, match="mount"):
        policy(f"region = 'cn-hangzhou'\n{text}")


def test_the_second_of_two_mounts_is_named_as_such() -> None:
    other = {**A_MOUNT, "path": "/other/", "acess": "anonymous"}
    assert refusal(document(A_MOUNT, other)).startswith("mount 2 (/other/): ")


# --- variables ----------------------------------------------------------------------------------------------------


def test_variables_are_filled_inside_texts_wherever_they_stand() -> None:
    table = {**A_MOUNT, "target": "oss://${B}-${N}/${P}/", "query": ["${Q}"], "endpoint": "https://${H}"}
    environ = {
        "B": "examplebucket",
        "N": "1",
        "P": "a/b",
        "Q": "versionId",
        "H": "static.example.com",
        "R": "cn-beijing",
    }
    found_policy = read(document(table, region="${R}"), environ)
    assert found_policy.region == "cn-beijing"
    assert found_policy.mounts[0].target == Location("examplebucket-1", "a/b/")
    assert found_policy.mounts[0].query == {"versionId"}


@pytest.mark.parametrize("environ", [{}, {"LINK_BUCKET": ""}])
def test_a_missing_variable_is_named_with_its_entry_and_an_empty_one_is_missing(environ: dict[str, str]) -> None:
    sentence = refusal(document({**A_MOUNT, "target": "oss://${LINK_BUCKET}/exampledir/"}), environ)
    assert "LINK_BUCKET" in sentence
    assert "mount 1" in sentence
    assert "target" in sentence
    assert "region" in refusal(document(region="${LINK_REGION}"), {"LINK_REGION": ""})


@pytest.mark.parametrize(
    "text", ["${", "${}", "${A", "${A B}", "${1}", "${A-B}", "${A:-b}", "${ A }", "${${A}}", "a${"]
)
def test_what_is_no_variable_is_refused(text: str) -> None:
    assert "${" in refusal(document(region=text), {"A": "cn-hangzhou", "A B": "x", "1": "x"})


def test_a_value_is_filled_once_and_breaks_out_of_nothing() -> None:
    for value in ("${OTHER}", '"\naccess = "anonymous', "a\\"):
        with pytest.raises(InvalidPolicy):
            read(document({**A_MOUNT, "target": "oss://${V}/a/"}), {"V": value, "OTHER": "examplebucket"})


def test_a_dollar_sign_alone_is_a_letter() -> None:
    found_policy = read(document({**A_MOUNT, "path": "/$a/$$/"}), {"a": "x"})
    assert found_policy.mounts[0].path == "/$a/$$/"


def test_names_are_not_filled() -> None:
    assert "${A}" in refusal(document(**{"${A}": "1h"}), {"A": "credential_life"})


# --- one entry at a time ------------------------------------------------------------------------------------------

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
def test_an_entry_that_cannot_be_followed_is_refused_by_name(name: str, changes: dict[str, Any]) -> None:
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
def test_an_entry_at_the_top_that_cannot_be_followed_is_refused_by_name(name: str, value: object) -> None:
    sentence = refusal({**document(), name: value})
    assert sentence.startswith("at the top: ")
    assert name in sentence


def test_a_region_is_needed() -> None:
    assert "region" in refusal({"mount": [dict(A_MOUNT)]})


@given(
    name=st.sampled_from([*MOUNT_KEYS]),
    value=st.recursive(
        st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_stands_in_an_entry_it_is_followed_or_refused(name: str, value: object) -> None:
    error = None
    try:
        read(document({**A_MOUNT, name: value}), {})
    except InvalidPolicy as refused:
        error = refused
    assert error is None or error.sentence.startswith("mount ")


def test_spans_and_sizes_are_read_as_people_write_them() -> None:
    table = {**A_MOUNT, **UPLOADS, "expires": 90, "max_expires": "7d"}
    (found,) = read(document(table, credential_life="12h"), {}).mounts
    assert (found.expires, found.max_expires, found.max_size) == (90, 604_800, 10 * 1024**2)
    for written, size in ((5_242_880, 5_242_880), ("5242880", 5_242_880), ("1KB", 1024), ("5 GB", 5 * 1024**3)):
        assert read(document({**table, "max_size": written}), {}).mounts[0].max_size == size


def test_every_parameter_that_may_be_listed_is_one_of_the_contract() -> None:
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


def test_the_window_of_cached_links_is_within_what_links_live() -> None:
    for table, top in (
        ({"cache": "31m"}, {}),
        ({"cache": "31s", "max_expires": "7d"}, {"credential_life": "1m"}),
        ({"cache": "9"}, {}),
        ({"cache": "5m", "access": "authenticated"}, {}),
    ):
        assert "cache" in refusal(document({**A_MOUNT, **table}, **top))


def test_a_cached_link_is_alive_whenever_it_is_asked_for() -> None:
    under = read(document({**A_MOUNT, "cache": "30s", "expires": "60"}, credential_life="1m"), {})
    for second in range(0, 90, 7):
        now = 1_772_347_200.5 + second
        answered = ask(under=under, now=now)
        assert answered.signs(now=now)
        assert answered.signs(now=now + 29)


# --- where the file is --------------------------------------------------------------------------------------------


@pytest.fixture
def links_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that LINK_CONFIG names, not yet written."""
    file = tmp_path / "links.toml"
    monkeypatch.setenv("LINK_CONFIG", str(file))
    for name in ("LINK_REGION", "LINK_BUCKET", "LINK_OSS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return file


GOOD = """
region = "cn-hangzhou"
[[mount]]
path = "/here/"
target = "oss://examplebucket/here/"
access = "anonymous"
"""


def test_link_config_names_another_file(links_toml: Path) -> None:
    links_toml.write_text(GOOD)
    assert handler.on_initialize(object()) is None  # type: ignore[func-returns-value]
    assert startup.policy().mount("/here/a") is not None
    assert startup.policy().mount("/exampledir/a") is None


def test_an_empty_link_config_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(startup.DEFAULT) == ROOT / "links.toml"
    monkeypatch.setenv("LINK_CONFIG", "")
    monkeypatch.setattr(startup, "_loaded", {})
    monkeypatch.setenv("LINK_REGION", "cn-hangzhou")
    monkeypatch.setenv("LINK_BUCKET", "examplebucket")
    assert startup.policy().mount("/exampledir/a") is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"region = ", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"region = 'cn-hangzhou'\nregion = 'cn-beijing'", "is no TOML"),
        (b"", "region"),
        (GOOD.replace("access", "acess").encode(), "'acess'"),
        (GOOD.replace("examplebucket", "${LINK_BUCKET}").encode(), "LINK_BUCKET"),
        ((GOOD + GOOD.partition("\n[[")[1] + GOOD.partition("\n[[")[2]).encode(), "/here/"),
    ],
)
def test_a_bad_file_fails_the_first_start_with_a_sentence(links_toml: Path, text: bytes, told: str) -> None:
    links_toml.write_bytes(text)
    with pytest.raises(InvalidPolicy) as refused:
        handler.on_initialize(object())
    assert told in str(refused.value)
    assert "links.toml" in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_file_that_is_not_there_fails_the_first_start_with_a_sentence(links_toml: Path) -> None:
    with pytest.raises(InvalidPolicy, match="LINK_CONFIG"):
        handler.on_initialize(object())
    links_toml.mkdir()
    with pytest.raises(InvalidPolicy, match="cannot be read"):
        handler.on_initialize(object())


def test_a_bad_file_is_read_again_and_a_good_one_is_kept(links_toml: Path) -> None:
    links_toml.write_text("region = 7")
    for _ in range(2):
        with pytest.raises(InvalidPolicy):
            startup.policy()
    links_toml.write_text(GOOD)
    kept = startup.policy()
    links_toml.write_text("region = 7")
    assert startup.policy() is kept


def test_a_visitor_of_a_badly_configured_function_is_told_no_more_than_that(
    links_toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links_toml.write_text(GOOD.replace("examplebucket", "example_bucket"))
    answer = handler.on_http(b'{"rawPath": "/here/a", "requestContext": {"http": {"method": "GET"}}}', object())
    assert answer["statusCode"] == 500
    printed = capsys.readouterr().out
    for told in (str(answer), printed):
        assert "bad_configuration" in told
        assert "example_bucket" not in told
        assert os.fspath(links_toml) not in told


# --- a local OSS --------------------------------------------------------------------------------------------------


def with_oss(address: str) -> Policy:
    return read(document(), {"LINK_OSS_ENDPOINT": address})


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9001",
        "http://127.0.0.1",
        "http://127.1.2.3:1",
        "http://localhost:9001",
        "http://localhost:9001/",
        "http://[::1]:9001",
        "https://localhost:9001",
    ],
)
def test_a_loopback_address_takes_the_links(address: str) -> None:
    endpoint = with_oss(address).oss_endpoint
    assert endpoint is not None
    assert endpoint.url("examplebucket", "a") == f"{address.rstrip('/')}/examplebucket/a"


def test_an_empty_address_is_none() -> None:
    assert with_oss("").oss_endpoint is None
    assert read(document(), {}).oss_endpoint is None


@pytest.mark.parametrize(
    "address",
    [
        "http://oss-cn-hangzhou.aliyuncs.com",
        "http://10.0.0.1:9001",
        "http://0.0.0.0:9001",
        "http://[::]:9001",
        "http://169.254.169.254",
        "http://localhost.evil.example:9001",
        "http://evil.example:9001",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost:9001@evil.example",
        "http://evil.example/127.0.0.1",
        "http://evil.example#localhost",
        "http://evil.example?localhost",
        "http://localhost\\@evil.example",
        "http://127.0.0.1:9001/path",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:",
        "http://1270.0.0.1",
        "http://2130706433",
        "http://[::1]evil.example",
        "http://",
        "localhost:9001",
        "127.0.0.1",
        "//127.0.0.1:9001",
        "ftp://127.0.0.1:9001",
        "file://localhost",
        "javascript://127.0.0.1",
        " http://127.0.0.1:9001",
        "http://127.0.0.1:9001 ",
        "http://127.0.0.1:9001\n",
        "http://\uff11\uff12\uff17.0.0.1:9001",
        " ",
    ],
)
def test_any_other_address_stops_the_function(address: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        with_oss(address)
    assert "LINK_OSS_ENDPOINT" in refused.value.sentence


def test_the_names_in_this_file_are_those_of_the_reader() -> None:
    assert set(A_MOUNT) | set(UPLOADS) <= set(MOUNT_KEYS)
    assert {name for name, _ in REFUSED} <= set(configuration.MOUNT_KEYS)
    assert mount().mounts[0].path == A_MOUNT["path"]
