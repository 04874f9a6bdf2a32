"""The dry run: what a run would send, what RAM must allow it, and what it costs at most."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .cases import Case

EXAMPLE_ROLE = "acs:ram::1000000000000001:role/fcp-live"
# What is sent to make, protect and delete the bucket.
_OWN = {
    "PUT bucket": 1,
    "PUT bucket ?tagging": 2,
    "PUT bucket ?lifecycle": 2,
    "GET bucket ?bucketInfo": 1,
}
_OWN |= {"GET bucket ?uploads": 2, "GET bucket ?versions": 2, "DELETE bucket": 1}
_ACTIONS = """PutBucket DeleteBucket GetBucketInfo GetBucketLifecycle PutBucketLifecycle DeleteBucketLifecycle
GetBucketTagging PutBucketTagging DeleteBucketTagging GetBucketCors PutBucketCors DeleteBucketCors GetBucketVersioning
PutBucketVersioning PutBucketReferer GetBucketAcl PutBucketAcl GetBucketStat ListObjects ListObjectVersions
ListMultipartUploads AbortMultipartUpload GetObject PutObject DeleteObject GetObjectVersion DeleteObjectVersion
GetObjectAcl PutObjectAcl PutObjectTagging"""
_PRICES = """at 0.05 CNY for 10,000 requests and 1.5 CNY for a GB, more than we know of. Failed requests are free:
https://www.alibabacloud.com/help/en/oss/api-operation-calling-fees of 2026-03-25. Today's prices:
https://www.aliyun.com/price/product#/oss/detail"""


def policies(role: str, *, kms: bool = False) -> dict[str, Any]:
    """The RAM policies of "the run", and with a role that of "the role" and "its trust" in those who may assume it."""
    objects = "acs:oss:*:*:fcp-live-*/*"
    own = [
        {
            "Action": [f"oss:{name}" for name in _ACTIONS.split()],
            "Resource": ["acs:oss:*:*:fcp-live-*", objects],
        }
    ]
    own += [{"Action": ["sts:AssumeRole"], "Resource": [role]}] if role else []
    own += (
        [{"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["acs:kms:*:*:*"]}]
        if kms
        else []
    )
    statements: dict[str, list[dict[str, Any]]] = {"the run": own}
    if role:
        account = {"RAM": [f"acs:ram::{role.split(':')[3]}:root"]}
        statements["the role"] = [
            {"Action": ["oss:GetObject", "oss:PutObject"], "Resource": [objects]}
        ]
        statements["its trust"] = [{"Action": "sts:AssumeRole", "Principal": account}]
    allowed = {
        name: [{"Effect": "Allow", **each} for each in those] for name, those in statements.items()
    }
    return {name: {"Version": "1", "Statement": those} for name, those in allowed.items()}


def kinds(cases: Sequence[Case]) -> Counter[str]:
    """How many requests of each kind a run sends, at most."""
    counts = Counter(_OWN)
    for request in (case.request for case in cases):
        names = [
            f" ?{name}"
            for name, value in request.get("query", {}).items()
            if not value or name == "uploadId"
        ]
        level = "object" if request.get("key") else "bucket"
        if request.get("sign") == "form":
            level = "form"
        kind = (
            "STS AssumeRole"
            if request.get("to")
            else f"{request['method']} {level}{''.join(names[:1])}"
        )
        counts[kind] += request.get("race", 1)
        counts["DELETE object"] += request["method"] in ("PUT", "POST") or level == "form"
    return counts


def text(cases: Sequence[Case], region: str, role: str, *, kms: bool) -> str:
    counts = kinds(cases)
    lines = [
        f"Region {region}. The bucket fcp-live-<16 random> is made, private and tagged, and deleted at the end.",
        f"At most {counts.total()} requests:",
        *(f"{count:>6} {kind}" for kind, count in sorted(counts.items())),
        *(
            f"RAM policy of {name}:\n{json.dumps(each, indent=2)}"
            for name, each in policies(role, kms=kms).items()
        ),
        f"It costs less than {counts.total() * 0.05 / 10_000 + 2e6 * 1.5 / 2**30:.3f} CNY, {_PRICES}",
        f"{sum(case.is_open for case in cases)} cases are open questions. Nothing was sent: YES=1 runs it.",
    ]
    return "\n".join(lines)
