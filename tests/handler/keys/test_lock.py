"""The lock of a keys document: who holds it, who waits, and when another writer may remove it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands.keys_edit import rotate_share
from signer.times import rfc3339
from tests.handler.keys.command import ADD, KeysCli, SleepingClock, keys_cli
from tests.handler.keys_fixtures import document


@pytest.fixture(params=["file", "oss"])
def cli(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[KeysCli]:
    with keys_cli(request.param, tmp_path, capsys) as started:
        yield started


@pytest.fixture
def existing(cli: KeysCli) -> KeysCli:
    """The command for a document that exists."""
    cli.write(json.dumps(document()).encode())
    return cli


def held_since(seconds: float) -> bytes:
    """The lock of another writer, acquired so many seconds ago."""
    acquired_at = rfc3339(time.time() - seconds)
    return json.dumps({"owner": "bob@laptop, process 7", "at": acquired_at, "nonce": "n"}).encode()


@pytest.mark.parametrize("command", [("init",), ADD, ("revoke-api-key", "reader"), ("rotate-share",)])
def test_while_another_writer_holds_the_lock_nothing_is_written(command: tuple[str, ...], existing: KeysCli) -> None:
    before, lock = existing.read(), held_since(10)
    existing.write(lock, ".lock")
    result = existing.run(*command)
    assert (result.status, result.out) == (1, "")
    assert "bob@laptop, process 7" in result.err
    assert "--break-lock" in result.err
    assert (existing.read(), existing.read(".lock")) == (before, lock)


def test_show_does_not_use_the_lock(existing: KeysCli) -> None:
    existing.write(held_since(10), ".lock")
    assert existing.run("show").status == 0


@pytest.mark.parametrize("age", [0, 240])
@pytest.mark.parametrize("dated", [-86_400, 0, 86_400])
def test_a_recent_lock_is_not_broken_whatever_time_it_says(age: float, dated: float, existing: KeysCli) -> None:
    lock = held_since(dated)
    existing.write(lock, ".lock", age=age)
    result = existing.run(*ADD, "--break-lock")
    assert (result.status, result.out) == (1, "")
    assert "5 minutes" in result.err
    assert existing.read(".lock") == lock


@pytest.mark.parametrize("age", [301, 86_400])
@pytest.mark.parametrize("lock", [400, -86_400, b"", b"{", b"[]", b'{"owner": 1, "at": "x"}'])
def test_break_lock_breaks_a_lock_that_did_not_change_for_five_minutes(
    lock: bytes | int, age: float, existing: KeysCli
) -> None:
    existing.write(lock if isinstance(lock, bytes) else held_since(lock), ".lock", age=age)
    assert existing.run(*ADD).status == 1
    assert existing.run(*ADD, "--break-lock").status == 0
    assert existing.document["api"][-1]["id"] == "ci"
    assert existing.stored() == ["keys.json"]


def test_the_lock_of_a_writer_that_broke_one_and_crashed_can_be_broken(existing: KeysCli) -> None:
    existing.write(held_since(400), ".lock", age=900)
    with patch("handler.commands.keys_lock._release"):
        assert existing.run(*ADD, "--break-lock").status == 0
    broken = [name.removeprefix("keys.json") for name in existing.stored()[1:]]
    assert len(broken) == 2
    assert existing.run("rotate-share", "--break-lock").status == 1
    existing.write(existing.read(broken[1]) or b"", broken[1], age=301)
    assert existing.run("rotate-share").status == 1
    assert existing.run("rotate-share", "--break-lock").status == 0
    assert existing.stored() == ["keys.json"]
    assert existing.run("revoke-api-key", "ci").status == 0


def test_a_lock_file_that_is_dated_in_the_future_is_broken_after_five_minutes_without_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SleepingClock()
    with keys_cli("file", tmp_path, capsys) as cli:
        cli.write(json.dumps(document()).encode())
        cli.write(held_since(0), ".lock", age=-86_400)
        assert cli.run(*ADD).status == 1
        result = cli.run(*ADD, "--break-lock", clock=clock.clock)
        assert result.status == 0
        assert "dated in the future" in result.err
        assert 300 <= clock.slept <= 305
        assert cli.stored() == ["keys.json"]

        cli.write(held_since(0), ".lock", age=-86_400)
        clock = SleepingClock(at={10: lambda: cli.write(held_since(3600), ".lock", age=-86_400)})
        assert cli.run("rotate-share", "--break-lock", clock=clock.clock).status == 0
        assert clock.slept >= 310


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("age", [400, -86_400])
def test_a_slow_writer_whose_lock_was_broken_writes_nothing(age: float, finished: bool, existing: KeysCli) -> None:
    def slow(document: Any, retired: str | None = None) -> Any:
        existing.write(existing.read(".lock") or b"", ".lock", age=age)
        clock = SleepingClock().clock
        if finished:
            assert existing.run(*ADD, "--break-lock", clock=clock).status == 0
        else:
            with patch("handler.commands.keys_lock._release"):
                assert existing.run(*ADD, "--break-lock", clock=clock).status == 0
        return rotate_share(document, retired)

    with patch("handler.commands.keys_edit.rotate_share", slow):
        assert existing.run("rotate-share").status == 1
    assert existing.document["api"][-1]["id"] == "ci"
    assert len(existing.document["share"]) == 2


def test_a_writer_that_held_the_lock_for_too_long_writes_nothing(existing: KeysCli) -> None:
    before = existing.read()

    def wait(document: Any, retired: str | None = None) -> Any:
        # By now another writer could break the lock before a change sent now has expired.
        existing.write(existing.read(".lock") or b"", ".lock", age=235)
        return rotate_share(document, retired)

    with patch("handler.commands.keys_edit.rotate_share", wait):
        result = existing.run("rotate-share")
    assert (result.status, result.out) == (1, "")
    assert "held for too long" in result.err
    assert existing.read() == before


def test_break_lock_without_a_lock_changes_nothing(existing: KeysCli) -> None:
    assert existing.run("--break-lock", *ADD).status == 0


def test_a_writer_whose_lock_was_broken_writes_nothing_and_keeps_the_other_writers_lock(existing: KeysCli) -> None:
    before, other = existing.read(), held_since(0)

    def break_lock(document: Any, retired: str | None = None) -> Any:
        existing.write(other, ".lock")
        return rotate_share(document, retired)

    with patch("handler.commands.keys_edit.rotate_share", break_lock):
        result = existing.run("rotate-share")
    assert (result.status, result.out) == (1, "")
    assert "nothing was written" in result.err
    assert (existing.read(), existing.read(".lock")) == (before, other)


def test_the_lock_names_its_owner_and_the_time(existing: KeysCli) -> None:
    locks = []

    def read_lock(document: Any, retired: str | None = None) -> Any:
        locks.append(json.loads(existing.read(".lock") or b""))
        return rotate_share(document, retired)

    with patch("handler.commands.keys_edit.rotate_share", read_lock):
        assert existing.run("rotate-share").status == 0
    assert f"process {os.getpid()}" in locks[0]["owner"]
    assert locks[0]["at"].endswith("Z")
