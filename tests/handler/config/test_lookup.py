"""The lookups among mounts find what a comparison with each of them finds."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from handler.config import Location, Mount, Mounts, load

FOLDERS = st.lists(st.sampled_from(["a/", "b/", "ab/"]), max_size=3).map("".join)
PLACES = st.tuples(FOLDERS, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS)
MANY = st.lists(PLACES, max_size=8, unique_by=lambda place: place[0])

Place = tuple[str, str, str]


def mounts(places: Iterable[Place]) -> Mounts:
    tables = [{"path": f"/{path}", "target": f"oss://{bucket}/{key}"} for path, bucket, key in places]
    return load.read({"region": "cn-hangzhou", "mount": tables}, {}).mounts


def paths(chosen: Iterable[Mount]) -> list[str]:
    return sorted(mount.path for mount in chosen)


@given(MANY, FOLDERS, st.sampled_from(["", "a", "c.txt"]))
def test_a_path_belongs_to_the_mount_with_the_longest_path_that_it_begins_with(
    places: list[Place], folder: str, name: str
) -> None:
    found, path = mounts(places), f"/{folder}{name}"
    covering = [mount for mount in found if path.startswith(mount.path)]
    assert found.covering(path) == max(covering, key=lambda mount: len(mount.path), default=None)


@given(st.lists(st.builds(Location, st.sampled_from(["bucket-a", "bucket-b"]), FOLDERS)), FOLDERS)
def test_what_is_reserved_in_one_bucket_is_not_in_another(reserved: list[Location], key: str) -> None:
    config = load.read({"region": "cn-hangzhou"}, {})._replace(reserved=tuple(reserved))
    for bucket in ("bucket-a", "bucket-b", "bucket-c"):
        expected = any(each.bucket == bucket and key.startswith(each.key) for each in reserved)
        assert config.is_reserved(bucket, key) == expected


@given(MANY, PLACES)
def test_the_mounts_within_a_prefix_and_those_that_overlap_it_are_all_found(places: list[Place], place: Place) -> None:
    found, prefix = mounts(places), Location(*place[1:])
    assert paths(found.within(prefix)) == paths(mount for mount in found if prefix.contains(mount.target))
    assert paths(found.overlapping(prefix)) == paths(mount for mount in found if prefix.overlaps(mount.target))
