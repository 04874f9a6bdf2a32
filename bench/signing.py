"""One link: ours, alibabacloud-oss-v2, oss2 and ali-oss, in turns.

Each signs all keys before the next one does. What is measured is processor time, which other load on the machine
changes little. ali-oss runs in one process of node, which stays warm; it is left out where node or it is missing.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import alibabacloud_oss_v2 as oss_v2
import oss2

import signer

from .figures import Bound, Figure
from .process import BUCKET, REGION

ROUNDS = 15
KEY_ID = "STS.EXAMPLE"
SECRET = "an-example-of-a-secret-30-long"
# Every fourth key has a space, which must be encoded.
KEYS = [
    f"exampledir/2026/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf"
    for number in range(512)
]
BOUNDS: Mapping[str, Bound | None] = {
    "alibabacloud-oss-v2": Bound(0.11),
    "oss2": Bound(0.05),
    "ali-oss": None,
}
NODE_MODULES = Path(__file__).parents[1] / "tests" / "node" / "node_modules"

Sign = Callable[[str], object]


def measure() -> list[Figure]:
    token = base64.b64encode(os.urandom(450)).decode()
    signers = {"ours": ours(token), "alibabacloud-oss-v2": v2(token), "oss2": v1(token)}
    for name, sign in signers.items():
        check(name, [str(getattr(signed, "url", signed)) for signed in map(sign, KEYS[:4])], token)
    signers["a CDN's link"] = cdn()
    runs: dict[str, Callable[[], float]] = {
        name: partial(per_key, sign) for name, sign in signers.items()
    }
    with ExitStack() as stack:
        if missing := missing_node():
            print(f"signing: without ali-oss, because {missing}.", file=sys.stderr)
        else:
            runs["ali-oss"] = stack.enter_context(ali_oss(token))
        times = {name: [0.0] * ROUNDS for name in runs}
        for number in range(-1, ROUNDS):  # the first round warms up
            for name, run in runs.items():
                times[name][number] = run()
    return [
        Figure.against("a link", "µs", times["ours"], peer, times[peer], bound)
        for peer, bound in BOUNDS.items()
        if peer in times
    ] + [
        Figure.against(
            "a CDN's link", "µs", times["a CDN's link"], "a link", times["ours"], Bound(1.1)
        )
    ]


def per_key(sign: Sign) -> float:
    """Microseconds per key."""
    began = time.process_time()
    for key in KEYS:
        sign(key)
    return (time.process_time() - began) / len(KEYS) * 1e6


def check(name: str, urls: list[str], token: str) -> None:
    """Raises `RuntimeError` unless these links of the first keys are signed as expected."""
    for key, url in zip(KEYS, urls, strict=False):
        verification = signer.verify(
            "GET", url, credentials=signer.Credentials(KEY_ID, SECRET, token)
        )
        expected = f"GET\n/{BUCKET}/{signer.v4.encode_key(key)}\nversionId=CAEQ&x-oss-credential="
        if not verification.ok or not verification.canonical_request.startswith(expected):
            raise RuntimeError(f"{name} did not sign the expected request: {verification!r}.")


def ours(token: str) -> Sign:
    credentials = signer.Credentials(KEY_ID, SECRET, token)
    endpoint = signer.Endpoint.public(REGION)
    return lambda key: signer.presign(
        "GET",
        BUCKET,
        key,
        credentials=credentials,
        endpoint=endpoint,
        expires_in=600,
        query={"versionId": "CAEQ"},
    )


def cdn() -> Sign:
    key = signer.CdnKey("k" * 32)
    origin = "https://static.example.com"
    return lambda path: signer.presign_cdn(
        f"{origin}/{signer.v4.encode_key(path)}", key, expires_in=600
    )


def v2(token: str) -> Sign:
    """The official SDK, version 2, with a reused client."""
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(
        KEY_ID, SECRET, token
    )
    config.region = REGION
    client = oss_v2.Client(config)
    lifetime = datetime.timedelta(seconds=600)
    return lambda key: client.presign(
        oss_v2.GetObjectRequest(bucket=BUCKET, key=key, version_id="CAEQ"), expires=lifetime
    )


def v1(token: str) -> Sign:
    """The official SDK, version 1, with V4 and a reused bucket."""
    provider = oss2.credentials.StaticCredentialsProvider(KEY_ID, SECRET, token)
    bucket = oss2.Bucket(
        oss2.ProviderAuthV4(provider), f"https://oss-{REGION}.aliyuncs.com", BUCKET, region=REGION
    )
    return lambda key: bucket.sign_url(
        "GET", key, 600, params={"versionId": "CAEQ"}, slash_safe=True
    )


def missing_node() -> str:
    """Why ali-oss cannot run; "" if it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (NODE_MODULES / "ali-oss").is_dir():
        return "it is not installed: run npm ci --ignore-scripts in tests/node"
    return ""


@contextmanager
def ali_oss(token: str) -> Iterator[Callable[[], float]]:
    """The official SDK for Node.js: yields what measures microseconds per key."""
    settings = {
        "keys": KEYS,
        "region": f"oss-{REGION}",
        "bucket": BUCKET,
        "accessKeyId": KEY_ID,
        "accessKeySecret": SECRET,
        "stsToken": token,
        "authorizationV4": True,
        "secure": True,
    }
    program = Path(__file__).with_name("ali_oss.cjs")
    environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
    command = ["node", "--no-deprecation", str(program)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin = process.stdin
        stdout = process.stdout

        def ask(line: str) -> str:
            stdin.write(line + "\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer:
                raise RuntimeError("ali-oss ended: see the lines above.")
            return answer

        stdin.write(json.dumps(settings) + "\n")
        check("ali-oss", json.loads(ask("urls")), token)
        yield lambda: float(ask("sign"))
        stdin.close()
