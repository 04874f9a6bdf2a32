"""links.toml: unknown keys and invalid variables stop the function, with a message that names the entry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.config import InvalidConfig, Location
from handler.core.config.load import MOUNT_KEYS, TOP_KEYS, load, read
from tests.handler.client import ask, make_config
from tests.handler.core.config.tables import A_MOUNT, document, refusal

ROOT = Path(__file__).parents[4]

# --- valid files --------------------------------------------------------------------------------------------------


@pytest.mark.shipped_files
def test_the_links_toml_of_the_repository_is_valid() -> None:
    loaded = load(str(ROOT / "links.toml"), {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"})
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


@pytest.mark.parametrize("text", ["[mount]\npath = '/a/'", "mount = 'a'", "mount = [1]", "mounts = []", "[[mount.x]]"])
def test_mounts_must_be_a_list_of_tables(text: str) -> None:
    with pytest.raises(InvalidConfig, match="mount"):
        make_config(f"region = 'cn-hangzhou'\n{text}")


def test_a_message_names_the_number_of_the_mount() -> None:
    other = {**A_MOUNT, "path": "/other/", "acess": "anonymous"}
    assert refusal(document(A_MOUNT, other)).startswith("mount 2 (/other/): ")


# --- variables ----------------------------------------------------------------------------------------------------


def test_variables_are_replaced_in_every_string() -> None:
    table = {**A_MOUNT, "path": "/$a/$$/", "target": "oss://${B}-${N}/${P}/", "query": ["${Q}"]}
    environ = {"B": "examplebucket", "N": "1", "P": "a/b", "Q": "versionId", "R": "cn-beijing", "a": "x"}
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
            read(document({**A_MOUNT, "target": "oss://${V}/a/"}), {"V": value, "OTHER": "examplebucket"})


def test_variables_in_the_names_of_keys_are_not_replaced() -> None:
    assert "${A}" in refusal(document(**{"${A}": "1h"}), {"A": "credential_life"})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (document({**A_MOUNT, "acess": "anonymous"}), "unknown key 'acess' (did you mean 'access'?)"),
        (document(mounts=[]), "top level: unknown key 'mounts' (did you mean 'mount'?)"),
        (document(Public_URL="x"), "unknown key 'Public_URL' (did you mean 'public_url'?)"),
        (document({**A_MOUNT, "active_content": True}), "unknown key 'active_content' (remove it: browsers download "),
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
def test_a_mistyped_key_is_answered_with_the_key_that_was_meant(table: Mapping[str, Any], sentence: str) -> None:
    assert sentence in refusal(table)
