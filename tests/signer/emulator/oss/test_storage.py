"""What is stored when a client or the process breaks off, and when another process shares the root."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from signer.emulator.oss.storage import AlreadyExists, Bucket, BucketExists, Buckets, ObjectRecord
from tests.local_oss import BUCKET, LocalOss

REPOSITORY = Path(__file__).parents[4]
WRITER = """
import sys
from pathlib import Path
from signer.emulator.oss.storage import AlreadyExists, Buckets, ObjectRecord
bucket = Buckets(Path(sys.argv[1])).get("examplebucket")
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    with bucket.draft() as draft:
        draft.write([sys.argv[2].encode()])
        try:
            bucket.publish(draft, ObjectRecord(f"key {number}", draft.size, "", 0, 0.0), forbid_overwrite=True)
            print(number)
        except AlreadyExists:
            pass
"""


def start_put(cloud: LocalOss, body: bytes, length: int, *, chunked: bool = False) -> socket.socket:
    """Sends a PUT with an incomplete body, and leaves the connection open."""
    host, _, port = cloud.host.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    connection.sendall(
        f"PUT {cloud.link('PUT', 'object')} HTTP/1.1\r\nHost: {cloud.host}\r\n{framing}\r\n\r\n".encode()
    )
    connection.sendall(f"{length:x}\r\n".encode() + body if chunked else body)
    return connection


def drafts(cloud: LocalOss) -> list[Path]:
    return list((cloud.root / BUCKET / ".oss" / "drafts").iterdir())


@pytest.mark.parametrize(
    ("length", "chunked", "rest"),
    [(2000, False, b""), (2000, True, b""), (1000, True, b"\r\n")],
    ids=str,
)
def test_a_body_that_ends_early_or_without_its_last_chunk_stores_nothing(
    cloud: LocalOss, length: int, chunked: bool, rest: bytes
) -> None:
    cloud.put("object", b"before")
    with start_put(cloud, b"x" * 1000 + rest, length, chunked=chunked) as connection:
        connection.shutdown(socket.SHUT_WR)
        response = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert response.startswith(b"HTTP/1.1 400")
    assert b"<Code>IncompleteBody</Code>" in response
    assert cloud.get("object").body == b"before"
    assert drafts(cloud) == []


def test_an_unfinished_put_changes_nothing_that_the_next_process_finds(
    start: Callable[..., LocalOss],
) -> None:
    cloud = start()
    cloud.put("object", b"before")
    with start_put(cloud, b"x" * (3 << 20), 6 << 20):
        while not any(path.stat().st_size for path in drafts(cloud)):
            pass
        again = start()
        assert again.get("object").body == b"before"
        assert again.call("GET").texts("Key") == ["object"]
        again.put("object", b"after")
    assert cloud.get("object").body == b"after"


def test_a_restart_finds_objects_versions_uploads_and_rules(start: Callable[..., LocalOss]) -> None:
    before = start()
    before.put("object", b"null version", {"x-oss-meta-owner": "someone"})
    before.set_versioning()
    version = before.put("object", b"second").headers["x-oss-version-id"]
    upload = before.call("POST", "large", {"uploads": ""}).text("UploadId")
    before.call("PUT", "large", {"uploadId": upload, "partNumber": "1"}, body=b"part")
    rule = (
        b"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    )
    before.call(
        "PUT", query={"cors": ""}, body=b"<CORSConfiguration>" + rule + b"</CORSConfiguration>"
    )

    after = start()
    assert after.get("object", versionId=version).body == b"second"
    assert after.get("object", versionId="null").headers["x-oss-meta-owner"] == "someone"
    assert after.call("GET", query={"versioning": ""}).text("Status") == "Enabled"
    assert after.call("GET", query={"cors": ""}).text("AllowedOrigin") == "*"
    assert (
        after.call("POST", "large", {"uploadId": upload}, {"x-oss-complete-all": "yes"}).status
        == 200
    )
    assert after.get("large").body == b"part"


def test_only_one_of_two_processes_writes_each_key(tmp_path: Path) -> None:
    bucket = Buckets(tmp_path).create("examplebucket", 0)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        won = [
            [int(line) for line in process.communicate(timeout=30)[0].split()]
            for process in processes
        ]
    finally:
        for process in processes:
            process.kill()
            process.wait(60)
    assert sorted(won[0] + won[1]) == list(range(100))
    for name, numbers in zip((b"one", b"two"), won, strict=True):
        for number in numbers:
            opened = bucket.open(f"key {number}")
            assert opened is not None
            assert b"".join(opened.blocks()) == name


def put(
    bucket: Bucket, key: str, content: bytes, *, forbid_overwrite: bool = False
) -> ObjectRecord:
    with bucket.draft() as draft:
        draft.write([content])
        return bucket.publish(
            draft, ObjectRecord(key, draft.size, "", 0, 0.0), forbid_overwrite=forbid_overwrite
        )


def test_an_opened_object_can_be_read_while_others_write_and_delete(tmp_path: Path) -> None:
    bucket = Buckets(tmp_path).create("examplebucket", 0)
    put(bucket, "key", b"before" * 1000)
    opened = bucket.open("key")
    assert opened is not None
    put(bucket, "key", b"after")
    bucket.delete("key", 0.0)
    assert b"".join(opened.blocks()) == b"before" * 1000


def test_a_draft_that_is_not_published_is_removed(tmp_path: Path) -> None:
    bucket = Buckets(tmp_path).create("examplebucket", 0)
    put(bucket, "key", b"before")
    with bucket.draft() as draft:
        draft.write([b"never"])
    with pytest.raises(AlreadyExists):
        put(bucket, "key", b"second", forbid_overwrite=True)
    assert list((tmp_path / "examplebucket" / ".oss" / "drafts").iterdir()) == []


def test_drafts_of_a_killed_process_are_removed_after_a_day(tmp_path: Path) -> None:
    Buckets(tmp_path).create("examplebucket", 0)
    folder = tmp_path / "examplebucket" / ".oss" / "drafts"
    old = "0" * 32
    young = "1" * 32
    foreign = "notes.txt"
    for name in (old, young, foreign):
        (folder / name).write_bytes(b"")
    for name in (old, foreign):
        os.utime(folder / name, (0, 0))
    Buckets(tmp_path)
    assert {path.name for path in folder.iterdir()} == {young, foreign}


NAMES_OF_PEOPLE = (
    "drafts/a.txt",
    "objects/a.txt",
    "uploads/a.txt",
    "versions/a.txt",
    "bucket.json",
    "lock",
)


def test_the_files_of_people_may_have_any_visible_name_and_stay(tmp_path: Path) -> None:
    paths = [tmp_path / "examplebucket" / name for name in NAMES_OF_PEOPLE]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
        os.utime(path, (0, 0))
    os.utime(tmp_path / "examplebucket" / "drafts", (0, 0))
    bucket = Buckets(tmp_path).create("examplebucket", 0)
    put(bucket, "key", b"stored")
    assert [found.name for found in Buckets(tmp_path).all()] == ["examplebucket"]
    bucket.delete("key", 0.0)
    Buckets(tmp_path).delete(bucket)
    assert [path.read_bytes() for path in paths] == [b"mine"] * 6
    assert not bucket.own.exists()


def test_a_deleted_bucket_without_the_files_of_people_leaves_no_folder(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path)
    buckets.delete(buckets.create("examplebucket", 0))
    assert list(tmp_path.iterdir()) == []
    buckets.create("examplebucket", 0)
    with pytest.raises(BucketExists):
        buckets.create("examplebucket", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["examplebucket"]


def test_a_foreign_file_in_the_root_is_not_taken_for_an_object(tmp_path: Path) -> None:
    bucket = Buckets(tmp_path).create("examplebucket", 0)
    (tmp_path / "examplebucket" / ".oss" / "objects" / "foreign=").write_bytes(
        b"not written by this program"
    )
    with pytest.raises(ValueError, match="Invalid object file"):
        bucket.open("foreign")
