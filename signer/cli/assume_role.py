"""`--assume-role`: credentials that may do only what the links of a run are for, from one call of STS.

Sources: the RAM page "AssumeRole" with its error codes, and the permissions on the OSS pages of each operation.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from ..credentials import Credentials
from ..endpoint import is_loopback, parse_origin
from ..errors import SignerError
from ..names import ACTIONS, VERSION_ACTIONS
from ..sts import (
    MAX_DURATION,
    MAX_POLICY,
    MIN_DURATION,
    ROLE_ARN,
    StsError,
    read_assumed_role,
    sign_assume_role,
    sts_host,
)
from ..times import format_duration
from .network import failure_reason, send

SESSION_NAME = "fc-presign-cli"
TIMEOUT = (10, 30)  # seconds, to connect and to read

_OF_UPLOADS = {"GET": "oss:ListParts", "DELETE": "oss:AbortMultipartUpload"}
# Lower-case names of parameters and headers, with which a link requires rights of another kind.
_OTHER_RIGHTS = {"acl", "asyncfetch", "restore", "tagging", "x-oss-copy-source", "x-oss-tagging"}
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]+")


class Objects(NamedTuple):
    """One object, or with `is_prefix` all whose keys begin with `key`."""

    bucket: str
    key: str
    is_prefix: bool = False

    @classmethod
    def at(cls, bucket: str, key: str) -> Objects:
        """With a key that is empty or ends with "/", all objects under it."""
        return cls(bucket, key, is_prefix=not key or key.endswith("/"))

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key}"

    def contains(self, other: Objects) -> bool:
        return self == other or (self.is_prefix and self.bucket == other.bucket and other.key.startswith(self.key))


class Session(NamedTuple):
    """`opened_at` is in Unix seconds: a link that is signed at that time may live as long as the session."""

    credentials: Credentials
    opened_at: float


def link_actions(method: str, query: Iterable[str], headers: Iterable[str] = ()) -> tuple[str, ...]:
    """What RAM must allow for a link with these parameters and headers. Raises `click.UsageError`."""
    parameters = frozenset(query)
    for name in (*parameters, *headers):
        if name.lower() in _OTHER_RIGHTS:
            raise click.UsageError(
                f"{name} requires rights that --assume-role does not give: leave out one of the two."
            )
    action = ACTIONS[method]
    if "uploadId" in parameters:
        return (_OF_UPLOADS.get(method, action),)
    return (action, VERSION_ACTIONS[action]) if "versionId" in parameters and action in VERSION_ACTIONS else (action,)


def session_policy(actions: Iterable[str], objects: Objects) -> str:
    """A policy that allows nothing else, as JSON. Raises `click.UsageError`."""
    if re.search(r"[*?]", objects.key):
        raise click.UsageError(
            f"{objects} must not contain * or ? with --assume-role: for RAM they are wildcards that match other "
            "objects. Pass a --policy-for that ends before them."
        )
    resource = f"acs:oss:*:*:{objects.bucket}/{objects.key}{'*' if objects.is_prefix else ''}"
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": [resource]}
    document = {"Version": "1", "Statement": [statement]}
    policy = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if len(policy.encode()) > MAX_POLICY:
        raise click.UsageError(
            f"The session policy has {len(policy.encode())} bytes and exceeds STS's limit of {MAX_POLICY}: pass a "
            "shorter --policy-for."
        )
    return policy


def open_session(
    role: str, policy: str, expires_in: int, *, credentials: Credentials, region: str, endpoint: str | None
) -> Session:
    """A session that lives at least as long as its links. Raises `click.UsageError`, `StsError`."""
    if not ROLE_ARN.fullmatch(role):
        raise click.UsageError(
            "Invalid --assume-role: expected the ARN of a role, such as acs:ram::1000000000000001:role/links-signer."
        )
    if expires_in > MAX_DURATION:
        raise click.UsageError(
            f"--expires exceeds {format_duration(MAX_DURATION)}, the longest life of a session: pass a shorter one, or "
            "sign without --assume-role."
        )
    duration = max(MIN_DURATION, expires_in)
    url = _sts_url(endpoint, region)
    now = time.time()
    call = sign_assume_role(url, role, SESSION_NAME, policy, duration, credentials, now)
    host = urlsplit(url).netloc
    try:
        response = send(call.method, call.url, TIMEOUT, headers=call.headers)
        answer = read_assumed_role(response.status_code, response.content)
    except OSError as error:
        advice = "Check the network, or pass another --sts-endpoint."
        raise StsError(f"Cannot reach STS at {host}: {failure_reason(error)}. {advice}", "unreachable") from None
    except StsError as error:
        raise StsError(_describe(error.reason, role, duration, host), error.reason) from None
    return Session(answer.credentials._replace(expires_at=answer.expires_at), now)


def _sts_url(endpoint: str | None, region: str) -> str:
    if endpoint is None:
        return f"https://{sts_host(region)}"
    if _HOST.fullmatch(endpoint):
        return f"https://{endpoint}"
    try:
        scheme, host = parse_origin(endpoint)
        if is_loopback(host):
            return f"{scheme}://{host}"
    except SignerError:
        pass
    raise click.UsageError("Invalid --sts-endpoint: expected a host such as sts.cn-hangzhou.aliyuncs.com.")


def _describe(reason: str, role: str, duration: int, host: str) -> str:
    if reason == "EntityNotExist.Role":
        return f"Role {role} not found: correct --assume-role."
    if reason == "NoPermission":
        return (
            f"Not allowed to assume {role}: the RAM user or role that asks (never the account itself) requires "
            "sts:AssumeRole on it, and its trust policy must name that user or role."
        )
    if reason == "InvalidParameter.DurationSeconds":
        return (
            f"A session of {format_duration(duration)} is not allowed: pass a shorter --expires, or raise the role's "
            "MaxSessionDuration."
        )
    if reason.startswith("Throttling"):
        return f"STS has too many calls ({reason}): wait a few seconds, then run the command again."
    if reason.startswith(
        ("InvalidAccessKeyId", "InvalidSecurityToken", "SignatureDoesNotMatch", "MissingSecurityToken")
    ):
        return f"STS refuses the credentials ({reason}): get new ones, or pass another --profile."
    if reason.startswith("InvalidTimeStamp"):
        return f"STS refuses the time of this machine ({reason}): set its clock."
    if reason.startswith("status_5") or reason in ("InternalError", "ServiceUnavailable"):
        return f"STS has failed ({reason}): run the command again later."
    if reason == "incomplete_session" or reason.startswith("status_"):
        return f"{host} does not answer as STS does ({reason}): correct --sts-endpoint, or check the proxy."
    return f"STS refused the session ({reason}): see this code on the RAM page AssumeRole."
