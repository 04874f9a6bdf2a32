"""What RAM must allow for a request, and OSS's error if it does not.

Sources: the permissions on the OSS pages of each operation, the page "RAM Policy", and those of EC 0003-00000201, …202
and …301.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..ram import ACCOUNT, Decision, Principal, evaluate
from .errors import Node, OssError
from .incoming import OssRequest, Resource
from .metadata import TAGGING
from .objects import delete_multiple, deletions, get, open_object, symlink_target
from .operations import Operation
from .service import Service
from .writing.copy import copy_source

_EC = {
    "explicit_deny": "0003-00000201",
    "implicit_deny": "0003-00000202",
    "session_policy": "0003-00000301",
}
# OSS says "bucket policy" also for RAM's.
_MESSAGES = {
    "explicit_deny": "Access denied by bucket policy.",
    "implicit_deny": "You have no right to access this object.",
    "session_policy": "Access denied by authorizer's policy.",
}


class Right(NamedTuple):
    """An action on an object or a bucket; `context` has the condition keys of RAM."""

    action: str
    resource: Resource
    context: Mapping[str, str] = {}


def rights_of(operation: Operation, request: OssRequest, service: Service) -> Iterator[Right]:
    """Everything that a request requires. Raises `OssError` for an invalid x-oss-copy-source or list of keys."""
    each = deletions(request) if operation.handler is delete_multiple else [request]
    for single in each:
        yield from _rights(operation.action, single)
    if TAGGING in request.headers:
        yield Right("oss:PutObjectTagging", Resource(request.bucket, request.key))
    if "x-oss-copy-source" in request.headers:
        yield from _rights("oss:GetObject", copy_source(request))
    if operation.handler is get:
        yield from _rights_of_target(request, service)


def check_rights(service: Service, principal: Principal, rights: Iterable[Right]) -> None:
    """Raises `OssError` AccessDenied unless the principal's policies allow everything."""
    for right in rights:
        bucket = right.resource.bucket
        key = right.resource.key
        arn = f"acs:oss:{service.region}:{ACCOUNT}:{bucket}{'/' if key else ''}{key}"
        decision = evaluate(principal.layers, right.action, arn, right.context)
        if not decision.allowed:
            if right.action not in ("oss:PutBucket", "oss:ListBuckets"):
                service.bucket(bucket)  # OSS reports a missing bucket first
            raise _denial(principal, right.action, decision)


def _rights(action: str, request: OssRequest) -> Iterator[Right]:
    resource = Resource(request.bucket, request.key)
    # A list without a prefix is one of the prefix "".
    context = (
        {"oss:Prefix": request.params.get("prefix", "")} if action == "oss:ListObjects" else {}
    )
    yield Right(action, resource, context)
    if "versionId" in request.params:
        yield Right(action.replace("Object", "ObjectVersion"), resource)


def _rights_of_target(request: OssRequest, service: Service) -> Iterator[Right]:
    """Of what is read through a symbolic link."""
    bucket = service.buckets.get(request.bucket)
    if bucket is None:
        return
    try:
        opened = open_object(bucket, request)
    except OssError:
        return  # the handler answers it
    opened.close()
    if opened.record.kind == "Symlink":
        yield Right("oss:GetObject", Resource(bucket.name, symlink_target(opened.record.headers)))


def _denial(principal: Principal, action: str, decision: Decision) -> OssError:
    # OSS's message is encrypted; support and RAM's console can read it.
    diagnosis = hashlib.sha512(f"{principal.arn} {action} {decision.kind}".encode()).digest()
    detail: list[Node] = [
        ("PolicyType", "SessionPolicy" if decision.layer else "AccountLevelIdentityBasedPolicy"),
        ("AuthPrincipalOwnerId", ACCOUNT),
        ("AuthPrincipalType", principal.type),
        ("AuthPrincipalDisplayName", principal.display_name),
        (
            "NoPermissionType",
            "ExplicitDeny" if decision.kind == "explicit_deny" else "ImplicitDeny",
        ),
        ("AuthAction", action),
        ("EncodedDiagnosticMessage", base64.b64encode(diagnosis).decode()),
    ]
    ec = _EC[decision.kind]
    return OssError(403, "AccessDenied", _MESSAGES[decision.kind], ec=ec, AccessDeniedDetail=detail)
