"""links.toml: where it is found, what stops the function with a message that names it, and addresses of a laptop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handler
from handler import startup
from handler.core.config import Config, InvalidConfig, Location
from handler.core.config.load import load, read
from handler.core.config.table import MOUNT_KEYS, TOP_KEYS
from signer import Endpoint
from tests.handler.client import ask, make_config
from tests.handler.core.config.tables import A_MOUNT, document, refusal

ROOT = Path(__file__).parents[4]

# --- valid files --------------------------------------------------------------------------------------------------


@pytest.mark.shipped_files
def test_the_links_toml_of_the_repository_is_valid() -> None:
    loaded = load(
        str(ROOT / "links.toml"), {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    )
    mount = loaded.mounts.covering("/exampledir/a.txt")
    assert mount is not None
    assert mount.target == Location("examplebucket", "exampledir/")
    assert ask("/exampledir/a.txt", config=loaded).key == "exampledir/a.txt"
    inbox = loaded.mounts.covering("/in/a.txt")
    assert inbox is not None
    assert (inbox.access, inbox.methods) == ("authenticated", ("PUT", "POST"))
    assert inbox.max_size is not None
    assert inbox.max_share is not None


def test_without_mounts_every_path_returns_404() -> None:
    assert ask("/exampledir/a.txt", config=read({"region": "cn-hangzhou"}, {})).status == 404


# --- unknown keys -------------------------------------------------------------------------------------------------


@given(st.text(max_size=10))
def test_every_unknown_key_is_refused(name: str) -> None:
    if name not in TOP_KEYS:
        refusal({**document(), name: True})
    if name not in MOUNT_KEYS:
        refusal(document({**A_MOUNT, name: True}))


@pytest.mark.parametrize(
    "text", ["[mount]\npath = '/a/'", "mount = 'a'", "mount = [1]", "mounts = []", "[[mount.x]]"]
)
def test_mounts_must_be_a_list_of_tables(text: str) -> None:
    with pytest.raises(InvalidConfig, match="mount"):
        make_config(f"region = 'cn-hangzhou'\n{text}")


def test_a_message_names_the_number_of_the_mount() -> None:
    other = {**A_MOUNT, "path": "/other/", "acess": "anonymous"}
    assert refusal(document(A_MOUNT, other)).startswith("mount 2 (/other/): ")


# --- variables ----------------------------------------------------------------------------------------------------


def test_variables_are_replaced_in_every_string() -> None:
    table = {**A_MOUNT, "path": "/$a/$$/", "target": "oss://${B}-${N}/${P}/", "query": ["${Q}"]}
    environ = {
        "B": "examplebucket",
        "N": "1",
        "P": "a/b",
        "Q": "versionId",
        "R": "cn-beijing",
        "a": "x",
    }
    config = read(document(table, region="${R}"), environ)
    assert (config.region, config.mounts[0].path) == ("cn-beijing", "/$a/$$/")
    assert config.mounts[0].target == Location("examplebucket-1", "a/b/")
    assert config.mounts[0].query == {"versionId"}


@pytest.mark.parametrize("environ", [{}, {"LINK_BUCKET": ""}])
def test_a_missing_or_empty_variable_is_named_with_its_entry(environ: dict[str, str]) -> None:
    sentence = refusal(document({**A_MOUNT, "target": "oss://${LINK_BUCKET}/exampledir/"}), environ)
    assert "LINK_BUCKET" in sentence
    assert "mount 1" in sentence
    assert "target" in sentence
    assert "region" in refusal(document(region="${LINK_REGION}"), {"LINK_REGION": ""})


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${A B}", "${1}", "${A:-b}", "${${A}}"])
def test_an_invalid_variable_is_refused(text: str) -> None:
    assert "${" in refusal(document(region=text), {"A": "cn-hangzhou", "A B": "x", "1": "x"})


def test_the_value_of_a_variable_is_replaced_once_and_cannot_add_keys() -> None:
    for value in ("${OTHER}", '"\naccess = "anonymous', "a\\"):
        with pytest.raises(InvalidConfig):
            read(
                document({**A_MOUNT, "target": "oss://${V}/a/"}),
                {"V": value, "OTHER": "examplebucket"},
            )


def test_variables_in_the_names_of_keys_are_not_replaced() -> None:
    assert "${A}" in refusal(document(**{"${A}": "1h"}), {"A": "credential_life"})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            document({**A_MOUNT, "acess": "anonymous"}),
            "unknown key 'acess' (did you mean 'access'?)",
        ),
        (document(mounts=[]), "top level: unknown key 'mounts' (did you mean 'mount'?)"),
        (document(Public_URL="x"), "unknown key 'Public_URL' (did you mean 'public_url'?)"),
        (
            document({**A_MOUNT, "active_content": True}),
            "unknown key 'active_content' (remove it: browsers download ",
        ),
        (document(zzzz=1), "unknown key 'zzzz' (known: region, "),
        *(
            (
                document({**A_MOUNT, name: "x"}),
                f"unknown key '{name}' (it belongs at the top of the file, above the first ",
            )
            for name in ("public_url", "state")
        ),
    ],
)
def test_a_mistyped_key_is_answered_with_the_key_that_was_meant(
    table: Mapping[str, Any], sentence: str
) -> None:
    assert sentence in refusal(table)


# --- finding the file ---------------------------------------------------------------------------------------------


@pytest.fixture
def links_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path that LINK_CONFIG names; the file does not exist yet."""
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


def test_link_config_names_another_file_which_notepad_may_have_written(links_toml: Path) -> None:
    links_toml.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert [mount.path for mount in startup.start(os.environ).config.mounts] == ["/here/"]


@pytest.mark.shipped_files
def test_an_empty_link_config_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(startup.DEFAULT) == ROOT / "links.toml"
    monkeypatch.setenv("LINK_CONFIG", "")
    monkeypatch.setenv("LINK_REGION", "cn-hangzhou")
    monkeypatch.setenv("LINK_BUCKET", "examplebucket")
    assert startup.start(os.environ).config.mounts.covering("/exampledir/a") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"region = ", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        (b"region = " + b"[" * 10_000, "is not valid TOML"),
        (b"region = " + b"9" * 10_000, "links.toml"),
        # A new tomli refuses it, an old one and tomllib leave it to us.
        (
            b"region" + b".a" * 2_000 + b" = 1",
            "nested too deep" if sys.version_info >= (3, 11) else "links.toml",
        ),
        (b"", "region"),
        (GOOD.replace("access", "acess").encode(), "'acess'"),
        (GOOD.replace("examplebucket", "${LINK_BUCKET}").encode(), "LINK_BUCKET"),
        ((GOOD + GOOD.partition("\n[[")[1] + GOOD.partition("\n[[")[2]).encode(), "/here/"),
    ],
)
def test_an_invalid_file_fails_the_first_start_with_a_message(
    links_toml: Path, text: bytes, message: str
) -> None:
    links_toml.write_bytes(text)
    with pytest.raises(InvalidConfig) as raised:
        startup.start(os.environ)
    assert message in str(raised.value)
    assert "links.toml" in str(raised.value)
    assert str(raised.value).endswith(".")


def test_a_missing_or_unreadable_file_fails_the_first_start_with_a_message(
    links_toml: Path,
) -> None:
    with pytest.raises(InvalidConfig, match="LINK_CONFIG"):
        startup.start(os.environ)
    links_toml.mkdir()
    with pytest.raises(InvalidConfig, match="cannot be read"):
        startup.start(os.environ)


def test_an_invalid_file_is_read_again_and_a_valid_one_once(
    links_toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a new process.
    monkeypatch.setattr(startup, "instance", cache(startup.instance.__wrapped__))
    monkeypatch.setattr("gc.freeze", lambda: None)
    links_toml.write_text("region = 7")
    for _ in range(2):
        with pytest.raises(InvalidConfig):
            handler.on_initialize(None)
    links_toml.write_text(GOOD)
    handler.on_initialize(None)
    first = startup.instance()
    links_toml.write_text("region = 7")
    assert startup.instance() is first
    assert first.started <= first.clock.now()


# --- a local OSS --------------------------------------------------------------------------------------------------


def with_oss(address: str) -> Config:
    return read(document(), {"LINK_OSS_ENDPOINT": address})


LOOPBACK = [
    "http://127.0.0.1:9001",
    "http://127.0.0.1",
    "http://127.1.2.3:1",
    "http://localhost:9001/",
    "http://[::1]:9001",
    "https://localhost:9001",
]


@pytest.mark.parametrize("address", LOOPBACK)
def test_links_go_to_a_loopback_address(address: str) -> None:
    config = with_oss(address)
    for endpoint in (config.own_endpoint, config.mounts[0].endpoint, config.mounts[0].own_endpoint):
        assert endpoint.url("examplebucket", "a") == f"{address.rstrip('/')}/examplebucket/a"


def test_an_empty_address_counts_as_unset() -> None:
    assert with_oss("") == read(document(), {})
    assert with_oss("").mounts[0].endpoint == Endpoint.public("cn-hangzhou")
    assert (
        with_oss("").own_endpoint
        == with_oss("").mounts[0].own_endpoint
        == Endpoint.internal("cn-hangzhou")
    )


def test_on_a_laptop_a_mount_of_another_region_has_the_local_address_too() -> None:
    elsewhere = document(
        {**A_MOUNT, "region": "cn-beijing", "endpoint": "https://static.example.com"}
    )
    config = read(elsewhere, {"LINK_OSS_ENDPOINT": LOOPBACK[0]})
    assert config.mounts[0].endpoint == config.mounts[0].own_endpoint == config.own_endpoint
    assert read(elsewhere, {}).mounts[0].own_endpoint == Endpoint.public("cn-beijing")


NO_LOOPBACK = [
    "http://oss-cn-hangzhou.aliyuncs.com",
    "http://10.0.0.1:9001",
    "http://0.0.0.0:9001",
    "http://[::]:9001",
    "http://localhost.evil.example:9001",
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
    "//127.0.0.1:9001",
    "ftp://127.0.0.1:9001",
    " http://127.0.0.1:9001",
    "http://127.0.0.1:9001\n",
    "http://\uff11\uff12\uff17.0.0.1:9001",
]


@pytest.mark.parametrize("address", NO_LOOPBACK)
def test_any_other_address_stops_the_function(address: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        with_oss(address)
    assert "LINK_OSS_ENDPOINT" in raised.value.sentence


# --- the address of a local service -------------------------------------------------------------------------------


def with_address(address: str, **top: str) -> Config:
    return read(document(**top), {"LINK_PUBLIC_URL": address})


def test_a_local_address_stands_in_for_the_public_url() -> None:
    for public in ({}, {"public_url": "https://links.example.com"}):
        assert (
            with_address("http://localhost:9000/", **public).public_url == "http://localhost:9000"
        )
        assert with_address("", **public).public_url == public.get("public_url")


def test_another_address_than_a_loopback_origin_is_refused_and_an_invalid_public_url_beside_one() -> (
    None
):
    with pytest.raises(InvalidConfig, match="LINK_PUBLIC_URL must be a loopback address"):
        with_address("https://links.example.com")
    with pytest.raises(InvalidConfig, match="public_url must be an https origin"):
        with_address("http://127.0.0.1:9000", public_url="http://links.example.com")
