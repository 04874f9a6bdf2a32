"""`/-/shares`: create, show and revoke shares."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from signer.sizes import MAX_PUT
from signer.times import rfc3339

from ...core import links, shares
from ...core.auth import authorize
from ...core.cloud.oss import head_object, list_folder
from ...core.cloud.store import Store, state_for
from ...core.config import Mount, Target
from ...core.context import Caller, ExpiryLimit, Invocation
from ...core.errors import Problem, bad_body
from ...core.keys import current
from ...core.paths import check_path
from ...core.request import Request, read_members
from ...core.shares import records, uses
from ..response import Response, json_response, origin_of
from ..uploads import check_prefix, check_size, check_type

MEMBERS = {
    "path": str,
    "method": str,
    "expires": str,
    "max_uses": int,
    "revocable": bool,
    "download": str,
    "page": bool,
    "allow_missing": bool,
    "upload": dict,
}
UPLOAD_MEMBERS = {"max_size": int, "max_files": int, "content_type": str}
MAX_FILES = 100
MAX_PREFIX = 768  # bytes; the share's id, a number and a file name follow it
_PLAIN = "plain."


def create(request: Request, invocation: Invocation) -> Response:
    """`POST /-/shares`: 201 with the address of a new share.

    Raises the 404 `not_found` for a path that the caller may not see, 403 `share_not_allowed` if they may not share it.
    """
    caller = invocation.require_caller()
    params = request.json(MEMBERS, required=("path",))
    method = params["method"] or "GET"
    path = check_path(params["path"])
    target = invocation.config.mounts.find(path, prefix=path.endswith("/"))
    mount = target.mount
    is_folder = method != "POST" and path.endswith("/") and mount.lists
    if path == mount.path and method != "POST" and not is_folder:
        raise Problem("not_found")
    if not caller.allows(path, "SHARE"):
        raise Problem("share_not_allowed") if caller.sees(mount, path) else Problem("not_found")
    if is_folder and not all(caller.allows(path, each) for each in ("GET", "LIST")):
        raise Problem("share_not_allowed", "A folder can only be shared with the methods SHARE, GET and LIST for it.")
    if mount.max_share is None:
        raise Problem("not_shareable")
    if method not in ("GET", "POST"):
        raise bad_body('"method" must be GET or POST')
    if method not in mount.methods:
        raise bad_body(f"{method} is not enabled for this mount (enabled: {', '.join(mount.methods)})")
    shares.check_app_package(target)
    upload = _upload(params, target, invocation) if method == "POST" else None
    if method == "GET" and params["upload"] is not None:
        raise bad_body('"upload" requires "method": "POST"')
    if is_folder:
        _check_folder(params, path)
    clamped_by, seconds = _resolve_expiry(params["expires"], mount, caller)
    limited, page = params["max_uses"] is not None, bool(params["page"])
    if limited and not 1 <= params["max_uses"] <= shares.MAX_USES:
        raise bad_body(f'"max_uses" must be from 1 to {shares.MAX_USES}')
    if params["download"] is not None and mount.cdn is not None:
        raise Problem("download_not_signed")
    if params["download"]:
        links.attachment(params["download"], target.key)
    origin = origin_of(request, invocation, needs_page=limited or page or upload is not None)
    keys = current.current_keys(invocation)
    if not keys.share:
        raise Problem("no_share_key")
    if method == "GET" and not params["allow_missing"]:
        (_check_folder_exists if is_folder else _check_exists)(target, invocation)
    expires_at = int(invocation.now) + seconds
    record_id = None
    if limited or upload is not None or params["revocable"] or mount.record_shares:
        record = records.Record(
            path=path,
            target=str(mount.target),
            method=method,
            uses=upload["max_files"] if upload is not None else params["max_uses"],
            expires_at=expires_at,
            owner=caller.id,
            created_at=int(invocation.now),
            upload=upload,
        )
        state = state_for(invocation)
        if record.uses is not None:
            state.probe(invocation.now)
        record_id = records.create(state, caller.owner, record)
    owner, depth = shares.owner_tag(caller.owner), path.count("/") if is_folder else 0
    share = shares.Share(expires_at, method, page, record_id, params["download"], owner, depth)
    token = shares.sign(share, target, keys.share)
    invocation.facts.update(mount=mount.path, share=record_id)
    document = {
        "url": f"{origin}{quote(path, safe='/')}?share={token}",
        "id": record_id or _PLAIN + keys.share[-1].id,
        "expires_at": rfc3339(expires_at),
        "clamped_by": clamped_by,
        **({"covers": "Everything below this path, also what is added later."} if is_folder else {}),
    }
    return json_response(document, 201)


def show(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`GET /-/shares/{id}`: the record of a share, and its uses."""
    state, record = _find(share_id, invocation)
    document = {
        "id": share_id,
        "path": record.path,
        "method": record.method,
        "expires_at": rfc3339(record.expires_at),
        "max_uses": record.uses,
        "uses": uses.count(state, share_id, record, invocation)[0],
        "revoked": record.revoked_at is not None,
    }
    return json_response(document)


def revoke(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`DELETE /-/shares/{id}`: 204, also for a share that is already revoked."""
    state, record = _find(share_id, invocation)
    if record.revoked_at is None:
        records.save(state, share_id, record._replace(revoked_at=int(invocation.now)))
    invocation.facts["share"] = share_id
    return Response(204, {})


def _check_exists(target: Target, invocation: Invocation) -> None:
    """Raises the 404 `no_such_object`. An object in cold storage exists, and can be restored after it is shared."""
    try:
        head_object(target, {}, invocation)
    except Problem as problem:
        if problem.code == "not_found":
            raise Problem("no_such_object") from None
        if problem.code != "object_archived":
            raise


def _check_folder(params: dict[str, Any], path: str) -> None:
    """Raises a 400 `Problem`, or the 409 `folder_not_limited`, for what only an object can have."""
    if params["max_uses"] is not None:
        raise Problem("folder_not_limited")
    if params["download"]:
        raise bad_body('"download" of a folder must be empty: each file is saved under its own name')
    if path.count("/") > shares.MAX_DEPTH:
        raise bad_body(f'"path" of a folder must have at most {shares.MAX_DEPTH} segments')


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
        raise bad_body('"max_uses" and "download" are not allowed for uploads; use "upload": {"max_files": …}')
    if len(target.key.encode()) > MAX_PREFIX:
        raise bad_body('"path" is too long: file names are added to it')
    check_prefix(invocation.config, target)
    mount = target.mount
    upload = read_members(params["upload"] or {}, UPLOAD_MEMBERS)
    max_files = 1 if upload["max_files"] is None else upload["max_files"]
    if not 1 <= max_files <= MAX_FILES:
        raise bad_body(f'"upload.max_files" must be from 1 to {MAX_FILES}')
    max_size = min(mount.max_size or 0, MAX_PUT) if upload["max_size"] is None else upload["max_size"]
    content_type = upload["content_type"]
    if content_type is not None:
        # A prefix may include active types: each file has one exact type, which is checked when it is sent.
        check_type(f"{content_type}any" if content_type.endswith("/") else content_type, mount)
    return {"max_size": check_size(max_size, mount), "max_files": max_files, "content_type": content_type}


def _resolve_expiry(expires: str | None, mount: Mount, caller: Caller) -> tuple[str | None, int]:
    """What limits the lifetime of a share (None, "mount" or "caller"), and its seconds."""
    limits = [ExpiryLimit("mount", mount.max_share or 0)]
    if caller.max_share is not None:
        limits.append(ExpiryLimit("caller", caller.max_share))
    if expires is None:
        return None, min(shares.DEFAULT_EXPIRES, *(limit.seconds for limit in limits))
    return links.apply_limits(links.read_expires(expires), tuple(limits))


def _find(share_id: str, invocation: Invocation) -> tuple[Store, records.Record]:
    """The record of a share whose path the caller may share. Raises a 404 or, for a plain share, a 409 `Problem`."""
    caller = invocation.require_caller()
    if share_id.startswith(_PLAIN):
        key_id = share_id[len(_PLAIN) :]
        keys = current.current_keys(invocation)
        if "SHARE" in caller.methods and any(key.id == key_id for key in keys.share):
            advice = f"retire the key that signed it ({key_id}), with everything else that this key signed"
            command = f"python -m handler.commands keys rotate-share --retire {key_id}"
            sentence = f"A plain share has no record of its own. To revoke it, {advice}: {command}"
            raise Problem("share_is_plain", sentence)
        raise Problem("not_found")
    if not shares.RECORD_ID.fullmatch(share_id) or invocation.config.state is None:
        raise Problem("not_found")
    state = state_for(invocation)
    record = records.load(state, share_id)
    if record is None or not caller.allows(record.path, "SHARE"):
        raise Problem("not_found")
    return state, record
