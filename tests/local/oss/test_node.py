"""The official JavaScript SDK at the laptop's OSS, as it is."""

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
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "ali-oss").is_dir():
        pytest.skip("ali-oss is not installed: run npm ci --ignore-scripts in tests/node")
    return found


def drive(node: str, cloud: Cloud, scenario: str, *, bucket_in_path: bool) -> None:
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
    done = subprocess.run(
        [node, "ali_oss.cjs", scenario],
        cwd=NODE,
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scenario", ["objects", "streams", "lists", "parts", "versions", "links", "forgeries"])
@pytest.mark.parametrize("bucket_in_path", [False, True])
def test_ali_oss_works_whichever_way_it_names_the_bucket(
    node: str, live_cloud: Cloud, scenario: str, bucket_in_path: bool
) -> None:
    drive(node, live_cloud, scenario, bucket_in_path=bucket_in_path)
