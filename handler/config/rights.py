"""What RAM must allow: a function's role, and the session of a mount, as policies.

Sources: the RAM pages on policy structure, and the OSS pages on their actions and resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from signer.names import ACTIONS
from signer.sts import MAX_POLICY

from . import Config, InvalidConfig, Location, Mount

Statement = dict[str, Any]
Policy = dict[str, Any]

# Folders of the state prefix. Waiting and dead notices stay until they are sent or dropped.
WAITING = ("outbox/", "dead/")
DONE, LEASES = "done/", "lease/"
SHARES = ("shares/", "uses/")
_PROBE = "probe"  # an object


def policy(statements: Iterable[Statement]) -> Policy:
    return {"Version": "1", "Statement": list(statements)}


def compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def role_statements(config: Config, *, web: bool, events: bool) -> list[Statement]:
    """What the role of a function may do, which answers requests, takes events, or both.

    With `[assume_role]` the mounts are for their sessions, and the role may only open those.
    """
    allowed: list[Statement] = []
    mounts = sorted(config.mounts, key=lambda mount: mount.path)
    notified = {notice.mount.path for notice in config.notices}
    if config.assume_role is not None:
        roles = sorted(signer_statements(config, web=web, events=events))
        allowed += [_allow(["sts:AssumeRole"], *roles)] if roles else []
    if web:
        if config.assume_role is None:
            allowed += [mount_statement(mount) for mount in mounts]
        allowed += list_statements(config) + share_statements(config)
    if events:
        if config.assume_role is None:
            allowed += [
                mount_statement(mount, ("GET",), versions=_links_to_versions(config, mount))
                for mount in mounts
                if mount.path in notified
            ]
        # A sink in OSS reads its objects to learn which notices it has already written.
        allowed += [_allow(["oss:GetObject", "oss:PutObject"], object_arn(sink.target)) for sink in config.sinks]
        # A [[sink]] is written at once; what is for webhooks and robots waits.
        allowed += outbox_statements(config) if config.keys_sinks else []
    unique: list[Statement] = []
    for statement in [*allowed, *keys_statements(config)]:
        if statement not in unique:
            unique.append(statement)
    return unique


def signer_statements(config: Config, *, web: bool, events: bool) -> dict[str, list[Statement]]:
    """By the ARN of each role that a function assumes: what the sessions of its mounts need."""
    statements: dict[str, list[Statement]] = {}
    notified = {notice.mount.path for notice in config.notices}
    for mount in sorted(config.mounts, key=lambda mount: mount.path):
        if config.assume_role is not None and (web or (events and mount.path in notified)):
            needed = statements.setdefault(mount.role_arn or config.assume_role.role, [])
            # What a session denies is of no use here: each has a Deny of its own.
            needed += [
                statement
                for statement in session_statements(config, mount)
                if statement["Effect"] == "Allow" and statement not in needed
            ]
    return statements


def session_statements(config: Config, mount: Mount) -> list[Statement]:
    """What the session of a mount may do. It may nothing to the service's own objects, whatever the target."""
    allowed = [mount_statement(mount, versions=_links_to_versions(config, mount))]
    if config.state and mount.max_share and "POST" in mount.methods:
        allowed.append(_list(mount.target.bucket, [mount.target.key]))
    reserved = [location for location in config.mounts.reserved if mount.target.overlaps(location)]
    if reserved:
        # The trailing * also covers the lock, keys.json.lock.
        arns = [object_arn(location) for location in reserved]
        allowed.append({"Effect": "Deny", "Action": ["oss:*"], "Resource": arns})
    return allowed


def session_policy(config: Config, mount: Mount) -> str:
    """The session policy of a mount as JSON. Raises `InvalidConfig` if it exceeds STS's limit."""
    document = compact_json(policy(session_statements(config, mount)))
    if len(document) > MAX_POLICY:
        raise InvalidConfig(
            f"mount {mount.path}: the session policy has {len(document)} characters and exceeds STS's limit of "
            f"{MAX_POLICY}: use a shorter target, or put keys, state and sinks into another bucket."
        )
    return document


def object_arn(location: Location, *, prefix: bool = True) -> str:
    """The ARN of one object, or of every key with this prefix. Raises `InvalidConfig` for RAM's wildcards."""
    return f"acs:oss:*:*:{location.bucket}/{_literal(location)}{'*' if prefix else ''}"


def mount_statement(mount: Mount, methods: Sequence[str] | None = None, *, versions: bool = False) -> Statement:
    """What links of a mount may do; `methods` instead of the mount's own, `versions` for links to one version."""
    actions = {ACTIONS[method] for method in methods or mount.methods}
    if "PUT" in (methods or mount.methods):
        # A large file is uploaded in parts, and its sender may abort that.
        actions.add("oss:AbortMultipartUpload")
    if "oss:GetObject" in actions and (versions or "versionId" in mount.query):
        actions.add("oss:GetObjectVersion")
    return _allow(sorted(actions), object_arn(mount.target))


def keys_statements(config: Config) -> list[Statement]:
    """The keys document may be read, and never written or deleted, whatever else is allowed."""
    if not isinstance(config.keys_document, Location):
        return []
    keys = object_arn(config.keys_document, prefix=False)
    return [
        _allow(["oss:GetObject"], keys),
        {"Effect": "Deny", "Action": ["oss:DeleteObject", "oss:PutObject"], "Resource": [keys]},
    ]


def share_statements(config: Config) -> list[Statement]:
    """The records and uses of shares in the state prefix."""
    if config.state is None:
        return []
    return [_allow(["oss:GetObject", "oss:PutObject"], *below(config.state, *SHARES), _probe(config.state))]


def outbox_statements(config: Config) -> list[Statement]:
    """Notices that wait in the state prefix: writing, listing, sending and deleting them."""
    if config.state is None:
        return []
    return [
        _allow(["oss:GetObject", "oss:PutObject"], *below(config.state, *WAITING, DONE, LEASES), _probe(config.state)),
        _allow(["oss:DeleteObject"], *below(config.state, *WAITING, LEASES)),
        _list(config.state.bucket, [config.state.key + folder for folder in WAITING]),
    ]


def list_statements(config: Config) -> list[Statement]:
    """The service counts uses, and files that arrived, with lists of exactly these prefixes.

    With `[assume_role]` the files are counted by the session of their mount.
    """
    prefixes: dict[str, set[str]] = {}
    if config.state and any(mount.max_share for mount in config.mounts):
        prefixes.setdefault(config.state.bucket, set()).add(f"{config.state.key}uses/")
        for mount in config.mounts if config.assume_role is None else ():
            if mount.max_share and "POST" in mount.methods:
                prefixes.setdefault(mount.target.bucket, set()).add(mount.target.key)
    return [_list(bucket, sorted(keys)) for bucket, keys in sorted(prefixes.items())]


def below(state: Location, *folders: str) -> list[str]:
    """The ARNs of folders in the state prefix."""
    return [object_arn(Location(state.bucket, state.key + folder)) for folder in folders]


def _links_to_versions(config: Config, mount: Mount) -> bool:
    """A link in a notice of a new object is one to the version of the event."""
    return any(
        notice.mount.path == mount.path and (notice.on, notice.give) == ("created", "link") for notice in config.notices
    )


def _probe(state: Location) -> str:
    return object_arn(Location(state.bucket, state.key + _PROBE), prefix=False)


def _list(bucket: str, keys: Sequence[str]) -> Statement:
    """Lists of exactly these prefixes, and of longer ones.

    Source: the OSS page "RAM policies", on oss:ListObjects and the condition oss:Prefix.
    """
    prefixes = [f"{_literal(Location(bucket, key))}*" for key in keys]
    return {
        **_allow(["oss:ListObjects"], f"acs:oss:*:*:{bucket}"),
        "Condition": {"StringLike": {"oss:Prefix": prefixes}},
    }


def _literal(location: Location) -> str:
    """The key, which RAM takes literally. Raises `InvalidConfig` if it would not."""
    if re.search(r"[*?]", location.key):
        raise InvalidConfig(f"{location} must not contain * or ?: for RAM they are wildcards that match other objects.")
    return location.key


def _allow(actions: Sequence[str], *resources: str) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
