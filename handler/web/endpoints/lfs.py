"""`POST /-/lfs/{path}/objects/batch`: the batch API of Git LFS, whose objects go directly to and from OSS.

The transfer is "basic", the hash "sha256", and an object lies at `{path}/{oid[:2]}/{oid[2:4]}/{oid}`. Source: the pages
docs/api/batch.md and docs/api/authentication.md of git-lfs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from signer.endpoint import is_loopback

from ...core import audit, links
from ...core.auth import authorize, identify_caller
from ...core.cloud.concurrency import map_concurrently
from ...core.cloud.oss import check_readable, stat_object
from ...core.config import Target
from ...core.context import Access, Invocation
from ...core.errors import HandlerError, Problem, malformed_credential
from ...core.request import Request
from ...core.uploads import check_size, put_headers
from ..response import Response, came_over_http
from .objects import signed_query
from .sign import MAX_CHECK_SECONDS, link_line

MEDIA_TYPE = "application/vnd.git-lfs+json"
ACCEPTED_TYPES = ("application/json", MEDIA_TYPE)
DOCUMENTATION = "https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md"
MAX_OBJECTS = 1000
METHODS = {"download": "GET", "upload": "PUT"}
UPLOAD_METHODS = ("GET", "PUT")

_OID = r"[0-9a-f]{64}"  # compiled at its first use

Document = dict[str, object]


class Item(NamedTuple):
    """An object that a client has or wants: the SHA-256 of its content, and its size in bytes."""

    oid: str
    size: int


class Stored(NamedTuple):
    """What OSS has under a hash: its size in bytes, None for nothing; `problem` is why it cannot be read or known."""

    size: int | None = None
    problem: Problem | None = None


def batch(request: Request, invocation: Invocation, path: str) -> Response:
    """200 with a link, nothing to do, or an error for each object. Each link has a line of its own in the log.

    Raises for the whole request: 401 without a credential, 404 for a path that the caller may not see, or below which
    another mount is, 403 `upload_not_allowed`, the 422 `bad_lfs_request` and `lfs_not_enabled`, and the 409
    `lfs_hash_unknown`.
    """
    invocation = identify_caller(with_bearer(request), invocation)
    target = _visible_target(invocation, f"/{path}/")
    operation, items = _read(request)
    access = _access(invocation, target, operation)
    mounts = invocation.config.mounts
    targets = {item.oid: mounts.find(_object_path(target.path, item.oid)) for item in items}
    stored = _look_up(invocation, targets)
    answers = [
        _answer_object(
            item,
            stored[item.oid],
            operation,
            access._replace(target=targets[item.oid]),
            invocation,
        )
        for item in items
    ]
    lines = [line for _, line in answers if line]
    for line in lines:
        audit.write(line)
    invocation.audit_fields.update(
        mount=target.mount.path,
        operation=operation,
        objects=len(items),
        bytes=sum(item.size for item in items),
        links=len(lines),
    )
    objects = [document for document, _ in answers]
    return _response({"transfer": "basic", "objects": objects, "hash_algo": "sha256"})


def problem_response(problem: Problem, request_id: str) -> Response:
    """A problem in the form of Git LFS. `LFS-Authenticate` makes Git ask its helper, and no browser."""
    document = {
        "message": problem.sentence,
        "request_id": request_id,
        "documentation_url": DOCUMENTATION,
    }
    headers = dict(problem.headers)
    if problem.status == 401:
        headers["LFS-Authenticate"] = 'Basic realm="fc-presign"'
    return _response(document, problem.status, headers)


def with_bearer(request: Request) -> Request:
    """The request with the password of Basic as Bearer, which is how the credential helpers of Git send a key.

    The name is ignored, and an empty password is no credential. Raises the 401 `malformed_credential`, and the 400
    `https_required` for a key that others on its way could have read.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request
    if came_over_http(request) and not is_loopback(
        request.domain or request.headers.get("host", "")
    ):
        raise Problem("https_required")
    from base64 import b64decode

    try:
        _, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise malformed_credential(
            "Authorization must be Basic, a space, and a name and a key in base64"
        )
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    if password:
        headers["authorization"] = f"Bearer {password}"
    return request._replace(headers=headers)


def _visible_target(invocation: Invocation, path: str) -> Target:
    """The prefix that has the objects. Raises the 404 `not_found` and the 401 `unauthorized`."""
    mounts = invocation.config.mounts
    target = mounts.find(path, prefix=True)
    is_anonymous = target.mount.access == "anonymous"
    if not is_anonymous and not invocation.require_caller().sees(target.mount, path):
        raise Problem("not_found")
    if any(mount.path.startswith(path) and mount != target.mount for mount in mounts):
        raise Problem("not_found")
    return target


def _read(request: Request) -> tuple[str, list[Item]]:
    """The operation and the objects. Raises the 422 `bad_lfs_request`, 409 `lfs_hash_unknown`, 413 `too_many_links`."""
    document = request.document(ACCEPTED_TYPES)
    if not isinstance(document, dict):
        raise _bad_request("it must be a JSON object")
    operation = document.get("operation")
    objects = document.get("objects")
    transfers = document.get("transfers")
    if not isinstance(operation, str) or operation not in METHODS:
        raise _bad_request('"operation" must be download or upload')
    if transfers is not None and (not isinstance(transfers, list) or "basic" not in transfers):
        raise _bad_request('"transfers" must be a list that has basic')
    if document.get("hash_algo") not in (None, "sha256"):
        raise Problem("lfs_hash_unknown")
    if not isinstance(document.get("ref"), (dict, type(None))):
        raise _bad_request('"ref" must be an object')
    if not isinstance(objects, list):
        raise _bad_request('"objects" must be a list')
    if len(objects) > MAX_OBJECTS:
        raise Problem(
            "too_many_links",
            f"A request must not exceed {MAX_OBJECTS} objects. Split it into several requests.",
        )
    return operation, [_read_item(value) for value in objects]


def _read_item(value: Any) -> Item:
    if not isinstance(value, dict):
        raise _bad_request('each of "objects" must be an object')
    oid = value.get("oid")
    size = value.get("size")
    if not isinstance(oid, str) or not re.fullmatch(_OID, oid):
        raise _bad_request('"oid" must be a SHA-256 of 64 digits and small letters')
    # Not isinstance: in Python, a bool is an int.
    if type(size) is not int or size < 0:
        raise _bad_request('"size" must be an integer from 0')
    return Item(oid, size)


def _bad_request(reason: str) -> Problem:
    return Problem("bad_lfs_request", f"Invalid request of Git LFS: {reason}.")


def _access(invocation: Invocation, target: Target, operation: str) -> Access:
    """Raises the 403 `upload_not_allowed` and the 422 `lfs_not_enabled`, for uploads, and what `authorize` raises."""
    mount = target.mount
    if operation == "upload":
        is_anonymous = mount.access == "anonymous"
        if not is_anonymous and not all(
            invocation.require_caller().allows(target.path, method) for method in UPLOAD_METHODS
        ):
            raise Problem("upload_not_allowed")
        if mount.overwrite or not set(UPLOAD_METHODS) <= set(mount.methods):
            raise Problem("lfs_not_enabled")
    return authorize(invocation, target, METHODS[operation])


def _look_up(invocation: Invocation, targets: Mapping[str, Target]) -> dict[str, Stored]:
    """What is stored under each hash, with one request for each. What was not asked in time is unavailable."""
    deadline = time.monotonic() + MAX_CHECK_SECONDS

    def look_up(target: Target) -> Stored:
        if time.monotonic() >= deadline:
            return Stored(problem=Problem("oss_unavailable"))
        try:
            response = stat_object(target, {}, invocation)
        except HandlerError as error:
            problem = _problem_of(error)
            return Stored() if problem.code == "not_found" else Stored(problem=problem)
        length = response.headers.get("content-length", "")
        if not length.isdecimal():
            return Stored(problem=Problem("oss_unavailable"))
        try:
            check_readable(response, target.mount)
        except Problem as problem:
            return Stored(int(length), problem)
        return Stored(int(length))

    stored = map_concurrently(look_up, targets.values())
    return dict(zip(targets, stored, strict=True))


def _answer_object(
    item: Item, stored: Stored, operation: str, access: Access, invocation: Invocation
) -> tuple[Document, Document]:
    """What a client learns of one object, and the audit line of its link, {} without one."""
    document: Document = {"oid": item.oid, "size": item.size}
    try:
        issued = _issue(item, stored, operation, access, invocation)
    except HandlerError as error:
        problem = _problem_of(error)
        status = 422 if problem.code == "too_large" else problem.status
        return {**document, "error": {"code": status, "message": problem.sentence}}, {}
    if issued is None:
        return document, {}
    link = issued.link
    action = {"href": link.url, "header": link.headers, "expires_in": link.expires_in}
    # Otherwise a client would send the credential of this service to OSS.
    signed = {**document, "authenticated": True, "actions": {operation: action}}
    return signed, link_line(invocation, access.target, issued)


def _issue(
    item: Item, stored: Stored, operation: str, access: Access, invocation: Invocation
) -> links.IssuedLink | None:
    """The link, None where the object is there already. Raises a `Problem` where there can be none."""
    target = access.target
    is_upload = operation == "upload"
    if is_upload:
        check_size(item.size, target.mount)
    if stored.size is not None and stored.size != item.size:
        raise Problem("lfs_object_differs")
    if is_upload and stored.size is not None:  # also in cold storage
        return None
    if stored.problem is not None:
        raise stored.problem
    if is_upload:
        headers = put_headers({}, item.size, target.mount, overwrite=False)
        signed = links.Signed(headers=headers, extra=("content-length",))
    elif stored.size is None:
        raise Problem("not_found", "This object was never pushed to this store.")
    else:
        signed = links.Signed(signed_query(target, {}, None))
    return links.create_link(invocation, access, METHODS[operation], signed=signed)


def _object_path(folder: str, oid: str) -> str:
    return f"{folder}{oid[:2]}/{oid[2:4]}/{oid}"


def _problem_of(error: HandlerError) -> Problem:
    """What a client learns of an error; what no client learns of is raised again."""
    problem = error.reported()
    if not isinstance(problem, Problem):
        raise error
    return problem


def _response(
    document: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        status, {"Content-Type": MEDIA_TYPE, **(headers or {})}, json.dumps(document) + "\n"
    )
