"""The lock of a keys document: who holds it, who waits, and when it may be broken."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.keys.edit import rotate_share
from signer.times import rfc3339
from tests.handler.keys.command import ADD, Desk, opened
from tests.handler.keys_fixtures import document


@pytest.fixture(params=["file", "oss"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with opened(request.param, tmp_path, capsys) as found:
        yield found


@pytest.fixture
def made(desk: Desk) -> Desk:
    desk.write(json.dumps(document()).encode())
    return desk


def held_since(seconds: float) -> bytes:
    """A lock that another writer took so many seconds ago."""
    moment = rfc3339(time.time() - seconds)
    return json.dumps({"owner": "bob@laptop, process 7", "at": moment, "nonce": "n"}).encode()


@pytest.mark.parametrize("command", [("init",), ADD, ("revoke-api-key", "reader"), ("rotate-share",)])
def test_while_another_writes_nothing_is_written(command: tuple[str, ...], made: Desk) -> None:
    before, lock = made.read(), held_since(10)
    made.write(lock, ".lock")
    ran = made.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "bob@laptop, process 7" in ran.err
    assert "--break-lock" in ran.err
    assert (made.read(), made.read(".lock")) == (before, lock)


def test_show_asks_for_no_lock(made: Desk) -> None:
    made.write(held_since(10), ".lock")
    assert made.run("show").status == 0


@pytest.mark.parametrize("age", [0, 240])
def test_a_young_lock_is_not_broken(age: float, made: Desk) -> None:
    lock = held_since(age)
    made.write(lock, ".lock")
    ran = made.run(*ADD, "--break-lock")
    assert (ran.status, ran.out) == (1, "")
    assert "5 minutes" in ran.err
    assert made.read(".lock") == lock


@pytest.mark.parametrize("lock", [301, 86_400, b"", b"{", b"[]", b'{"owner": 1, "at": "x"}'])
def test_an_old_lock_and_one_that_names_nobody_are_broken_on_demand(lock: bytes | int, made: Desk) -> None:
    made.write(lock if isinstance(lock, bytes) else held_since(lock), ".lock")
    assert made.run(*ADD).status == 1
    assert made.run(*ADD, "--break-lock").status == 0
    assert made.document["api"][-1]["id"] == "ci"
    assert made.read(".lock") is None


def test_break_lock_breaks_nothing_where_nothing_is_locked(made: Desk) -> None:
    assert made.run("--break-lock", *ADD).status == 0


def test_a_writer_whose_lock_was_broken_writes_nothing_and_leaves_the_next_ones_lock(made: Desk) -> None:
    before, other = made.read(), held_since(0)

    def break_in(document: Any, retired: str | None = None) -> Any:
        made.write(other, ".lock")
        return rotate_share(document, retired)

    with patch("handler.keys.edit.rotate_share", break_in):
        ran = made.run("rotate-share")
    assert (ran.status, ran.out) == (1, "")
    assert "nothing was written" in ran.err
    assert (made.read(), made.read(".lock")) == (before, other)


def test_the_lock_names_its_owner_and_the_time(made: Desk) -> None:
    seen = []

    def look(document: Any, retired: str | None = None) -> Any:
        seen.append(json.loads(made.read(".lock") or b""))
        return rotate_share(document, retired)

    with patch("handler.keys.edit.rotate_share", look):
        assert made.run("rotate-share").status == 0
    assert f"process {os.getpid()}" in seen[0]["owner"]
    assert seen[0]["at"].endswith("Z")
