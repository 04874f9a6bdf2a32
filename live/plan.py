"""The dry run: what a run would send, what RAM must allow it, and what it costs at most."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .cases import Case

EXAMPLE_ROLE = "acs:ram::1000000000000001:role/fcp-live"
# What is sent to make, protect and delete the bucket.
_OWN = {"PUT bucket": 1, "PUT bucket ?tagging": 2, "PUT bucket ?lifecycle": 2, "GET bucket ?bucketInfo": 1}
_OWN |= {"GET bucket ?uploads": 2, "GET bucket ?versions": 2, "DELETE bucket": 1}

_SETTINGS = tuple(f"Bucket{name}" for name in ("", "Lifecycle", "Tagging", "Cors", "Versioning"))
_ACTIONS = {f"oss:{verb}{name}" for verb in ("Get", "Put", "Delete") for name in (*_SETTINGS, "Object")}
_ACTIONS -= {"oss:GetBucket", "oss:DeleteBucketVersioning"}  # which do not exist
_ACTIONS |= {f"oss:{name}ObjectVersion" for name in ("Get", "Delete")} | {"oss:GetBucketInfo", "oss:ListObjects"}
_ACTIONS |= {"oss:ListObjectVersions", "oss:ListMultipartUploads", "oss:AbortMultipartUpload"}

_PER_REQUEST, _PER_BYTE = 0.05 / 10_000, 1.5 / 2**30  # CNY
_PRICES = """at 0.05 CNY for 10,000 requests and 1.5 CNY for a GB, more than we know of. Failed requests are free:
https://www.alibabacloud.com/help/en/oss/api-operation-calling-fees of 2026-03-25. Today's prices:
https://www.aliyun.com/price/product#/oss/detail"""


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


def kinds(cases: Sequence[Case]) -> Counter[str]:
    """How many requests of each kind a run sends, at most."""
    counts = Counter(_OWN)
    for request in (case.request for case in cases):
        names = [f" ?{name}" for name, value in request.get("query", {}).items() if not value or name == "uploadId"]
        level = "form" if request.get("sign") == "form" else "object" if request.get("key") else "bucket"
        kind = "STS AssumeRole" if request.get("to") else f"{request['method']} {level}{''.join(names[:1])}"
        counts[kind] += request.get("race", 1)
        counts["DELETE object"] += request["method"] in ("PUT", "POST") or level == "form"
    return counts


def text(cases: Sequence[Case], region: str, role: str, *, kms: bool) -> str:
    """What `make live` prints."""
    counts, policies = kinds(cases), {"The RAM policy that the run needs": run_policy(role, kms=kms)}
    policies |= {"The policy of the role": role_policy(), "Its trust policy": trust_policy(role)} if role else {}
    lines = [
        f"Region {region}. The bucket fcp-live-<16 random> is made, private and tagged, and deleted at the end.",
        f"At most {counts.total()} requests:",
        *(f"{count:>6} {kind}" for kind, count in sorted(counts.items())),
        *(f"{title}:\n{json.dumps(document, indent=2)}" for title, document in policies.items()),
        f"It costs less than {counts.total() * _PER_REQUEST + 2e6 * _PER_BYTE:.3f} CNY, {_PRICES}",
        f"{sum(case.is_open for case in cases)} cases are open questions. Nothing was sent: YES=1 runs it.",
    ]
    return "\n".join(lines)
