"""Plain files in the folder of a bucket become objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from local.stack import Stack
from signer.emulator import client
from signer.emulator.plain_files import PlainFiles

ROOT = Path(__file__).parents[2]


def write(path: Path, content: bytes, age: float = 0) -> None:
    """Writes a file that was changed `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    modified = path.stat().st_mtime - age
    os.utime(path, (modified, modified))


def test_files_that_were_there_before_the_first_start_are_objects(
    tmp_path: Path, log: IO[bytes]
) -> None:
    write(tmp_path / "examplebucket/exampledir/季度 q3.txt", b"figures")
    write(tmp_path / "examplebucket/objects/empty", b"")  # a name that also the local OSS uses
    with Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack:
        said = list(PlainFiles(stack).take_in())
        assert len(said) == 2
        assert said[1].endswith(
            "examplebucket/objects/empty was taken in as oss://examplebucket/objects/empty."
        )
        response = client.request(stack, "GET", stack.bucket, "exampledir/季度 q3.txt")
        assert (response.body, response.headers["content-type"]) == (b"figures", "text/plain")
        assert client.request(stack, "GET", stack.bucket, "objects/empty").body == b""
    assert (tmp_path / "examplebucket/objects/empty").is_file()


def test_hidden_files_pipes_and_the_own_files_of_the_local_oss_are_left_out(
    tmp_path: Path, log: IO[bytes]
) -> None:
    write(tmp_path / "examplebucket/.DS_Store", b"x")
    write(tmp_path / "examplebucket/.git/config", b"x")
    os.mkfifo(tmp_path / "examplebucket/pipe")
    # With a writer an open would not wait for ever, and there would be a sentence or an upload.
    writer = os.open(tmp_path / "examplebucket/pipe", os.O_RDWR | os.O_NONBLOCK)
    with (
        os.fdopen(writer, "wb"),
        Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack,
    ):
        assert client.request(stack, "PUT", stack.bucket, "stored", b"x").status == 200
        assert list(PlainFiles(stack).take_in()) == []
        write(tmp_path / "examplebucket/exampledir/objects/a", b"x")
        assert len(list(PlainFiles(stack).take_in())) == 1


def test_an_object_that_is_newer_than_its_file_stays(tmp_path: Path, log: IO[bytes]) -> None:
    write(tmp_path / "examplebucket/a", b"old file", age=60)
    with Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack:
        list(PlainFiles(stack).take_in())
        assert client.request(stack, "PUT", stack.bucket, "a", b"new object").status == 200
    with Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack:
        assert list(PlainFiles(stack).take_in()) == []
        assert client.request(stack, "GET", stack.bucket, "a").body == b"new object"


def test_a_file_is_taken_in_once_it_is_written_and_again_when_it_changes(
    tmp_path: Path, log: IO[bytes]
) -> None:
    with Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack:
        files = PlainFiles(stack)
        write(tmp_path / "examplebucket/a", b"first", age=60)
        assert list(files.take_in(min_age=1000)) == []
        assert len(list(files.take_in())) == 1
        assert list(files.take_in()) == []
        write(tmp_path / "examplebucket/a", b"second", age=-60)
        assert len(list(files.take_in())) == 1
        assert client.request(stack, "GET", stack.bucket, "a").body == b"second"


def test_a_file_that_cannot_be_an_object_is_named_once(tmp_path: Path, log: IO[bytes]) -> None:
    write(tmp_path / "examplebucket/a\x01", b"x")
    (tmp_path / "examplebucket/b").symlink_to(tmp_path / "nothing")
    (tmp_path / "examplebucket/c").symlink_to(tmp_path)
    name = os.fsdecode(b"\xff")
    try:
        write(tmp_path / "examplebucket" / name, b"x")
    except OSError:
        pytest.skip("This file system has only names in UTF-8.")
    with Stack.start(ROOT / "s.yaml", root=tmp_path, log=log, warm=False) as stack:
        files = PlainFiles(stack)
        said = list(files.take_in())
        assert [sentence.count("was not taken in") for sentence in said] == [1, 1]
        assert said[0].endswith("Copy the object to another key.")
        said[1].encode()
        assert list(files.take_in()) == []
