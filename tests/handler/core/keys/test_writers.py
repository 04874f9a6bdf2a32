"""Several writers at the same time, each a process of its own: no change is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands.keys import main
from handler.core.cloud.oss import OssClient, OssResponse, OssUnavailable, StoreError
from handler.core.cloud.store import Store, store_at
from handler.core.context import Clock
from handler.core.keys import parse
from tests.handler.keys_fixtures import document
from tests.local_oss import PLACE, LocalOss

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
        return [(process.returncode, out, err) for process in started for out, err in [process.communicate(timeout=60)]]
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
        "import sys, time; from handler.commands import keys; keys._read = lambda store: print(flush=True) or "
        "time.sleep(60); keys.main(sys.argv[1:])"
    )
    revoke = ["--keys", f"file:{path}", "revoke-api-key", "reader"]
    with subprocess.Popen([sys.executable, "-c", script, *revoke], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert main(revoke, lock_timeout=0) == 1
        assert f"process {process.pid} since" in capsys.readouterr().err
        process.kill()
    assert main(revoke, lock_timeout=0) == 0
    assert [key.id for key in parse(path.read_bytes()).api] == ["sharer", "ended"]


# --- creating a lock whose answer is lost -----------------------------------------------------------------------------


def test_a_lock_that_was_never_written_is_not_held(oss: LocalOss) -> None:
    with patch.object(OssClient, "claim", side_effect=OssUnavailable("No answer.")), pytest.raises(StoreError):
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
