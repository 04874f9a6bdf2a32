"""links.toml: what is not understood whole stops the function, with a sentence that names the entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config import InvalidConfig, Location
from handler.config.load import MOUNT_KEYS, TOP_KEYS, load, read
from tests.handler.client import ask, policy
from tests.handler.config.tables import A_MOUNT, document, refusal

ROOT = Path(__file__).parents[3]

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
    with pytest.raises(InvalidConfig, match="mount"):
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
        with pytest.raises(InvalidConfig):
            read(document({**A_MOUNT, "target": "oss://${V}/a/"}), {"V": value, "OTHER": "examplebucket"})


def test_a_dollar_sign_alone_is_a_letter() -> None:
    found_policy = read(document({**A_MOUNT, "path": "/$a/$$/"}), {"a": "x"})
    assert found_policy.mounts[0].path == "/$a/$$/"


def test_names_are_not_filled() -> None:
    assert "${A}" in refusal(document(**{"${A}": "1h"}), {"A": "credential_life"})
