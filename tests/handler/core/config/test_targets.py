"""What `delete_after` and `earlier_targets` may name: nothing of other mounts, and nothing of the service itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from handler.core.config import Location
from handler.core.config.load import read
from tests.handler.core.config.tables import document, refusal

SEND: Mapping[str, Any] = {
    "path": "/send/",
    "target": "oss://new/send/",
    "max_share": "30d",
    "delete_after": "61d",
}
MOVED: Mapping[str, Any] = {
    "path": "/send/",
    "target": "oss://new/send/",
    "earlier_targets": ["oss://old/send/"],
}
OWN = {"keys": "oss://new/.links/keys.json", "state": "oss://new/.links/state/"}
SINK = {"name": "manifest", "target": "oss://new/.links/notices/"}


def other(target: str, **keys: object) -> dict[str, Any]:
    return {"path": "/other/", "target": target, **keys}


def refused(*tables: Mapping[str, Any]) -> str:
    """The message for these mounts in a configuration with keys, state and a sink, in both orders the same refusal."""
    for ordered in (tables, tables[::-1]):
        sentence = refusal({**document(*ordered, **OWN), "sink": [SINK]})
    return sentence


@pytest.mark.parametrize("value", ["60d", "61d", "36600d", 5_270_400])
def test_whole_days_of_at_least_twice_max_share_are_read(value: object) -> None:
    mounts = read(document({**SEND, "delete_after": value}, **OWN), {}).mounts
    assert mounts[0].delete_after in (5_184_000, 5_270_400, 3_162_240_000)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("59d", "delete_after must be at least twice max_share"),
        ("1462h", "delete_after must be whole days, such as 61d (got '1462h')"),
        ("12h", "delete_after must be a duration from 86400 to 3162240000 seconds"),
        (True, "delete_after must be a duration"),
    ],
)
def test_other_times_are_refused(value: object, sentence: str) -> None:
    assert sentence in refused({**SEND, "delete_after": value})


def test_a_whole_bucket_is_never_deleted() -> None:
    assert "everything in the bucket files" in refused({**SEND, "target": "oss://files/"})


@pytest.mark.parametrize(
    "target", ["oss://new/.links/", "oss://new/.links/state/shares/", "oss://new/.links/notices/a/"]
)
def test_nothing_of_the_service_itself_is_deleted(target: str) -> None:
    sentence = refused({**SEND, "target": target})
    assert "delete_after would delete objects in its target, which overlaps oss://new/" in sentence


@pytest.mark.parametrize("keys", [{}, {"delete_after": "62d"}])
@pytest.mark.parametrize("target", ["oss://new/send/", "oss://new/send/a/", "oss://new/"])
def test_nothing_of_a_mount_that_keeps_its_files_longer_is_deleted(
    target: str, keys: dict[str, str]
) -> None:
    table = other(target, **keys)
    if target == "oss://new/" and keys:
        assert "everything in the bucket" in refused(SEND, table)
    else:
        assert "delete_after would delete objects of the mount /" in refused(SEND, table)


@pytest.mark.parametrize(
    "table",
    [
        other("oss://new/send/", delete_after="61d"),
        other("oss://new/send/a/", delete_after="1464h"),
        other("oss://new/sending/"),
        other("oss://old/send/"),
    ],
)
def test_mounts_of_other_objects_or_with_the_same_end_are_fine(table: Mapping[str, Any]) -> None:
    assert len(read(document(SEND, table, **OWN), {}).mounts) == 2


def test_earlier_targets_are_read_and_may_be_any_number_of_buckets() -> None:
    targets = ["oss://old/send/", "oss://older/"]
    (mount,) = read(document({**MOVED, "earlier_targets": targets}), {}).mounts
    assert mount.earlier_targets == (Location("old", "send/"), Location("older", ""))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (["oss://new/send/"], "contains oss://new/send/, which is the target"),
        (["oss://old/send"], "must end in /"),
        (["https://old/send/"], "earlier_targets"),
        (["oss://old/", "oss://old/"], "must not contain the same value twice"),
        ("oss://old/", "must be a list"),
        (["oss://new/"], "which overlaps oss://new/.links/"),
        (["oss://new/.links/state/shares/"], "which overlaps oss://new/.links/state/"),
        (["oss://new/.links/notices/"], "which overlaps oss://new/.links/notices/"),
    ],
)
def test_an_earlier_target_that_is_none_or_of_the_service_itself_is_refused(
    value: object, sentence: str
) -> None:
    assert sentence in refused({**MOVED, "earlier_targets": value})


@pytest.mark.parametrize("place", ["oss://old/send/", "oss://old/send/a/", "oss://old/"])
@pytest.mark.parametrize("is_earlier", [False, True])
def test_an_earlier_target_that_reaches_another_mounts_is_refused(
    place: str, is_earlier: bool
) -> None:
    """Also where that mount is deeper or higher than this one: one old place must not be two new ones."""
    table = other("oss://new/other/", earlier_targets=[place]) if is_earlier else other(place)
    assert "earlier_targets contains oss://old/" in refused(MOVED, table)


def test_two_mounts_of_one_target_moved_together() -> None:
    """As /in/ and /received/, of which one stores and the other one reads."""
    received = other("oss://new/send/", earlier_targets=["oss://old/send/"])
    assert len(read(document(MOVED, received), {}).mounts) == 2


@pytest.mark.parametrize("place", ["oss://old/", "oss://old/send/a/"])
def test_two_mounts_of_one_target_must_not_have_come_from_two_places_that_overlap(
    place: str,
) -> None:
    received = other("oss://new/send/", earlier_targets=[place])
    assert "earlier_targets contains oss://old/" in refused(MOVED, received)
    both = other("oss://new/send/", earlier_targets=[place, "oss://old/send/"])
    same = {**MOVED, "earlier_targets": [place, "oss://old/send/"]}
    assert len(read(document(same, both), {}).mounts) == 2


def test_an_own_earlier_target_may_contain_the_target_of_today() -> None:
    inner = {**MOVED, "earlier_targets": ["oss://new/", "oss://new/send/old/"]}
    assert len(read(document(inner), {}).mounts) == 1


@pytest.mark.parametrize(
    ("bucket", "key", "today"),
    [
        ("old", "a/x.txt", ("new", "send/x.txt")),
        ("old", "b/x.txt", ("new", "send/b/x.txt")),
        ("new", "send/x.txt", ("new", "send/x.txt")),
        ("new", "x.txt", ("new", "send/x.txt")),
        ("other", "a/x.txt", ("other", "a/x.txt")),
        ("old-one", "a/x.txt", ("old-one", "a/x.txt")),
    ],
)
def test_an_object_of_the_nearest_earlier_target_is_at_todays(
    bucket: str, key: str, today: tuple[str, str]
) -> None:
    places = ["oss://old/", "oss://old/a/", "oss://new/"]
    (mount,) = read(document({**MOVED, "earlier_targets": places}), {}).mounts
    assert mount.moved(Location(bucket, key)) == Location(*today)
