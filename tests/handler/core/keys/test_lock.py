"""The lock of a keys document: who holds it, who waits, what is said, and that no change of several writers is lost."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
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
from handler.core.cloud.oss import REFUSED, OssClient, OssResponse, OssUnavailable, StoreError
from handler.core.cloud.store import Store, store_at
from handler.core.context import Clock
from handler.core.keys import parse
from signer.times import rfc3339
from tests.handler.core.keys.command import ADD, KeysCli, SleepingClock, keys_cli
from tests.handler.keys_fixtures import document
from tests.local_oss import PLACE, LocalOss

OTHER = json.dumps(
    {"owner": "bob@laptop, process 7", "at": "2026-03-01T06:41:11Z", "nonce": "n"}
).encode()


@pytest.mark.parametrize("command", [("init",), ADD, ("rotate-share",)])
def test_while_another_writer_holds_the_lock_nothing_is_written(
    command: tuple[str, ...], existing: KeysCli
) -> None:
    before = existing.read()
    with existing.held(OTHER):
        result = existing.run(*command)
        assert (result.status, result.out, existing.read()) == (1, "", before)
    assert "is locked by bob@laptop, process 7 since 2026-03-01T06:41:11Z" in result.err
    assert "use --wait to wait for up to six minutes." in result.err
    assert result.err.count("\n") == 1
    assert existing.run("show").status == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"owner": 1}', b'{"owner": "\x1b[2J\n", "at": "\x9b"}']
)
def test_a_lock_that_does_not_say_whose_it_is_keeps_others_out_too(
    content: bytes, in_file: KeysCli
) -> None:
    with in_file.held(content):
        result = in_file.run(*ADD)
    assert result.status == 1
    assert "is locked by" in result.err
    assert all(line.isprintable() for line in result.err.splitlines())


def test_in_oss_the_message_says_until_when_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keys_cli("oss", tmp_path, capsys) as cli:
        assert cli.oss is not None
        cli.oss.put_keys(document())
        slot, seconds = divmod(time.time(), SLOT)
        cli.oss.clock.moved = 30 - seconds
        for number in (0, 1):
            cli.oss.put(cli.lock_place(int(slot) + number).key, OTHER)
            end = (int(slot) + number + 1) * SLOT
            assert (
                f", until {rfc3339(end)} at most unless that command goes on." in cli.run(*ADD).err
            )


def test_a_refusal_while_the_lock_is_held_is_said_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has no rights would otherwise run the command again and again."""
    with keys_cli("oss", tmp_path, capsys) as cli:
        assert cli.oss is not None
        cli.oss.put_keys(document())
        refused = StoreError("PutObject", 403, REFUSED, "AccessDenied")
        with patch.object(Store, "replace", side_effect=refused):
            result = cli.run(*ADD)
        assert result.status != 0
        assert "PutObject: 403 AccessDenied" in result.err
        assert "held for too long" not in result.err


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
        locks.extend(
            json.loads(existing.read(name.removeprefix("keys.json")) or b"")
            for name in existing.locks()
        )
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
    assert (lock.stat().st_ino, in_file.stored()) == (
        before.st_ino,
        ["keys.json", "keys.json.lock"],
    )
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
    assert (
        f"{in_file.path('.lock')} cannot be locked ({reason}). Keep the keys document on a local disk"
        in result.err
    )


def test_a_lock_that_is_a_symbolic_link_is_not_followed(in_file: KeysCli, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("content")
    in_file.path(".lock").symlink_to(precious)
    result = in_file.run("rotate-share")
    assert result.status == 1
    assert (
        "lock: Too many levels of symbolic links. Check the path and its permissions." in result.err
    )
    assert precious.read_text() == "content"


ROOT = Path(__file__).parents[4]


def run_concurrently(commands: list[list[str]]) -> list[tuple[int, str, str]]:
    """Runs the commands as concurrent processes: status, stdout and stderr of each."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "handler.commands", "keys", *command],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        return [
            (process.returncode, out, err)
            for process in started
            for out, err in [process.communicate(timeout=60)]
        ]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait(60)


def test_concurrent_writers_of_a_file_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document(api=[])))
    added = {f"key{number}" for number in range(3)}
    add = ["--keys", f"file:{path}", "add-api-key", "--path", "/reports/", "--method", "GET"]
    results = run_concurrently([[*add, name] for name in added])
    assert [status for status, _, _ in results] == [0] * 3, [err for _, _, err in results]
    assert len({out for _, out, _ in results}) == 3
    assert {key.id for key in parse(path.read_bytes()).api} == added
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


def test_only_one_of_two_concurrent_inits_succeeds(tmp_path: Path) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    results = run_concurrently([["--keys", place, "init"]] * 2)
    assert sorted(status for status, _, _ in results) == [0, 1]
    message = next(out for status, out, _ in results if status == 0)
    assert parse((tmp_path / "keys.json").read_bytes()).share[0].id in message


def test_when_a_writer_of_a_file_is_killed_another_one_goes_on_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document()))
    script = (
        "import sys, time; from handler.commands import keys; keys.Job.read = lambda job: print(flush=True) or "
        "time.sleep(60); keys.main(sys.argv[1:])"
    )
    revoke = ["--keys", f"file:{path}", "revoke-api-key", "reader"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *revoke], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert main(revoke, lock_timeout=0) == 1
        assert f"process {process.pid} since" in capsys.readouterr().err
        process.kill()
    assert main(revoke, lock_timeout=0) == 0
    assert [key.id for key in parse(path.read_bytes()).api] == ["sharer", "ended"]


# --- creating a lock whose answer is lost -----------------------------------------------------------------------------


def test_a_lock_that_was_never_written_is_not_held(oss: LocalOss) -> None:
    with (
        patch.object(OssClient, "claim", side_effect=OssUnavailable("No answer.")),
        pytest.raises(StoreError),
    ):
        store(oss).create(".lock.1", b"mine")


@pytest.mark.parametrize("status", [409, 503])
def test_a_lock_that_was_released_meanwhile_is_created_again(status: int, oss: LocalOss) -> None:
    claim, answers = OssClient.claim, [OssResponse(status, {}, b"", "FileAlreadyExists")]

    def refuse_once(client: OssClient, *arguments: Any, **options: Any) -> OssResponse:
        return answers.pop() if answers else claim(client, *arguments, **options)

    with patch.object(OssClient, "claim", refuse_once):
        assert store(oss).create(".lock.1", b"mine").body == b"mine"
    assert oss.client.get(PLACE._replace(key=f"{PLACE.key}.lock.1")).body == b"mine"


def store(oss: LocalOss) -> Store:
    return store_at(oss.client, PLACE, Clock())
