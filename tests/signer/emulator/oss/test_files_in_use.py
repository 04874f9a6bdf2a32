"""Locks between threads and processes, and files that the system does not let go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signer.emulator.oss.storage import FileInUse, lock, replacing
from tests.local_oss import LocalOss


class FakeTime:
    """Sleeping takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def refuses(times: int, action: Callable[..., Any]) -> Callable[..., Any]:
    """As Windows does while the file is read."""
    left = [times]

    def act(*arguments: object, **options: object) -> object:
        if left[0]:
            left[0] -= 1
            raise PermissionError
        return action(*arguments, **options)

    return act


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()
    monkeypatch.setattr(replacing, "time", clock)
    return clock


def test_replacing_and_removing_are_tried_again(
    cloud: LocalOss, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put("a.txt", b"old")
    monkeypatch.setattr(os, "replace", refuses(3, os.replace))
    cloud.put("a.txt", b"new")
    assert cloud.get("a.txt").body == b"new"
    monkeypatch.setattr(Path, "unlink", refuses(3, Path.unlink))
    assert cloud.call("DELETE", "a.txt").status == 204
    assert cloud.get("a.txt").status == 404
    assert 0 < fake_time.now < 1


def test_after_a_second_the_answer_is_a_503_and_the_object_stays(
    cloud: LocalOss, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put("a.txt", b"old")
    monkeypatch.setattr(os, "replace", refuses(1000, os.replace))
    response = cloud.call("PUT", "a.txt", body=b"new")
    assert (response.status, response.code) == (503, "ServiceUnavailable")
    assert 1 <= fake_time.now < 1.1
    assert cloud.get("a.txt").body == b"old"
    assert cloud.keys() == ["a.txt"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuses(1000, Path.unlink))
        with pytest.raises(FileInUse):
            replacing.remove(cloud.root / "x")


def test_a_bucket_and_an_upload_are_removed_as_an_object_is(
    cloud: LocalOss, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may hold the lock of the one, or list the parts of the other."""
    upload = cloud.call("POST", "parts", {"uploads": ""}).text("UploadId")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuses(3, Path.unlink))
        assert cloud.call("DELETE", "parts", {"uploadId": upload}).status == 204
    with monkeypatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, refuses(1000, getattr(os, name)))
        assert cloud.call("DELETE").code == "ServiceUnavailable"
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, refuses(3, getattr(os, name)))
    assert cloud.call("DELETE").status == 204
    assert cloud.call("GET").code == "NoSuchBucket"


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    """Also by another process, and when that ends."""
    path = tmp_path / "lock"
    code = (
        "import sys; from signer.emulator.oss.storage import lock; file = open(sys.argv[1], 'ab'); "
        "lock(file); print('locked', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    with holder, path.open("ab") as file:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError):
            lock(file, wait=False)
        holder.kill()
        assert holder.wait(30)
        started = time.monotonic()
        lock(file)
        assert time.monotonic() - started < 5
        with path.open("ab") as other, pytest.raises(BlockingIOError):
            lock(other, wait=False)
    with path.open("ab") as other:
        lock(other, wait=False)
