"""One link: ours, oss2 and alibabacloud-oss-v2, interleaved in one process.

They take turns, a round of all keys each, so that whatever else the machine does falls on all of them. What they need
when they take turns link by link is told beside it: then each finds the processor's caches as the others left them.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import os
import statistics
import time
from collections.abc import Callable

import alibabacloud_oss_v2 as oss_v2
import oss2

import signer

from .report import Requirement, tell

ROUNDS = 15
TURNS = 4
REGION, BUCKET = "cn-hangzhou", "examplebucket"
KEY_ID, SECRET = "STS.EXAMPLE", "an-example-of-a-secret-30-long"
# Every fourth key has a space, which must be encoded.
KEYS = [f"exampledir/2026/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf" for number in range(512)]


def main() -> int:
    """Prints microseconds, ratios of medians and the floor; 1 where a required ratio is missed."""
    token = base64.b64encode(os.urandom(450)).decode()
    signers = {"fc-presign": ours(token), "alibabacloud-oss-v2": v2(token), "oss2": v1(token), "floor": floor()}
    times: dict[str, list[float]] = {name: [] for name in signers}
    for name, sign in signers.items():
        measure(sign)
        if name != "floor":
            check(name, sign, token)
    for _ in range(ROUNDS):
        for name, sign in signers.items():
            times[name].append(measure(sign))
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"signing: {len(KEYS)} keys, a token of {len(token)} characters, one query parameter; median of {ROUNDS}")
    singly = in_turns(signers)
    for name, found in medians.items():
        print(
            f"  {name:<22} {found:>8.2f} µs  {found / medians['fc-presign']:>6.2f} of ours"
            f"      link by link {singly[name]:>8.2f} µs  {singly[name] / singly['fc-presign']:>6.2f} of ours"
        )
    print("  (floor: one SHA-256 and one HMAC of that size)")
    return tell(
        [
            Requirement(
                "alibabacloud-oss-v2 / ours", medians["alibabacloud-oss-v2"] / medians["fc-presign"], 9, 12, True
            ),
            Requirement("oss2 / ours", medians["oss2"] / medians["fc-presign"], 20, 30, True),
        ]
    )


def measure(sign: Callable[[str], object]) -> float:
    """Microseconds a key."""
    began = time.perf_counter()
    for key in KEYS:
        sign(key)
    return (time.perf_counter() - began) / len(KEYS) * 1e6


def in_turns(signers: dict[str, Callable[[str], object]]) -> dict[str, float]:
    """Microseconds of one link where each signer signs one in turn: the medians of all links."""
    times: dict[str, list[float]] = {name: [] for name in signers}
    for _ in range(TURNS):
        for key in KEYS:
            for name, sign in signers.items():
                began = time.perf_counter()
                sign(key)
                times[name].append((time.perf_counter() - began) * 1e6)
    return {name: statistics.median(found) for name, found in times.items()}


def check(name: str, sign: Callable[[str], object], token: str) -> None:
    """Raises `RuntimeError` unless what was signed is what was asked, and is signed well."""
    for key in KEYS[:4]:
        signed = sign(key)
        url = str(getattr(signed, "url", signed))
        found = signer.verify("GET", url, credentials=signer.Credentials(KEY_ID, SECRET, token))
        asked = f"GET\n/{BUCKET}/{signer.v4.encode_key(key)}\nversionId=CAEQ&x-oss-credential="
        if not found.ok or not found.canonical_request.startswith(asked):
            raise RuntimeError(f"{name} did not sign what was asked: {found!r}.")


def ours(token: str) -> Callable[[str], object]:
    """The signer of this project."""
    credentials = signer.Credentials(KEY_ID, SECRET, token)
    endpoint = signer.Endpoint.public(REGION)
    return lambda key: signer.presign(
        "GET", BUCKET, key, credentials=credentials, endpoint=endpoint, expires_in=600, query={"versionId": "CAEQ"}
    )


def v2(token: str) -> Callable[[str], object]:
    """The official SDK, version 2, with a client that is kept."""
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(KEY_ID, SECRET, token)
    config.region = REGION
    client = oss_v2.Client(config)
    life = datetime.timedelta(seconds=600)
    return lambda key: client.presign(oss_v2.GetObjectRequest(bucket=BUCKET, key=key, version_id="CAEQ"), expires=life)


def v1(token: str) -> Callable[[str], object]:
    """The official SDK, version 1, with V4 and a bucket that is kept."""
    provider = oss2.credentials.StaticCredentialsProvider(KEY_ID, SECRET, token)
    bucket = oss2.Bucket(oss2.ProviderAuthV4(provider), f"https://oss-{REGION}.aliyuncs.com", BUCKET, region=REGION)
    return lambda key: bucket.sign_url("GET", key, 600, params={"versionId": "CAEQ"}, slash_safe=True)


def floor() -> Callable[[str], object]:
    """What no signer can be faster than: the two hashes."""
    request, key = b"x" * 1100, b"k" * 32

    def hashes(_: str) -> str:
        digest = hashlib.sha256(request).hexdigest()
        return hmac.digest(key, f"OSS4-HMAC-SHA256\n20260301T064111Z\nscope\n{digest}".encode(), "sha256").hex()

    return hashes
