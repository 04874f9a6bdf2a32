"""What depends on the system: files in use, ports, names and lengths of paths. CI runs it on Windows, from the wheel.

It imports nothing of this project but what the fixtures bring, so that it runs outside the clone.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Any
from urllib.request import ProxyHandler, build_opener
from uuid import uuid4

import oss2
import pytest

BODY = b"0123456789abcdef" * (1 << 18)  # 4 MiB: more than the buffers of a connection


@pytest.fixture
def bucket(aliyun_oss: Any) -> oss2.Bucket:
    key = aliyun_oss.credentials
    auth = oss2.AuthV4(key.access_key_id, key.access_key_secret)
    return oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)


@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_an_object_that_changes_during_a_download_is_read_to_its_end(
    bucket: oss2.Bucket, change: str
) -> None:
    bucket.put_object("a.bin", BODY)
    url = bucket.sign_url("GET", "a.bin", 60)
    act = {
        "overwrite": lambda: bucket.put_object("a.bin", b"new"),
        "delete": lambda: bucket.delete_object("a.bin"),
    }[change]
    with build_opener(ProxyHandler({})).open(url, timeout=30) as download:
        start = download.read(16)
        # Windows alone keeps a file that is open; the client may try again.
        refused = pytest.raises(oss2.exceptions.ServerError, match="ServiceUnavailable")
        with refused if sys.platform == "win32" else nullcontext():
            act()
        assert start + download.read() == BODY
    act()
    if change == "overwrite":
        assert bucket.get_object("a.bin").read() == b"new"
    else:
        assert not bucket.object_exists("a.bin")


def test_a_second_server_on_a_port_is_refused(aliyun_oss: Any) -> None:
    emulator = import_module(type(aliyun_oss).__module__.rpartition(".")[0])
    port = int(aliyun_oss.url.rpartition(":")[2])
    with pytest.raises(emulator.EmulatorError) as error, emulator.run(port=port):
        pass
    assert error.value.code == "port_in_use"


@pytest.mark.parametrize(
    "key",
    [
        "a:b?c*d|e<f>.txt",
        "con.txt",
        "end./dots..",
        "A/a",
        "a" * 1023,
        "中" * 341,
        f"{uuid4().hex}/" * 30,
    ],
    ids=["signs", "device", "dots", "case", "1023 letters", "1023 bytes", "folders"],
)
def test_a_key_that_a_file_system_may_not_like(bucket: oss2.Bucket, key: str) -> None:
    bucket.put_object(key, b"one")
    other = key.swapcase()  # which is another key
    if other != key:
        bucket.put_object(other, b"two")
    assert bucket.get_object(key).read() == b"one"
    assert key in [each.key for each in oss2.ObjectIteratorV2(bucket)]
    bucket.delete_object(key)
    assert not bucket.object_exists(key)
