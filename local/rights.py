"""What RAM must allow the roles of functions, as their links.toml requires it: of a deployment, and of a stack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from handler.core.config import Config, Location
from handler.core.config.rights import (
    Statement,
    allow,
    links_to_versions,
    list_statement,
    lists_objects,
    mount_statement,
    object_arn,
    reads_titles,
    session_statements,
    uses_objects,
)

# Folders of the state prefix. Waiting and dead notices stay until they are sent or dropped. A failing sink has a pause.
WAITING = ("outbox/", "dead/")
DONE = "done/"
LEASES = "lease/"
PAUSES = "pause/"
SHARES = ("shares/", "extended/", "uses/", "index/")
OPENED = "opened/"  # first uses, where a notice is about uses
_PROBE = "probe"  # an object
MIN_MAX_DURATION = 3600  # seconds; RAM accepts no lower MaxSessionDuration


def role_statements(config: Config, *, web: bool, events: bool) -> list[Statement]:
    """What the role of a function may do, which answers requests, takes events, or both.

    With `[assume_role]` the mounts are for their sessions, and the role may only open those.
    """
    allowed: list[Statement] = []
    mounts = sorted(config.mounts, key=lambda mount: mount.path)
    notified = _notified(config)
    if config.assume_role is not None:
        roles = sorted(signer_statements(config, web=web, events=events))
        allowed += [allow(["sts:AssumeRole"], *roles)] if roles else []
    if web:
        if config.assume_role is None:
            allowed += [mount_statement(mount) for mount in mounts if uses_objects(mount)]
        allowed += list_statements(config) + share_statements(config)
        if config.state is not None and config.use_notices():
            allowed.append(
                allow(["oss:GetObject", "oss:PutObject"], *below(config.state, WAITING[0], OPENED))
            )
    if events:
        if config.assume_role is None:
            allowed += [
                mount_statement(mount, ("GET",), versions=links_to_versions(config, mount))
                for mount in mounts
                if mount.path in notified
            ]
        # A sink in OSS reads its objects to learn which notices it has already written.
        allowed += [
            allow(["oss:GetObject", "oss:PutObject"], object_arn(sink.target))
            for sink in config.sinks
        ]
        # A [[sink]] is written at once; what is for webhooks and robots waits.
        allowed += outbox_statements(config) if config.keys_sinks else []
        if any(notice.give == "share" for notice in config.notices):
            allowed += share_statements(config)
        elif config.state is not None and reads_titles(config):
            allowed.append(allow(["oss:GetObject"], *below(config.state, SHARES[0])))
    return unique([*allowed, *keys_statements(config)])


def unique(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each once, in order; of statements, and of other JSON."""
    found: list[dict[str, Any]] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def signer_statements(config: Config, *, web: bool, events: bool) -> dict[str, list[Statement]]:
    """By the ARN of each role that a function assumes: what the sessions of its mounts need."""
    statements: dict[str, list[Statement]] = {}
    notified = _notified(config)
    for mount in sorted(config.mounts, key=lambda mount: mount.path):
        if config.assume_role is not None and (web or (events and mount.path in notified)):
            role = mount.role_arn or config.assume_role.role
            # What a session denies is of no use here: each has a Deny of its own.
            allowed = [
                each for each in session_statements(config, mount) if each["Effect"] == "Allow"
            ]
            if allowed:
                statements[role] = unique([*statements.get(role, ()), *allowed])
    return statements


def _notified(config: Config) -> set[str]:
    """The paths of mounts whose objects notices read: by links that OSS checks, or to see whether they exist."""
    giving = (notice for notice in config.notices if notice.give)
    return {
        notice.mount.path for notice in giving if notice.mount.cdn is None or notice.mount.check
    }


def keys_statements(config: Config) -> list[Statement]:
    """The keys document may be read, and never written or deleted, whatever else is allowed."""
    if not isinstance(config.keys_document, Location):
        return []
    keys = object_arn(config.keys_document, prefix=False)
    return [
        allow(["oss:GetObject"], keys),
        {"Effect": "Deny", "Action": ["oss:DeleteObject", "oss:PutObject"], "Resource": [keys]},
    ]


def share_statements(config: Config) -> list[Statement]:
    """The records and uses of shares in the state prefix, where any mount enables shares."""
    if config.state is None or not any(mount.max_share for mount in config.mounts):
        return []
    return [
        allow(
            ["oss:GetObject", "oss:PutObject"], *below(config.state, *SHARES), _probe(config.state)
        )
    ]


def outbox_statements(config: Config) -> list[Statement]:
    """Notices that wait in the state prefix: writing, listing, sending and deleting them."""
    if config.state is None:
        return []
    deleted = below(config.state, *WAITING, LEASES, PAUSES)
    return [
        allow(
            ["oss:GetObject", "oss:PutObject"],
            *deleted,
            *below(config.state, DONE),
            _probe(config.state),
        ),
        allow(["oss:DeleteObject"], *deleted),
        list_statement(config.state.bucket, [config.state.key + folder for folder in WAITING]),
    ]


def list_statements(config: Config) -> list[Statement]:
    """The service lists folders and shares, and counts uses and files that arrived, with lists of these prefixes.

    With `[assume_role]` the objects of a mount are listed by its session.
    """
    prefixes: dict[str, set[str]] = {}
    if config.state and any(mount.max_share for mount in config.mounts):
        prefixes[config.state.bucket] = {
            config.state.key + folder for folder in ("index/", "uses/")
        }
    for mount in config.mounts if config.assume_role is None else ():
        if lists_objects(config, mount):
            prefixes.setdefault(mount.target.bucket, set()).add(mount.target.key)
    return [list_statement(bucket, sorted(keys)) for bucket, keys in sorted(prefixes.items())]


def below(state: Location, *folders: str) -> list[str]:
    """The ARNs of folders in the state prefix."""
    return [object_arn(Location(state.bucket, state.key + folder)) for folder in folders]


def _probe(state: Location) -> str:
    return object_arn(Location(state.bucket, state.key + _PROBE), prefix=False)
