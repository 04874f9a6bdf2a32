"""One link: ours, oss2 and alibabacloud-oss-v2, in turns in one process.

Each signs all keys before the next one does, so that other load on the machine affects all of them. The result of
taking turns link by link is printed beside it: there, each finds the processor's caches as the others left them.
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

from .report import Requirement, report

ROUNDS = 15
TURNS = 4
REGION, BUCKET = "cn-hangzhou", "examplebucket"
KEY_ID, SECRET = "STS.EXAMPLE", "an-example-of-a-secret-30-long"
# Every fourth key has a space, which must be encoded.
KEYS = [f"exampledir/2026/{number:04}{' ' if number % 4 == 0 else '-'}report.pdf" for number in range(512)]


def main() -> int:
    """Prints microseconds, ratios of medians and the floor; returns 1 if a required ratio is missed."""
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
    medians = {name: statistics.median(microseconds) for name, microseconds in times.items()}
    print(f"signing: {len(KEYS)} keys, a token of {len(token)} characters, one query parameter; median of {ROUNDS}")
    singly = in_turns(signers)
    for name, median in medians.items():
        print(
            f"  {name:<22} {median:>8.2f} µs  {median / medians['fc-presign']:>6.2f} of ours"
            f"      link by link {singly[name]:>8.2f} µs  {singly[name] / singly['fc-presign']:>6.2f} of ours"
        )
    print("  (floor: one SHA-256 and one HMAC of that size)")
    return report(
        [
            Requirement(
                "alibabacloud-oss-v2 / ours", medians["alibabacloud-oss-v2"] / medians["fc-presign"], 9, 12, True
            ),
            Requirement("oss2 / ours", medians["oss2"] / medians["fc-presign"], 20, 30, True),
        ]
    )


def measure(sign: Callable[[str], object]) -> float:
    """Microseconds per key."""
    began = time.perf_counter()
    for key in KEYS:
        sign(key)
    return (time.perf_counter() - began) / len(KEYS) * 1e6


def in_turns(signers: dict[str, Callable[[str], object]]) -> dict[str, float]:
    """Microseconds per link if the signers take turns link by link: the medians of all links."""
    times: dict[str, list[float]] = {name: [] for name in signers}
    for _ in range(TURNS):
        for key in KEYS:
            for name, sign in signers.items():
                began = time.perf_counter()
                sign(key)
                times[name].append((time.perf_counter() - began) * 1e6)
    return {name: statistics.median(microseconds) for name, microseconds in times.items()}


def check(name: str, sign: Callable[[str], object], token: str) -> None:
    """Raises `RuntimeError` unless the signer signs the right request correctly."""
    for key in KEYS[:4]:
        signed = sign(key)
        url = str(getattr(signed, "url", signed))
        verification = signer.verify("GET", url, credentials=signer.Credentials(KEY_ID, SECRET, token))
        expected = f"GET\n/{BUCKET}/{signer.v4.encode_key(key)}\nversionId=CAEQ&x-oss-credential="
        if not verification.ok or not verification.canonical_request.startswith(expected):
            raise RuntimeError(f"{name} did not sign the expected request: {verification!r}.")


def ours(token: str) -> Callable[[str], object]:
    credentials = signer.Credentials(KEY_ID, SECRET, token)
    endpoint = signer.Endpoint.public(REGION)
    return lambda key: signer.presign(
        "GET", BUCKET, key, credentials=credentials, endpoint=endpoint, expires_in=600, query={"versionId": "CAEQ"}
    )


def v2(token: str) -> Callable[[str], object]:
    """The official SDK, version 2, with a reused client."""
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(KEY_ID, SECRET, token)
    config.region = REGION
    client = oss_v2.Client(config)
    lifetime = datetime.timedelta(seconds=600)
    return lambda key: client.presign(
        oss_v2.GetObjectRequest(bucket=BUCKET, key=key, version_id="CAEQ"), expires=lifetime
    )


def v1(token: str) -> Callable[[str], object]:
    """The official SDK, version 1, with V4 and a reused bucket."""
    provider = oss2.credentials.StaticCredentialsProvider(KEY_ID, SECRET, token)
    bucket = oss2.Bucket(oss2.ProviderAuthV4(provider), f"https://oss-{REGION}.aliyuncs.com", BUCKET, region=REGION)
    return lambda key: bucket.sign_url("GET", key, 600, params={"versionId": "CAEQ"}, slash_safe=True)


def floor() -> Callable[[str], object]:
    """The two hashes alone: no signer can be faster."""
    request, key = b"x" * 1100, b"k" * 32

    def hashes(_: str) -> str:
        digest = hashlib.sha256(request).hexdigest()
        return hmac.digest(key, f"OSS4-HMAC-SHA256\n20260301T064111Z\nscope\n{digest}".encode(), "sha256").hex()

    return hashes
