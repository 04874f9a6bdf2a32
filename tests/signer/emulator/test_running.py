"""`emulator.run`: an OSS in a program's own process."""

from __future__ import annotations

import gc
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from signer import SignerError, emulator
from signer.emulator.client import send
from tests.signer.emulator.running import call, link

ROOT = Path(__file__).parents[3]


def test_it_runs_again_and_again_with_random_keys() -> None:
    secrets = set()
    for _ in range(2):
        with emulator.run() as oss:
            assert call(oss, "PUT", "a.txt", b"figures").status == 200
            assert call(oss, "GET", "a.txt").body == b"figures"
            secrets.add(oss.credentials.access_key_secret)
    assert len(secrets) == 2
    assert callable(emulator.run)


def test_it_has_a_bucket_a_region_and_what_programs_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "example.com")
    with emulator.run(region="cn-beijing") as oss:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", oss.url)
        assert (oss.region, oss.bucket) == ("cn-beijing", "examplebucket")
        assert oss.environment == {
            "OSS_ENDPOINT": oss.url,
            "OSS_REGION": "cn-beijing",
            "OSS_BUCKET": "examplebucket",
            "OSS_ACCESS_KEY_ID": oss.credentials.access_key_id,
            "OSS_ACCESS_KEY_SECRET": oss.credentials.access_key_secret,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,example.com"),
        }
        assert oss.credentials.access_key_secret not in repr(oss)


def test_the_buckets_that_it_is_asked_for_and_more() -> None:
    with emulator.run("reports", "archive") as oss:
        names = [
            oss.bucket,
            "archive",
            oss.new_bucket(),
            oss.new_bucket(),
            oss.create_bucket("x1z"),
        ]
        assert names[0] == "reports"
        assert len(set(names)) == 5
        for name in names:
            assert call(oss, "PUT", "a.txt", b"", bucket=name).status == 200
        assert call(oss, "PUT", "a.txt", b"", bucket="examplebucket").status == 404


def test_temporary_credentials_may_do_everything_too() -> None:
    with emulator.run() as oss:
        assert oss.temporary.security_token
        assert oss.temporary == oss.temporary
        url = link(oss, "PUT", "a.txt", credentials=oss.temporary)
        assert send("PUT", url).status == 200
        stranger = oss.temporary._replace(security_token="CAISother")
        assert send("PUT", link(oss, "PUT", "a.txt", credentials=stranger)).status == 403


def test_objects_stay_in_a_folder_that_is_named(tmp_path: Path) -> None:
    for root in (tmp_path / "data", str(tmp_path / "data")):
        with emulator.run(root=root) as oss:
            if root == tmp_path / "data":
                call(oss, "PUT", "a.txt", b"figures")
            assert call(oss, "GET", "a.txt").body == b"figures"


def test_a_key_of_ones_own() -> None:
    with emulator.run(access_key=("LTAI5tMYTESTKEY", "secretEXAMPLE")) as oss:
        assert oss.credentials == ("LTAI5tMYTESTKEY", "secretEXAMPLE", None, None)
        assert call(oss, "PUT", "a.txt", b"").status == 200


def test_the_keys_of_the_environment_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tTESTREAL")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretREAL")
    with emulator.run() as oss:
        assert oss.credentials.access_key_id != "LTAI5tTESTREAL"
        assert oss.credentials.access_key_secret != "secretREAL"


@pytest.mark.parametrize(
    ("arguments", "options", "code", "sentence"),
    [
        (["No_Bucket"], {}, "invalid_bucket", "Invalid bucket name 'No_Bucket': expected 3 to 63"),
        ([], {"region": "Hangzhou!"}, "invalid_region", "Invalid region 'Hangzhou!'"),
        (
            [],
            {"access_key": ("LTAI5tREAL", "s")},
            "invalid_access_key",
            "must contain TEST or LOCAL",
        ),
        ([], {"access_key": ("LTAI5tTEST", "a b")}, "invalid_access_key", "key secret: expected"),
        ([], {"access_key": ("TEST KEY", "s")}, "invalid_access_key", "only letters, digits"),
        ([], {"root": __file__}, "folder_unusable", "Name another folder with root="),
    ],
)
def test_what_cannot_run_is_a_signer_error_with_a_code(
    arguments: list[str], options: Mapping[str, Any], code: str, sentence: str
) -> None:
    with pytest.raises(SignerError, match=sentence) as raised, emulator.run(*arguments, **options):
        pass
    assert isinstance(raised.value, emulator.EmulatorError)
    assert raised.value.code == code
    assert not re.search("LTAI5tREAL|a b", str(raised.value))


def test_a_port_and_a_folder_are_of_one_server_alone(tmp_path: Path) -> None:
    with emulator.run(root=tmp_path) as oss:
        port = int(oss.url.rpartition(":")[2])
        for options, code, sentence in (
            ({"port": port}, "port_in_use", r"Port \d+ is not available .* with port= \(0"),
            ({"root": tmp_path}, "folder_in_use", "Another stack uses .* with root="),
        ):
            second = emulator.run(**options)
            with pytest.raises(emulator.EmulatorError, match=sentence) as raised, second:
                pass
            assert raised.value.code == code
    with emulator.run(root=tmp_path, port=port) as oss:
        assert oss.url.endswith(f":{port}")


def test_leaving_the_block_ends_threads_and_sockets() -> None:
    """Also of a connection that waits for a request, and of a request that waits."""
    before = {*threading.enumerate()}
    gc.collect()  # what earlier tests left open
    descriptors = len(os.listdir("/proc/self/fd"))
    with emulator.run() as oss:
        oss.delay("GetObject", seconds=30)
        waiting = HTTPConnection(oss.url.removeprefix("http://"), timeout=20)
        waiting.connect()
        under_way = HTTPConnection(oss.url.removeprefix("http://"), timeout=20)
        under_way.request("GET", link(oss, "GET", "a.txt").removeprefix(oss.url))
        end = time.monotonic() + 20
        while oss._watch._faults[0].left and time.monotonic() < end:
            pass
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert {*threading.enumerate()} <= before  # those of earlier tests may end meanwhile
    for connection in (waiting, under_way):
        assert connection.sock is not None
        connection.sock.settimeout(20)
        while connection.sock.recv(1 << 16):
            pass
        connection.close()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    with pytest.raises(ConnectionRefusedError), socket.socket() as other:
        other.connect(("127.0.0.1", int(oss.url.rpartition(":")[2])))


def test_without_the_extra_it_says_so() -> None:
    """With -S, Python does not see what is installed."""
    code = (
        "from signer import emulator\ntry:\n  with emulator.run(): pass\n"
        "except emulator.EmulatorError as error: print(error.code, error)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(
        r"extra_missing The OSS for tests requires \w+: install fc-presign\[oss\]\.\n", done.stdout
    ), done.stderr
