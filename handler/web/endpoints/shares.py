"""`/-/shares`: create, extend and revoke shares."""

from __future__ import annotations

import re
from typing import Any

from signer.sizes import MAX_UPLOAD
from signer.times import rfc3339

from ...core import links, shares
from ...core.auth import authorize
from ...core.cloud.oss import StoreError, head_object, list_folder
from ...core.cloud.store import Store, state_for
from ...core.config import Mount, Target
from ...core.context import Caller, ExpiryLimit, Invocation
from ...core.errors import Problem, bad_body
from ...core.keys import current, owner_tag
from ...core.request import Request, read_members
from ...core.shares import record as records
from ...core.shares.address import share_address, share_path
from ...core.shares.code import code_hash, new_code
from ...core.shares.opening import check_app_package, share_fault
from ...core.shares.record import Record
from ..response import Response, body_path, json_response, origin_of
from ..uploads import check_prefix, check_size, check_type
from . import list_shares

MEMBERS = {
    "path": str,
    "method": str,
    "expires": str,
    "max_uses": int,
    "download": str,
    "page": bool,
    "password": bool,
    "title": str,
    "message": str,
    "allow_missing": bool,
    "upload": dict,
}
UPLOAD_MEMBERS = {"max_size": int, "max_files": int, "content_type": str}
MAX_FILES = 100
MAX_PREFIX = 768  # bytes; the share's id, a number and a file name follow it
MAX_TITLE = 120
MAX_MESSAGE = 500  # code points
# Controls but the line feed, and what UTF-8 cannot write; compiled at its first use.
_UNFIT = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]"


def create(request: Request, invocation: Invocation) -> Response:
    """`POST /-/shares`: 201 with the address of a new share.

    Raises the 404 `not_found` for a path that the caller may not see, 403 `share_not_allowed` if they may not share it.
    """
    caller = list_shares.owner(invocation)
    params = request.json(MEMBERS, required=("path",))
    method = params["method"] or "GET"
    path = body_path(invocation, params["path"])
    is_folder = method != "POST" and path.endswith("/")
    target = _shareable(invocation, path, is_folder, method)
    mount = target.mount
    if method not in ("GET", "POST"):
        raise bad_body('"method" must be GET or POST')
    if method not in mount.methods:
        raise bad_body(
            f"{method} is not enabled for this mount (enabled: {', '.join(mount.methods)})"
        )
    check_app_package(target)
    upload = _upload(params, target, invocation) if method == "POST" else None
    if method == "GET" and params["upload"] is not None:
        raise bad_body('"upload" requires "method": "POST"')
    limited = params["max_uses"] is not None
    has_code = mount.require_password if params["password"] is None else params["password"]
    if mount.require_password and not has_code:
        raise bad_body('"password" must be true: this mount requires a code for each share')
    if is_folder:
        _check_folder(params, has_code)
    clamped_by, seconds = _resolve_expiry(params["expires"], mount, caller)
    if limited and not 1 <= params["max_uses"] <= shares.MAX_USES:
        raise bad_body(f'"max_uses" must be from 1 to {shares.MAX_USES}')
    if params["download"] is not None and mount.cdn is not None:
        raise Problem("download_not_signed")
    if params["download"]:
        links.attachment(params["download"], target.key)
    title = _words(params, "title", MAX_TITLE)
    message = _words(params, "message", MAX_MESSAGE)
    needs_page = limited or has_code or upload is not None
    if needs_page and params["page"] is False:
        raise bad_body('"page": false is not possible with "max_uses", "password" or "upload"')
    origin = origin_of(request, invocation, needs_page=needs_page or bool(params["page"]))
    page = (
        params["page"]
        if params["page"] is not None
        else invocation.config.public_url is not None and not is_folder
    )
    state = state_for(invocation)
    if method == "GET" and not params["allow_missing"]:
        (_check_folder_exists if is_folder else _check_exists)(target, invocation)
    if limited or upload is not None:
        state.probe(invocation.now)
    now = int(invocation.now)
    uses = upload["max_files"] if upload is not None else params["max_uses"]
    record = Record(
        hash="",
        path=path,
        mount=mount.path,
        target=str(mount.target),
        method=method,
        owner=caller.id,
        owner_tag=owner_tag(caller.owner),
        created_at=now,
        expires_at=now + seconds,
        page=page,
        download=params["download"],
        uses=uses,
        upload=upload,
        password=None,
        title=title,
        message=message,
    )
    code = new_code() if has_code else None
    secret, record = _write(state, caller, record, code)
    document = {
        "url": share_address(origin, share_path(record), secret),
        "id": record.id,
        "expires_at": rfc3339(record.expires_at),
        "clamped_by": clamped_by,
    }
    if code:
        document["password"] = code
    if is_folder:
        document["covers"] = "Everything below this path, also what is added later."
    links.note(invocation.facts, target, share=record.id, expires_at=document["expires_at"])
    return json_response(document, 201)


def _write(state: Store, caller: Caller, record: Record, code: str | None) -> tuple[str, Record]:
    """The secret of a new share, and its record, which is written before its entry in the index."""
    for last in (False, True):
        # The second try has a new secret: if the first arrives late, nobody knows its address.
        secret = records.new_secret()
        hashed = code_hash(secret, code) if code is not None else None
        record = record._replace(hash=records.secret_hash(secret), password=hashed)
        try:
            records.save(state, record)
            records.add_to_index(state, caller.owner, record)
            break
        except StoreError:
            if last:
                raise
    return secret, record


def extend(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`POST /-/shares/{id}`: a later end, counted from now; also after the end of the share.

    It requires what creating the same share now requires. Raises the 410 `share_revoked` or `share_owner_removed`, the
    404 `not_found` where the mount is another, the 409 `not_shareable`, and the 400 `bad_expires` for no later end.
    """
    state, record = list_shares.find(share_id, invocation)
    caller = invocation.require_caller()
    now = int(invocation.now)
    params = request.json({"expires": str}, required=("expires",))
    target = _shareable(invocation, record.path, record.is_folder, record.method)
    mount = target.mount
    fault = share_fault(record, target, now + 1, current.current_keys(invocation), now)
    if fault is not None:
        creating = {
            "share_invalid": Problem("not_found"),
            "share_not_enabled": Problem("not_shareable"),
        }
        raise creating.get(fault.code, fault)
    clamped_by, seconds = _resolve_expiry(params["expires"], mount, caller)
    expires_at = now + seconds
    latest = record.created_at + 2 * (mount.max_share or 0)
    if expires_at > latest:
        clamped_by = "mount"
        expires_at = latest
    if expires_at <= max(now, records.load_end(state, record)):
        raise Problem(
            "bad_expires", f'"expires" must be a later end. The latest is {rfc3339(latest)}.'
        )
    records.extend(state, record.id, expires_at)
    invocation.facts.update(mount=mount.path, expires_at=rfc3339(expires_at))
    return json_response(
        {**list_shares.describe(state, record, invocation), "clamped_by": clamped_by}
    )


def revoke(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`DELETE /-/shares/{id}`: 204, also for a share that is already revoked."""
    state, record = list_shares.find(share_id, invocation)
    if record.revoked_at is None:
        records.save(state, record._replace(revoked_at=int(invocation.now)))
    return Response(204, {})


def _shareable(invocation: Invocation, path: str, is_folder: bool, method: str) -> Target:
    """The target of a path that the caller may share.

    Raises the 404 `not_found` for a path that the caller may not see, 403 `share_not_allowed` if they may not share it,
    and the 409 `not_shareable`.
    """
    caller = invocation.require_caller()
    target = invocation.config.mounts.find(path, prefix=path.endswith("/"))
    mount = target.mount
    if path == mount.path and method != "POST" and not mount.lists:
        raise Problem("not_found")
    if not caller.allows(path, "SHARE"):
        raise Problem("share_not_allowed") if caller.sees(mount, path) else Problem("not_found")
    if is_folder and mount.lists and not all(caller.allows(path, each) for each in ("GET", "LIST")):
        raise Problem(
            "share_not_allowed",
            "A folder can only be shared with the methods SHARE, GET and LIST for it.",
        )
    if mount.max_share is None:
        raise Problem("not_shareable")
    if is_folder and not mount.lists:
        raise Problem(
            "not_shareable",
            "Folders can only be shared on a mount that has list = true in links.toml.",
        )
    return target


def _words(params: dict[str, Any], name: str, maximum: int) -> str | None:
    """What the sender says. Raises the 400 `bad_body`."""
    value: str | None = params[name]
    if value is None:
        return None
    text = value.replace("\r\n", "\n")
    if not 1 <= len(text) <= maximum or not text.strip():
        raise bad_body(f'"{name}" must have 1 to {maximum} characters, not only spaces')
    if re.search(_UNFIT, text) or (name == "title" and "\n" in text):
        raise bad_body(f'"{name}" must be valid UTF-8 without control characters')
    return text


def _check_exists(target: Target, invocation: Invocation) -> None:
    """Raises the 404 `no_such_object`. An object in cold storage exists, and can be restored after it is shared."""
    try:
        head_object(target, {}, invocation)
    except Problem as problem:
        if problem.code == "not_found":
            raise Problem("no_such_object") from None
        if problem.code != "object_archived":
            raise


def _check_folder(params: dict[str, Any], has_code: bool) -> None:
    """Raises a 400 `Problem`, or the 409 `folder_not_limited`, for what only an object can have."""
    if params["max_uses"] is not None or has_code:
        raise Problem("folder_not_limited")
    if params["download"]:
        raise bad_body(
            '"download" of a folder must be empty: each file is saved under its own name'
        )


def _check_folder_exists(target: Target, invocation: Invocation) -> None:
    """Raises the 404 `no_such_object` for a folder without anything in it, which costs a list."""
    page = list_folder(authorize(invocation, target, "LIST", ()), invocation, "", 1, "")
    if not page.objects and not page.prefixes:
        raise Problem("no_such_object")


def _upload(params: dict[str, Any], target: Target, invocation: Invocation) -> dict[str, Any]:
    """The limits of an upload share, each within the mount's. Raises a 400 `Problem`."""
    if not target.path.endswith("/"):
        raise bad_body('"path" of an upload share must end with "/": files are stored below it')
    if params["max_uses"] is not None or params["download"] is not None:
        raise bad_body(
            '"max_uses" and "download" are not allowed for uploads; use "upload": {"max_files": …}'
        )
    if len(target.key.encode()) > MAX_PREFIX:
        raise bad_body('"path" is too long: file names are added to it')
    check_prefix(invocation.config, target)
    mount = target.mount
    upload = read_members(params["upload"] or {}, UPLOAD_MEMBERS)
    max_files = 1 if upload["max_files"] is None else upload["max_files"]
    if not 1 <= max_files <= MAX_FILES:
        raise bad_body(f'"upload.max_files" must be from 1 to {MAX_FILES}')
    max_size = (
        min(mount.max_size or 0, MAX_UPLOAD) if upload["max_size"] is None else upload["max_size"]
    )
    content_type = upload["content_type"]
    if content_type is not None:
        # A prefix may include active types: each file has one exact type, which is checked when it is sent.
        check_type(f"{content_type}any" if content_type.endswith("/") else content_type, mount)
    return {
        "max_size": check_size(max_size, mount, MAX_UPLOAD),
        "max_files": max_files,
        "content_type": content_type,
    }


def _resolve_expiry(expires: str | None, mount: Mount, caller: Caller) -> tuple[str | None, int]:
    """What limits the lifetime of a share (None, "mount" or "caller"), and its seconds."""
    limits = [ExpiryLimit("mount", mount.max_share or 0)]
    if caller.max_share is not None:
        limits.append(ExpiryLimit("caller", caller.max_share))
    if expires is None:
        return None, min(shares.DEFAULT_EXPIRES, *(limit.seconds for limit in limits))
    return links.apply_limits(links.read_expires(expires), tuple(limits))
