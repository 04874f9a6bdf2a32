"""The official JavaScript SDK with the local OSS."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.local.oss.cloud import BUCKET, KEYS, REGION, Cloud

NODE = Path(__file__).parents[2] / "node"


@pytest.fixture
def node() -> str:
    executable = shutil.which("node")
    if executable is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "ali-oss").is_dir():
        pytest.skip("ali-oss is not installed: run npm ci --ignore-scripts in tests/node")
    return executable


def run_scenario(node: str, cloud: Cloud, scenario: str, *, bucket_in_path: bool) -> None:
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
    process = subprocess.run(
        [node, "ali_oss.cjs", scenario],
        cwd=NODE,
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("scenario", ["objects", "streams", "lists", "parts", "versions", "links", "forgeries"])
@pytest.mark.parametrize("bucket_in_path", [False, True])
def test_ali_oss_works_with_the_bucket_in_the_host_and_in_the_path(
    node: str, live_cloud: Cloud, scenario: str, bucket_in_path: bool
) -> None:
    run_scenario(node, live_cloud, scenario, bucket_in_path=bucket_in_path)
