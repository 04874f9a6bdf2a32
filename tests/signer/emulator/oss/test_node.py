"""The official JavaScript SDK with the local OSS."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handler.client import KEYS
from tests.local_oss import BUCKET, REGION, LocalOss

NODE = Path(__file__).parents[3] / "node"
SECONDS = 120
Node = subprocess.Popen[str]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    executable = shutil.which("node")
    if executable is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "ali-oss").is_dir():
        pytest.skip("ali-oss is not installed: run npm ci --ignore-scripts in tests/node")
    with subprocess.Popen(
        [executable, "ali_oss.cjs"],
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(SECONDS, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        assert process.stdin is not None
        process.stdin.close()


def run_scenario(node: Node, cloud: LocalOss, scenario: str, *, bucket_in_path: bool) -> None:
    settings = {
        "region": f"oss-{REGION}",
        "endpoint": cloud.url,
        "bucket": BUCKET,
        "accessKeyId": KEYS.access_key_id,
        "accessKeySecret": KEYS.access_key_secret,
        "stsToken": KEYS.security_token,
        "authorizationV4": True,
        "secure": False,
        "sldEnable": bucket_in_path,
    }
    assert node.stdin is not None
    assert node.stdout is not None
    print(json.dumps({"scenario": scenario, "settings": settings}), file=node.stdin, flush=True)
    assert json.loads(node.stdout.readline()) == "ok"


@pytest.mark.parametrize(
    "scenario", ["objects", "streams", "lists", "parts", "versions", "links", "forgeries"]
)
@pytest.mark.parametrize("bucket_in_path", [False, True])
def test_ali_oss_works_with_the_bucket_in_the_host_and_in_the_path(
    node: Node, live_cloud: LocalOss, scenario: str, bucket_in_path: bool
) -> None:
    run_scenario(node, live_cloud, scenario, bucket_in_path=bucket_in_path)
