"""The lookups among mounts find what a comparison with each of them finds."""

from __future__ import annotations

import pickle
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.core.config import Location, Mount, Mounts, load
from handler.core.errors import Problem

FEW = settings(max_examples=20)  # each reads a links.toml
FOLDERS = st.lists(st.sampled_from(["a/", "b/", "ab/"]), max_size=3).map("".join)
PLACES = st.tuples(FOLDERS, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS)
MANY = st.lists(PLACES, max_size=8, unique_by=lambda place: place[0])

Place = tuple[str, str, str]


def mounts(places: Iterable[Place]) -> Mounts:
    tables = [{"path": f"/{path}", "target": f"oss://{bucket}/{key}"} for path, bucket, key in places]
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
def test_what_is_reserved_in_one_bucket_is_not_in_another(reserved: list[Location], key: str) -> None:
    found = pickle.loads(pickle.dumps(Mounts((), tuple(reserved))))  # noqa: S301 - of this test
    for bucket in ("bucket-a", "bucket-b", "bucket-c"):
        expected = any(each.bucket == bucket and key.startswith(each.key) for each in reserved)
        assert found.is_reserved(bucket, key) == expected


@FEW
@given(MANY, st.lists(st.builds(Location, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS), max_size=2), FOLDERS)
def test_a_target_is_found_where_a_mount_covers_the_path_and_nothing_of_the_service_is(
    places: list[Place], reserved: list[Location], folder: str
) -> None:
    found = Mounts(mounts(places), tuple(reserved))
    for path in (f"/{folder}", f"/{folder}c.txt"):
        mount = found.covering(path)
        location = mount and Location(mount.target.bucket, mount.target.key + path[len(mount.path) :])
        expected = None if location is None or found.is_reserved(*location) else (mount, path, location)
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
    found, bucket, key = mounts(places), place[1], place[2] + name
    for mount in found:
        target = found.target_of(mount, bucket, key)
        inside = mount.target.contains(Location(bucket, key)) and key != mount.target.key
        covering = inside and found.covering(mount.path + key[len(mount.target.key) :]) is mount
        assert (target is not None) == covering
        assert target is None or (target.mount, target.location) == (mount, (bucket, key))


@FEW
@given(MANY, PLACES)
def test_the_mounts_within_a_prefix_and_those_that_overlap_it_are_all_found(places: list[Place], place: Place) -> None:
    found, prefix = mounts(places), Location(*place[1:])
    assert paths(found.within(prefix)) == paths(mount for mount in found if prefix.contains(mount.target))
    assert paths(found.overlapping(prefix)) == paths(mount for mount in found if prefix.overlaps(mount.target))
