"""The lock of a keys document: who holds it, who waits, and what is said."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands.keys import main
from handler.commands.keys_edit import rotate_share
from handler.commands.keys_lock import SLOT
from signer.times import rfc3339
from tests.handler.core.keys.command import ADD, KeysCli, SleepingClock, keys_cli
from tests.handler.keys_fixtures import document

OTHER = json.dumps({"owner": "bob@laptop, process 7", "at": "2026-03-01T06:41:11Z", "nonce": "n"}).encode()


@pytest.mark.parametrize("command", [("init",), ADD, ("rotate-share",)])
def test_while_another_writer_holds_the_lock_nothing_is_written(command: tuple[str, ...], existing: KeysCli) -> None:
    before = existing.read()
    with existing.held(OTHER):
        result = existing.run(*command)
        assert (result.status, result.out, existing.read()) == (1, "", before)
    assert "is locked by bob@laptop, process 7 since 2026-03-01T06:41:11Z" in result.err
    assert "use --wait to wait for up to six minutes." in result.err
    assert result.err.count("\n") == 1
    assert existing.run("show").status == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"owner": 1}', b'{"owner": "\x1b[2J\n", "at": "\x9b"}'])
def test_a_lock_that_does_not_say_whose_it_is_keeps_others_out_too(content: bytes, in_file: KeysCli) -> None:
    with in_file.held(content):
        result = in_file.run(*ADD)
    assert result.status == 1
    assert "is locked by" in result.err
    assert all(line.isprintable() for line in result.err.splitlines())


def test_in_oss_the_message_says_until_when_at_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with keys_cli("oss", tmp_path, capsys) as cli:
        assert cli.oss is not None
        cli.oss.put_keys(document())
        slot, seconds = divmod(time.time(), SLOT)
        cli.oss.clock.moved = 30 - seconds
        for number in (0, 1):
            cli.oss.put(cli.lock_place(int(slot) + number).key, OTHER)
            end = (int(slot) + number + 1) * SLOT
            assert f", until {rfc3339(end)} at most unless that command goes on." in cli.run(*ADD).err


@pytest.mark.parametrize(("options", "seconds"), [((), 15), (("--wait",), 360)])
def test_a_command_waits_for_another_writer(
    options: tuple[str, ...], seconds: int, existing: KeysCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.commands.keys_lock.POLL", 5.0)
    clock = SleepingClock()
    with existing.held(OTHER):
        assert main(["--keys", existing.place, *ADD, *options], clock=clock.clock) == 1
    assert clock.slept == seconds

    with ExitStack() as other:
        other.enter_context(existing.held(OTHER))
        clock = SleepingClock(at={seconds - 5: other.close})
        assert main(["--keys", existing.place, *ADD, *options], clock=clock.clock) == 0
    assert existing.document["api"][-1]["id"] == "ci"
    assert clock.slept == seconds - 5
    # Read here, so that the output of the tests has no key.
    assert "fcp_" in existing.capsys.readouterr().out


def test_the_lock_names_its_owner_and_the_time(existing: KeysCli) -> None:
    locks: list[Any] = []

    def read_lock(document: Any, retired: str | None = None) -> Any:
        locks.extend(json.loads(existing.read(name.removeprefix("keys.json")) or b"") for name in existing.locks())
        return rotate_share(document, retired)

    with patch("handler.commands.keys_edit.rotate_share", read_lock):
        assert existing.run("rotate-share").status == 0
    assert f"process {os.getpid()}" in locks[0]["owner"]
    assert locks[0]["at"].endswith("Z")
    assert existing.locks() == []


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_file_of_the_lock_stays_and_only_its_owner_can_read_it_and_alone_it_keeps_nobody_out(
    in_file: KeysCli,
) -> None:
    assert in_file.run("rotate-share").status == 0
    lock = in_file.path(".lock")
    before = lock.stat()
    assert stat.S_IMODE(before.st_mode) == 0o600
    lock.write_bytes(OTHER * 100)
    assert in_file.run("rotate-share").status == 0
    assert (lock.stat().st_ino, in_file.stored()) == (before.st_ino, ["keys.json", "keys.json.lock"])
    assert json.loads(in_file.read(".lock") or b"")["owner"].endswith(f"process {os.getpid()}")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, None])
def test_a_disk_or_a_system_without_locks_is_reported_and_nothing_is_written(
    code: int | None, in_file: KeysCli
) -> None:
    before, reason = in_file.read(), os.strerror(code) if code else "this system has no flock"
    broken: Any = patch("fcntl.flock", side_effect=OSError(code, reason)) if code else None
    with broken or patch.dict(sys.modules, {"fcntl": None}):
        result = in_file.run("rotate-share")
        assert in_file.run("show").status == 0
    assert (result.status, result.out, in_file.read()) == (1, "", before)
    assert f"{in_file.path('.lock')} cannot be locked ({reason}). Keep the keys document on a local disk" in result.err


def test_a_lock_that_is_a_symbolic_link_is_not_followed(in_file: KeysCli, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("content")
    in_file.path(".lock").symlink_to(precious)
    result = in_file.run("rotate-share")
    assert result.status == 1
    assert "lock: Too many levels of symbolic links. Check the path and its permissions." in result.err
    assert precious.read_text() == "content"
