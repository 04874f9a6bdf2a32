"""What RAM must allow the session of a mount, as policies.

Sources: the RAM pages on policy structure, and the OSS pages on their actions and resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from signer.common.sts import MAX_POLICY
from signer.names import ACTIONS

from .mounts import Config, Location, Mount
from .reader import InvalidConfig

Statement = dict[str, Any]
Policy = dict[str, Any]


def policy(statements: Iterable[Statement]) -> Policy:
    return {"Version": "1", "Statement": list(statements)}


def compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def session_statements(config: Config, mount: Mount) -> list[Statement]:
    """What the session of a mount may do. It may nothing to the service's own objects, whatever the target."""
    allowed = (
        [mount_statement(mount, versions=links_to_versions(config, mount))]
        if uses_objects(mount)
        else []
    )
    if lists_objects(config, mount):
        allowed.append(list_statement(mount.target.bucket, [mount.target.key]))
    reserved = [location for location in config.mounts.reserved if mount.target.overlaps(location)]
    if reserved:
        # The trailing * also covers the lock, keys.json.lock.
        arns = [object_arn(location) for location in reserved]
        allowed.append({"Effect": "Deny", "Action": ["oss:*"], "Resource": arns})
        if mount.lists:
            names = list_statement(mount.target.bucket, [location.key for location in reserved])
            allowed.append({**names, "Effect": "Deny"})
    return allowed


def session_policy(config: Config, mount: Mount) -> str:
    """The session policy of a mount as JSON. Raises `InvalidConfig` if it exceeds STS's limit."""
    document = compact_json(policy(session_statements(config, mount)))
    size = len(document.encode())
    if size > MAX_POLICY:
        problem = f"the session policy has {size} bytes and exceeds STS's limit of {MAX_POLICY}"
        advice = "use a shorter target, or put keys, state and sinks into another bucket"
        raise InvalidConfig(f"mount {mount.path}: {problem}: {advice}.")
    return document


def object_arn(location: Location, *, prefix: bool = True) -> str:
    """The ARN of one object, or of every key with this prefix. Raises `InvalidConfig` for RAM's wildcards."""
    return f"acs:oss:*:*:{location.bucket}/{_literal(location)}{'*' if prefix else ''}"


def mount_statement(
    mount: Mount, methods: Sequence[str] | None = None, *, versions: bool = False
) -> Statement:
    """What links of a mount may do; `methods` instead of the mount's own, `versions` for links to one version."""
    actions = {ACTIONS[method] for method in methods or mount.methods}
    if "PUT" in (methods or mount.methods) or (methods is None and has_upload_pages(mount)):
        # A large file is uploaded in parts, and its sender may abort that. Those of an upload page the service ends.
        actions.add("oss:AbortMultipartUpload")
    if methods is None and has_upload_pages(mount):
        actions.add("oss:ListParts")
    if "oss:GetObject" in actions and (versions or "versionId" in mount.query):
        actions.add("oss:GetObjectVersion")
    return allow(sorted(actions), object_arn(mount.target))


def uses_objects(mount: Mount) -> bool:
    """Whether rights to its objects are used: by links that OSS checks, and by the HEAD of the service itself."""
    return mount.cdn is None or mount.check or mount.check_pages or bool(mount.max_share)


def lists_objects(config: Config, mount: Mount) -> bool:
    """Whether the service lists objects of a mount: its folders, or the files of upload shares."""
    return mount.lists or bool(config.state and has_upload_pages(mount))


def has_upload_pages(mount: Mount) -> bool:
    return bool(mount.max_share and "POST" in mount.methods)


def reads_titles(config: Config) -> bool:
    """Whether a notice is about files of upload shares, of which it says the title."""
    pages = [mount.target for mount in config.mounts if has_upload_pages(mount)]
    reported = [rule.mount.target for rule in config.notices if rule.on == "created"]
    is_reported = any(page.overlaps(target) for page in pages for target in reported)
    return config.state is not None and is_reported


def links_to_versions(config: Config, mount: Mount) -> bool:
    """A link in a notice of a new object is one to the version of the event, but not where a CDN checks it."""
    return mount.cdn is None and any(
        notice.mount.path == mount.path and (notice.on, notice.give) == ("created", "link")
        for notice in config.notices
    )


def list_statement(bucket: str, keys: Sequence[str]) -> Statement:
    """Lists of exactly these prefixes, and of longer ones.

    Source: the OSS page "RAM policies", on oss:ListObjects and the condition oss:Prefix.
    """
    prefixes = [f"{_literal(Location(bucket, key))}*" for key in keys]
    return {
        **allow(["oss:ListObjects"], f"acs:oss:*:*:{bucket}"),
        "Condition": {"StringLike": {"oss:Prefix": prefixes}},
    }


def _literal(location: Location) -> str:
    """The key, which RAM takes literally. Raises `InvalidConfig` if it would not."""
    if re.search(r"[*?]", location.key):
        raise InvalidConfig(
            f"{location} must not contain * or ?: for RAM they are wildcards that match other objects."
        )
    return location.key


def allow(actions: Sequence[str], *resources: str) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
