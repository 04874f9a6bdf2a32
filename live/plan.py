"""The dry run: what a run would send, what RAM must allow it, and what it costs at most."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .cases import Case

SETUP: dict[str, int] = {
    "PUT bucket": 1,
    "PUT bucket ?tagging": 2,
    "PUT bucket ?lifecycle": 2,
    "GET bucket ?bucketInfo": 1,
}
CLEANUP = {"GET bucket ?uploads": 2, "GET bucket ?versions": 2, "DELETE bucket": 1}
EXAMPLE_ROLE = "acs:ram::1000000000000001:role/fcp-live"

_SETTINGS = tuple(f"Bucket{name}" for name in ("", "Lifecycle", "Tagging", "Cors", "Versioning"))
_ACTIONS = {f"oss:{verb}{name}" for verb in ("Get", "Put", "Delete") for name in (*_SETTINGS, "Object")}
_ACTIONS -= {"oss:GetBucket", "oss:DeleteBucketVersioning"}  # which do not exist
_ACTIONS |= {f"oss:{verb}ObjectVersion" for verb in ("Get", "Delete")} | {"oss:GetBucketInfo", "oss:ListObjects"}
_ACTIONS |= {"oss:ListObjectVersions", "oss:ListMultipartUploads", "oss:AbortMultipartUpload"}

# Above the prices of every region; failed requests are free. Pages: "Request fees" of OSS, and the price list.
_PER_REQUEST, _PER_BYTE = 0.05 / 10_000, 1.5 / 2**30  # CNY
_PAGES = """the page "Request fees" of 2026-03-25 (https://www.alibabacloud.com/help/en/oss/api-operation-calling-fees);
today's prices: https://www.aliyun.com/price/product#/oss/detail"""


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "1", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def run_policy(role: str, *, kms: bool) -> dict[str, Any]:
    """That of whoever runs it."""
    below = ["acs:oss:*:*:fcp-live-*", "acs:oss:*:*:fcp-live-*/*"]
    sessions = [{"Action": ["sts:AssumeRole"], "Resource": [role]}] if role else []
    keys = [{"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["acs:kms:*:*:*"]}] if kms else []
    return _policy({"Action": sorted(_ACTIONS), "Resource": below}, *sessions, *keys)


def role_policy() -> dict[str, Any]:
    """That of the role of `STS=1`."""
    return _policy({"Action": ["oss:GetObject", "oss:PutObject"], "Resource": ["acs:oss:*:*:fcp-live-*/*"]})


def trust_policy(role: str) -> dict[str, Any]:
    """Who may assume that role: those of its account whom RAM allows it."""
    return _policy({"Action": "sts:AssumeRole", "Principal": {"RAM": [f"acs:ram::{role.split(':')[3]}:root"]}})


def text(cases: Sequence[Case], region: str, role: str, *, kms: bool) -> str:
    """What `make live` prints."""
    kinds = Counter(SETUP | CLEANUP)
    for case in cases:
        kinds[case.kind] += case.request.get("race", 1)
    written = sum(len(case.request.get("body", "")) for case in cases)
    kinds["DELETE object"] += sum(case.request.get("method") in ("PUT", "POST") for case in cases)
    price = kinds.total() * _PER_REQUEST + 2_000_000 * _PER_BYTE
    policies = [("The RAM policy that the run needs", run_policy(role, kms=kms))]
    if role:
        policies += [("The policy of the role", role_policy()), ("Its trust policy", trust_policy(role))]
    lines = [
        f"Region {region}. Bucket fcp-live-<16 random>: made, private, tagged, and deleted at the end.",
        f"At most {kinds.total()} requests:",
        *(f"{count:>6} {kind}" for kind, count in sorted(kinds.items())),
        *(f"\n{title}:\n{json.dumps(document, indent=2)}" for title, document in policies),
        f"\nEstimated price: less than {price:.3f} CNY, by prices above those of every region and {_PAGES}.",
        f"{sum(case.is_open for case in cases)} cases are open questions. Nothing is sent yet: make live YES=1 runs it.",
    ]
    return "\n".join(lines)
