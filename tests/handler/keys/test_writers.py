"""Several writers at the same time, each a process of its own: no change is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.cloud.oss import OssClient, OssResponse, OssUnavailable
from handler.config import Location
from handler.keys import parse
from handler.keys.file_store import KeysStoreError, OssKeysStore
from tests.handler.client import KEYS
from tests.handler.keys_fixtures import PLACE, LocalOss, document, local_oss

ROOT = Path(__file__).parents[3]
WRITERS = 5


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started:
        yield started


def run_concurrently(commands: list[list[str]], environment: Mapping[str, str]) -> list[tuple[int, str, str]]:
    """Runs the commands as concurrent processes: status, stdout and stderr of each."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "handler.keys", *command],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", ""), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        return [(process.wait(), out, err) for process in started for out, err in [process.communicate(timeout=60)]]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()


def additions(place: str) -> list[list[str]]:
    return [
        ["--keys", place, "add-api-key", f"key{number}", "--path", "/reports/", "--method", "GET"]
        for number in range(WRITERS)
    ]


def check(results: list[tuple[int, str, str]], content: bytes) -> None:
    assert [status for status, _, _ in results] == [0] * WRITERS, [err for _, _, err in results]
    keys = parse(content)
    assert {key.id for key in keys.api} == {f"key{number}" for number in range(WRITERS)}
    assert len({out for _, out, _ in results}) == WRITERS


def test_concurrent_writers_of_a_file_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document(api=[])))
    check(run_concurrently(additions(f"file:{path}"), {}), path.read_bytes())
    assert list(tmp_path.iterdir()) == [path]


def test_concurrent_writers_of_an_object_lose_no_change(oss: LocalOss) -> None:
    oss.put(document(api=[]))
    environment = {
        "LINK_REGION": "cn-hangzhou",
        "LINK_OSS_ENDPOINT": oss.url,
        "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
        "OSS_SESSION_TOKEN": KEYS.security_token or "",
    }
    check(run_concurrently(additions(str(PLACE)), environment), oss.store.get(PLACE).body)
    assert oss.store.get(PLACE._replace(key=PLACE.key + ".lock")).status == 404


def test_only_one_of_two_concurrent_inits_succeeds(tmp_path: Path) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    results = run_concurrently([["--keys", place, "init"]] * 2, {})
    assert sorted(status for status, _, _ in results) == [0, 1]
    message = next(out for status, out, _ in results if status == 0)
    assert parse((tmp_path / "keys.json").read_bytes()).share[0].id in message


# --- a lock whose response is lost -----------------------------------------------------------------------------------

LOCK = Location("examplebucket", ".links/keys.json.lock")


def test_if_the_response_was_lost_the_content_of_the_lock_decides(oss: LocalOss) -> None:
    put = OssClient.put

    def put_and_lose_response(
        store: OssClient, place: Location, body: bytes, *, content_type: str, forbid_overwrite: bool = False
    ) -> OssResponse:
        put(store, place, body, content_type=content_type, forbid_overwrite=forbid_overwrite)
        raise OssUnavailable("No answer.")

    with patch.object(OssClient, "put", put_and_lose_response):
        assert OssKeysStore(LOCK, oss.store).create(b"mine")
        assert not OssKeysStore(LOCK, oss.store).create(b"another's")


@pytest.mark.parametrize("status", [409, 500, 503])
def test_after_an_ambiguous_response_the_content_of_the_lock_decides(status: int, oss: LocalOss) -> None:
    oss.put(b"mine", LOCK)
    with patch.object(OssClient, "put", return_value=OssResponse(status, {}, b"", "")):
        assert OssKeysStore(LOCK, oss.store).create(b"mine")
        assert not OssKeysStore(LOCK, oss.store).create(b"another's")


def test_a_lock_that_was_never_written_is_not_held(oss: LocalOss) -> None:
    with (
        patch.object(OssClient, "put", side_effect=OssUnavailable("No answer.")),
        pytest.raises(KeysStoreError),
    ):
        OssKeysStore(LOCK, oss.store).create(b"mine")


def test_a_lock_that_was_released_meanwhile_can_be_acquired(oss: LocalOss) -> None:
    with patch.object(OssClient, "put", return_value=OssResponse(409, {}, b"", "FileAlreadyExists")):
        assert not OssKeysStore(LOCK, oss.store).create(b"mine")
    assert OssKeysStore(LOCK, oss.store).create(b"mine")
