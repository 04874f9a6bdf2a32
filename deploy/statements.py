"""RAM statements, each for one thing that links.toml or s.yaml asks for.

Source: the RAM pages on policy structure, and the OSS and Function Compute pages on their actions and resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from handler.config import Location, Mount, Policy

from .errors import DeployError

Statement = dict[str, Any]
Document = dict[str, Any]

# Of a custom policy, in characters.
MAX_POLICY = 6144
# What claims of notices and limited shares are kept for at least, in days.
STATE_DAYS = 31
UPLOAD_DAYS = 7

_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "GET": ("oss:GetObject",),
    "HEAD": ("oss:GetObject",),
    # A large file goes up in parts, and its sender may abort that.
    "PUT": ("oss:PutObject", "oss:AbortMultipartUpload"),
    "POST": ("oss:PutObject",),
}


def document(statements: Sequence[Statement]) -> Document:
    """A policy. Raises `DeployError` where RAM would not take it."""
    found: Document = {"Version": "1", "Statement": list(statements)}
    size = len(compact(found))
    if size > MAX_POLICY:
        raise DeployError(f"A policy has {size} characters, and RAM takes {MAX_POLICY}: give mounts a common prefix.")
    return found


def compact(value: object) -> str:
    """As JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def trust(service: str) -> Document:
    """Who may take a role."""
    return document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": [service]}}])


def objects(place: Location, *, everything_below: bool = True) -> str:
    """The ARN of an object, or of all whose keys begin so. Raises `DeployError` for what RAM reads as a pattern."""
    if re.search(r"[*?]", place.key):
        raise DeployError(f"{place} holds * or ?, which RAM reads as a pattern: it would cover other objects, too.")
    return f"acs:oss:*:*:{place.bucket}/{place.key}{'*' if everything_below else ''}"


def of_mount(mount: Mount, methods: Sequence[str] | None = None) -> Statement:
    """What links of a mount may do, as its methods and its query say."""
    found = {action for method in methods or mount.methods for action in _ACTIONS[method]}
    if "oss:GetObject" in found and "versionId" in mount.query:
        found.add("oss:GetObjectVersion")
    return _allow(sorted(found), objects(mount.target))


def of_keys(policy: Policy) -> list[Statement]:
    """That the keys document is read, and never written or deleted, whatever else is allowed."""
    if policy.keys is None or not policy.keys.startswith("oss://"):
        return []
    bucket, _, key = policy.keys.removeprefix("oss://").partition("/")
    keys = objects(Location(bucket, key), everything_below=False)
    return [
        _allow(["oss:GetObject"], keys),
        {"Effect": "Deny", "Action": ["oss:DeleteObject", "oss:PutObject"], "Resource": [keys]},
    ]


def of_state(policy: Policy) -> list[Statement]:
    """The service's own records."""
    return [_allow(["oss:GetObject", "oss:PutObject"], objects(policy.state))] if policy.state else []


def of_sink(target: Location) -> Statement:
    """A sink in OSS, whose object is the claim that it was written."""
    return _allow(["oss:GetObject", "oss:PutObject"], objects(target))


def of_destination(arn: str) -> list[Statement]:
    """Where events go that failed."""
    # The account is known to s deploy only.
    arn = re.sub(r"\$\{[^}]*\}", "*", arn)
    _, service, region, account, resource = ([*arn.split(":", 4), "", "", "", ""])[:5]
    if service == "mns":
        kind = "mns:SendMessage" if "queues" in resource else "mns:PublishMessage"
        return [_allow([kind], f"acs:mns:{region}:{account}:/{resource.lstrip('/')}")]
    if service == "fc":
        return [_allow(["fc:InvokeFunction"], arn)]
    if service == "eventbridge":
        return [_allow(["eventbridge:PutEvents"], arn)]
    return []


def of_deployer(regions: Mapping[str, str], roles: Sequence[str], watched: Sequence[str]) -> list[Statement]:
    """What deploying needs: functions by name and region, their roles by name, the buckets whose events call them."""
    functions = [
        f"acs:fc:{region}:*:functions/{name}{below}" for name, region in regions.items() for below in ("", "/*")
    ]
    found = [
        _allow(["fc:*"], *functions),
        {
            **_allow(["ram:PassRole"], *(f"acs:ram::*:role/{role}" for role in roles)),
            "Condition": {"StringEquals": {"acs:Service": "fc.aliyuncs.com"}},
        },
    ]
    if watched:
        actions = [f"oss:{verb}BucketEventNotification" for verb in ("Delete", "Get", "Put")]
        found.append(_allow(actions, *(f"acs:oss:*:*:{bucket}" for bucket in watched)))
    return found


def of_domain(name: str, region: str) -> Statement:
    """A custom domain, which is a resource of its own."""
    return _allow(["fc:*"], f"acs:fc:{region}:*:custom-domains/{name}")


def of_caller(name: str, region: str) -> Statement:
    """That another service calls a function."""
    return _allow(["fc:InvokeFunction"], *(f"acs:fc:{region}:*:functions/{name}{below}" for below in ("", "/*")))


def lifecycle(policy: Policy) -> dict[str, list[Document]]:
    """By bucket, the rules that clear away old records and uploads that were never completed."""
    rules: dict[str, list[Document]] = {}
    if policy.state:
        longest = max((mount.max_share or 0 for mount in policy.mounts), default=0)
        days = max(STATE_DAYS, -(-longest // 86_400) + 1)
        rules.setdefault(policy.state.bucket, []).append(
            {"ID": "links-state", "Prefix": policy.state.key, "Status": "Enabled", "Expiration": {"Days": days}}
        )
    for mount in sorted(policy.mounts, key=lambda mount: mount.path):
        if "PUT" in mount.methods:
            rules.setdefault(mount.target.bucket, []).append(
                {
                    "ID": f"links-uploads{mount.path.replace('/', '-').rstrip('-')}",
                    "Prefix": mount.target.key,
                    "Status": "Enabled",
                    "AbortMultipartUpload": {"Days": UPLOAD_DAYS},
                }
            )
    return rules


def _allow(actions: Sequence[str], *resources: str) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
