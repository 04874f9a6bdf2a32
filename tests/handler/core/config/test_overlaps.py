"""Mounts that must not overlap each other or the service's own objects, and the lookups among them: by every path."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.core.config import Config, InvalidConfig, Location, Mount, Mounts, load
from handler.core.config.load import read
from handler.core.errors import Problem
from tests.handler.client import ask


class Rule(NamedTuple):
    """A mount in these tests."""

    path: str
    prefix: str
    access: str = "anonymous"
    methods: str = "GET"
    query: str = ""
    bucket: str = "examplebucket"

    def table(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "target": f"oss://{self.bucket}/{self.prefix}",
            "access": self.access,
            "methods": self.methods.split(),
            "query": self.query.split(),
            "whole_bucket": True,
            **({"max_size": "1MB"} if {"PUT", "POST"} & {*self.methods.split()} else {}),
        }


def config_of(*rules: Rule, **top: str) -> Config:
    return read({"region": "cn-hangzhou", **top, "mount": [rule.table() for rule in rules]}, {})


def refusal(*rules: Rule, **top: str) -> str:
    """The message that the mounts cause, which must not depend on their order."""
    sentences = set()
    for ordered in (rules, rules[::-1]):
        with pytest.raises(InvalidConfig) as raised:
            config_of(*ordered, **top)
        sentences.add(raised.value.sentence)
    (sentence,) = sentences
    assert sentence.startswith("mount /")
    assert sentence.endswith(".")
    return sentence


PRIVATE = "authenticated"


def test_two_mounts_with_the_same_path_are_refused_and_may_have_the_same_target() -> None:
    assert "/a/" in refusal(Rule("/a/", "one/"), Rule("/a/", "two/"))
    config = config_of(Rule("/a/", "x/"), Rule("/b/", "x/"))
    assert ask("/a/1", config=config).key == ask("/b/1", config=config).key == "x/1"


# --- anonymous paths to authenticated objects ---------------------------------------------------------------------

REACHED = [
    [Rule("/a/", "x/"), Rule("/b/", "x/", PRIVATE)],
    [Rule("/a/", "x/", methods="GET PUT"), Rule("/b/", "x/", PRIVATE, "PUT")],
    [Rule("/a/", "x/y/"), Rule("/b/", "x/", PRIVATE), Rule("/c/", "x/y/z/", PRIVATE)],
    [Rule("/a/", "x/"), Rule("/a/y/", "x/"), Rule("/b/", "x/y/", PRIVATE)],
]


@pytest.mark.parametrize("rules", REACHED, ids=range(len(REACHED)))
def test_an_anonymous_mount_that_reaches_all_of_an_authenticated_one_is_refused(
    rules: list[Rule],
) -> None:
    sentence = refusal(*rules)
    assert "authenticated" in sentence
    assert any(
        f"the authenticated mount {rule.path}," in sentence
        for rule in rules
        if rule.access == PRIVATE
    )


APART = [
    [Rule("/a/", "x/public/"), Rule("/b/", "x/", PRIVATE)],
    [Rule("/a/", "x/", methods="PUT POST"), Rule("/b/", "x/", PRIVATE)],
    [Rule("/a/", "x/"), Rule("/b/", "x/", PRIVATE, bucket="otherbucket")],
    [Rule("/", ""), Rule("/x/", "z/"), Rule("/b/", "x/y/", PRIVATE)],
]


@pytest.mark.parametrize("rules", APART, ids=range(len(APART)))
def test_other_mounts_are_valid(rules: list[Rule]) -> None:
    for ordered in (rules, rules[::-1]):
        config_of(*ordered)


PATHS = ["/", "/a/", "/b/", "/a/a/", "/a/b/", "/b/a/"]
PREFIXES = ["", "a/", "b/", "a/a/", "a/b/", "b/a/", "aa/"]
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(PATHS),
        st.sampled_from(PREFIXES),
        st.sampled_from(["anonymous", PRIVATE]),
        st.sampled_from(["GET", "GET PUT", "PUT POST"]),
        st.just(""),
        st.sampled_from(["examplebucket", "examplebucket", "otherbucket"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda rule: rule.path,
)
# Every file and folder within four folders: as deep as the path and the prefix of a rule together.
SEGMENTS = ("a/", "b/", "aa/")
EVERY_PATH = [
    "/" + "".join(folders) + name
    for depth in range(5)
    for folders in product(SEGMENTS, repeat=depth)
    for name in ("f", "")
]


def reached(rules: Sequence[Rule]) -> Iterator[tuple[str, Rule]]:
    """Every path at which anyone reads an object of an authenticated rule, from a target as wide as that rule's."""
    private = [rule for rule in rules if rule.access == PRIVATE]
    by_length = sorted(rules, key=lambda rule: len(rule.path), reverse=True)
    for path in EVERY_PATH:
        matching = next((rule for rule in by_length if path.startswith(rule.path)), None)
        if matching is None or matching.access == PRIVATE or path == matching.path:
            continue
        if "GET" not in matching.methods.split():
            continue
        key = matching.prefix + path[len(matching.path) :]
        for rule in private:
            within = rule.prefix.startswith(matching.prefix)
            if rule.bucket == matching.bucket and within and key.startswith(rule.prefix):
                yield path, rule


@given(RULES)
@settings(max_examples=60)
@example([Rule("/", ""), Rule("/a/", "b/", PRIVATE), Rule("/b/", "b/")])
@example([Rule("/", ""), Rule("/a/b/", "a/b/", PRIVATE), Rule("/a/", "a/")])
def test_the_check_agrees_with_trying_every_path(rules: list[Rule]) -> None:
    example_path = next(reached(rules), None)
    assert is_refused(rules) == (example_path is not None), f"{rules}: {example_path}"


def is_refused(rules: Sequence[Rule]) -> bool:
    """Whether the rules are refused because anyone could reach objects of an authenticated mount."""
    try:
        config_of(*rules)
    except InvalidConfig as error:
        if "could then reach" not in error.sentence:
            raise
        return True
    return False


# --- a stranger's page on your domain -----------------------------------------------------------------------------

TYPE = "response-content-type"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("shown", "uploaded"), [("x/", "x/"), ("x/", "x/y/"), ("x/y/", "x/"), ("", "x/"), ("x/", "")]
)
def test_links_that_choose_the_type_must_not_reach_uploaded_objects(
    method: str, shown: str, uploaded: str
) -> None:
    for access in ("anonymous", PRIVATE):
        showing = Rule("/show/", shown, access, query=f"versionId {TYPE}")
        sentence = refusal(showing, Rule("/upload/", uploaded, access, method))
        assert {"/show/", "/upload/", TYPE} <= {each.strip(",:.") for each in sentence.split()}
    assert TYPE in refusal(Rule("/a/", "x/", methods=f"GET {method}", query=TYPE))


def test_links_may_choose_the_type_of_objects_that_nobody_uploads() -> None:
    config_of(Rule("/show/", "x/", query=TYPE), Rule("/upload/", "y/", methods="PUT"))
    config_of(Rule("/show/", "x/", query=TYPE), Rule("/upload/", "xy/", methods="PUT"))
    config_of(
        Rule("/show/", "x/", query=TYPE),
        Rule("/upload/", "x/", methods="PUT", bucket="otherbucket"),
    )
    config_of(
        Rule("/show/", "x/", query="response-content-disposition"),
        Rule("/upload/", "x/", methods="PUT"),
    )
    config_of(Rule("/show/", "x/", query=TYPE), Rule("/more/", "x/", methods="GET"))


# --- the service's own objects ------------------------------------------------------------------------------------

OWN = {"keys": "oss://examplebucket/.links/keys.json", "state": "oss://examplebucket/.links/state/"}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("prefix", ["", ".links/", ".links/state/uploads/", ".links/keys.json/"])
def test_an_upload_mount_must_not_overlap_the_services_own_objects(
    method: str, prefix: str
) -> None:
    for access in ("anonymous", PRIVATE):
        sentence = refusal(Rule("/upload/", prefix, access, f"GET {method}"), **OWN)
        assert "/upload/" in sentence
        assert "oss://examplebucket/.links/" in sentence
    for name in OWN:
        assert OWN[name] in refusal(Rule("/upload/", "", methods=method), **{name: OWN[name]})


def test_an_upload_mount_elsewhere_is_valid() -> None:
    config_of(Rule("/upload/", "incoming/", methods="PUT"), **OWN)
    config_of(Rule("/upload/", ".links/other/", methods="PUT"), **OWN)
    config_of(Rule("/upload/", ".linksmore/", methods="PUT"), **OWN)
    config_of(Rule("/upload/", "", methods="PUT", bucket="otherbucket"), **OWN)
    config_of(Rule("/upload/", "", methods="PUT"), keys="file:keys.json")


def test_a_mount_without_uploads_may_contain_them_and_links_to_none_of_them() -> None:
    config = config_of(
        Rule("/all/", ""), Rule("/links/", ".links/"), Rule("/state/", ".links/state/"), **OWN
    )
    for path in (
        "/all/.links/keys.json",
        "/links/keys.json",
        "/links/state/a",
        "/state/a",
        "/state/b/c",
    ):
        assert ask(path, config=config).status == 404
    assert ask("/links/readme", config=config).key == ".links/readme"


FEW = settings(max_examples=20)  # each reads a links.toml
FOLDERS = st.lists(st.sampled_from(["a/", "b/", "ab/"]), max_size=3).map("".join)
PLACES = st.tuples(FOLDERS, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS)
MANY = st.lists(PLACES, max_size=8, unique_by=lambda place: place[0])

Place = tuple[str, str, str]


def mounts(places: Iterable[Place]) -> Mounts:
    tables = [
        {"path": f"/{path}", "target": f"oss://{bucket}/{key}"} for path, bucket, key in places
    ]
    return load.read({"region": "cn-hangzhou", "mount": tables}, {}).mounts


def paths(chosen: Iterable[Mount]) -> list[str]:
    return sorted(mount.path for mount in chosen)


@FEW
@given(MANY, FOLDERS, st.sampled_from(["", "a", "c.txt"]))
def test_a_path_belongs_to_the_mount_with_the_longest_path_that_it_begins_with(
    places: list[Place], folder: str, name: str
) -> None:
    found, path = mounts(places), f"/{folder}{name}"
    covering = [mount for mount in found if path.startswith(mount.path)]
    assert found.covering(path) == max(covering, key=lambda mount: len(mount.path), default=None)


@given(st.lists(st.builds(Location, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS)), FOLDERS)
def test_what_is_reserved_in_one_bucket_is_not_in_another(
    reserved: list[Location], key: str
) -> None:
    found = pickle.loads(pickle.dumps(Mounts((), tuple(reserved))))  # noqa: S301 - of this test
    for bucket in ("bucket-a", "bucket-b", "bucket-c"):
        expected = any(each.bucket == bucket and key.startswith(each.key) for each in reserved)
        assert found.is_reserved(bucket, key) == expected


@FEW
@given(
    MANY,
    st.lists(st.builds(Location, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS), max_size=2),
    FOLDERS,
)
def test_a_target_is_found_where_a_mount_covers_the_path_and_nothing_of_the_service_is(
    places: list[Place], reserved: list[Location], folder: str
) -> None:
    found = Mounts(mounts(places), tuple(reserved))
    for path in (f"/{folder}", f"/{folder}c.txt"):
        mount = found.covering(path)
        location = mount and Location(
            mount.target.bucket, mount.target.key + path[len(mount.path) :]
        )
        expected = (
            None if location is None or found.is_reserved(*location) else (mount, path, location)
        )
        target = found.get(path)
        assert (target and (target.mount, target.path, target.location)) == expected
        for prefix in (False, True):
            if target is None or (path == target.mount.path and not prefix):
                with pytest.raises(Problem) as raised:
                    found.find(path, prefix=prefix)
                assert raised.value.code == "not_found"
            else:
                assert found.find(path, prefix=prefix) == target


@FEW
@given(MANY, PLACES, st.sampled_from(["", "c.txt"]))
def test_an_object_has_a_target_through_the_one_mount_that_covers_its_path(
    places: list[Place], place: Place, name: str
) -> None:
    found = mounts(places)
    bucket = place[1]
    key = place[2] + name
    for mount in found:
        target = found.target_of(mount, bucket, key)
        inside = mount.target.contains(Location(bucket, key)) and key != mount.target.key
        covering = inside and found.covering(mount.path + key[len(mount.target.key) :]) is mount
        assert (target is not None) == covering
        assert target is None or (target.mount, target.location) == (mount, (bucket, key))


@FEW
@given(MANY, PLACES)
def test_the_mounts_within_a_prefix_and_those_that_overlap_it_are_all_found(
    places: list[Place], place: Place
) -> None:
    found, prefix = mounts(places), Location(*place[1:])
    assert paths(found.within(prefix)) == paths(
        mount for mount in found if prefix.contains(mount.target)
    )
    assert paths(found.overlapping(prefix)) == paths(
        mount for mount in found if prefix.overlaps(mount.target)
    )
