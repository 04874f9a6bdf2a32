"""OSS in memory answers the state prefix as the local OSS does, which verifies every request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from handler.core.config import Location
from tests.handler.notice_fixtures import EventFunction, event_function

NAMES = [
    "done/1",
    "lease/ops/1",
    "outbox/a b/2",
    "outbox/a b/3-1",
    "outbox/a b/3-2",
    "outbox/a/1",
    "outbox/b/1",
    "x",
]


def results(function: EventFunction) -> Iterator[object]:
    """What the methods of the state return."""
    used = function.state()
    yield used.read("x")
    for name in NAMES:
        used.replace(name, name.encode())
    yield (
        used.create("x", b"later").body,
        used.create("y", b"first").body,
        used.create("y", b"later").body,
    )
    for _ in range(2):
        found = used.read("y")
        # Two clocks, some seconds apart.
        yield (None if found is None else (found.body, round(found.age, -2)))
        function.pass_time(100)
    with patch("signer.common.listing.PAGE", 2):
        yield list(used.list_folders("outbox/"))
        yield [
            (entry.name, round(entry.age, -2), entry.size, entry.etag)
            for entry in used.list_folder("outbox/a b/")
        ]
        yield [
            entry.name
            for entry in used.list_objects(Location("examplebucket", ".links/state/"), after="x")
        ]
        yield [entry.name for entry in used.list_folder("dead/ops/")]
    for _ in range(2):
        used.delete("outbox/a/1")
        yield used.copy("outbox/a/1", "outbox/c/1"), used.copy("outbox/b/1", "outbox/a b/3-1")
    copied = used.read("outbox/a b/3-1")
    yield None if copied is None else (copied.body, round(copied.age, -2), copied.etag)
    yield list(used.list_folders("outbox/"))
    yield function.oss.client.head(Location("examplebucket", ".links/state/x")).headers[
        "content-length"
    ]
    yield function.state_names("outbox/")


def test_memory_and_local_oss_are_the_same(tmp_path: Path) -> None:
    with event_function(tmp_path / "local", is_wired=True) as local:
        expected = list(results(local))
    with event_function(tmp_path / "memory") as memory:
        assert list(results(memory)) == expected
    assert ["a b", "a", "b"] in expected
