"""`/-/shares`: create, extend and revoke shares."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from signer import SignerError
from signer.common.listing import PAGE
from signer.times import rfc3339

from ...core import links, shares
from ...core.auth import authorize
from ...core.cloud.oss import (
    StoreError,
    head_object,
    in_time,
    list_folder,
    mount_client,
    oss_unavailable,
)
from ...core.cloud.store import Store
from ...core.config import Mount, Target
from ...core.context import Caller, Invocation
from ...core.errors import HandlerError, Problem, bad_body
from ...core.keys import current
from ...core.request import Request, read_members
from ...core.shares import record as records
from ...core.shares import uses
from ...core.shares.address import share_address, share_path
from ...core.shares.code import code_hash, new_code
from ...core.shares.new import (
    UploadLimits,
    Wish,
    check_shareable,
    draft_share,
    place_share,
    resolve_expiry,
)
from ...core.shares.opening import share_fault
from ...core.shares.record import Record
from ...core.words import Words, read_words
from ..response import Response, body_path, json_response, origin_of
from . import list_shares

MEMBERS = {
    "path": str,
    "method": str,
    "expires": str,
    "max_uses": int,
    "download": str,
    "page": bool,
    "password": bool,
    **dict.fromkeys(Words._fields, str),
    "allow_missing": bool,
    "upload": dict,
    "files": int,
}
UPLOAD_MEMBERS = {"max_size": int, "max_files": int, "content_type": str}
DAY = 86_400  # seconds


def create(request: Request, invocation: Invocation) -> Response:
    """`POST /-/shares`: 201 with the address of a new share.

    Raises the 404 `not_found` for a path that the caller may not see, 403 `share_not_allowed` if they may not share it.
    """
    caller = list_shares.owner(invocation)
    params = request.json(MEMBERS, required=("path",))
    wish = _wish(params)
    target = _sharers_target(invocation, body_path(invocation, params["path"]), wish.method)
    draft = draft_share(invocation.config, target, wish, caller)
    record = draft.record
    origin = origin_of(request, invocation, needs_page=record.page)
    if record.method == "GET" and not params["allow_missing"]:
        (_check_folder_exists if record.is_folder else _check_exists)(target, invocation)
    state, record = place_share(invocation, record)
    code = new_code() if draft.has_code else None
    secret, record = _write(state, caller, record, code)
    document: dict[str, object] = {
        "url": share_address(origin, share_path(record), secret),
        "id": record.id,
        "expires_at": rfc3339(record.expires_at),
        "clamped_by": draft.clamped_by,
    }
    if code:
        document["password"] = code
    if record.is_folder:
        document["covers"] = "Everything below this path, also what is added later."
    if record.method == "GET":
        document |= _deletion(target, record.expires_at, invocation)
    if record.upload is not None:
        document["received_at"] = list_shares.received_at(record, invocation)
    links.log_target(
        invocation.audit_fields, target, share=record.id, expires_at=document["expires_at"]
    )
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
    """`POST /-/shares/{id}`: a later end, counted from now, also after the end of the share; more uses; or both.

    It requires what creating the same share now requires. Raises the 410 `share_revoked`, `share_owner_removed`, and
    `share_expired` or `share_used_up` unless it changes that; the 404 `not_found` where the mount is another, the 409
    `not_shareable` or `share_not_limited`, and the 400 `bad_expires` or `bad_body` for no later end and no more uses.
    """
    state, record = list_shares.find(share_id, invocation)
    now = int(state.now())
    params = request.json({"expires": str, "max_uses": int})
    expires = params["expires"]
    max_uses = params["max_uses"]
    if expires is None and max_uses is None:
        raise bad_body('"expires" or "max_uses" is required')
    target = _sharers_target(invocation, record.path, record.method)
    check_shareable(target, is_folder=record.is_folder)
    fault = share_fault(record, target, now + 1, current.current_keys(invocation), now)
    if fault is not None:
        raise _as_of_a_new_one(fault)
    _check_uses(state, record, max_uses)
    end = records.load_end(state, record)
    clamped_by = None
    if expires is not None:
        clamped_by, end = _later_end(invocation, record, target.mount, expires, max(now, end), now)
        records.extend(state, record.id, end)
    elif end <= now:
        raise Problem("share_expired")
    if max_uses is not None:
        max_uses = records.extend_uses(state, record, max_uses)
    invocation.audit_fields.update(mount=target.mount.path, expires_at=rfc3339(end))
    document = list_shares.describe(state, record, invocation)
    if max_uses is not None:
        document["max_uses"] = max_uses  # which is read only once those of the record are used up
    document["clamped_by"] = clamped_by
    if record.method == "GET":
        document |= _deletion(target, end, invocation)
    return json_response(document)


def _as_of_a_new_one(fault: Problem) -> Problem:
    """The problem that creating the same share has now, for that of opening it."""
    if fault.code == "share_invalid":
        return Problem("not_found")
    return Problem("not_shareable") if fault.code == "share_not_enabled" else fault


def _later_end(
    invocation: Invocation, record: Record, mount: Mount, expires: str, end: int, now: int
) -> tuple[str | None, int]:
    """What limits the new end (None, mount or caller), and that end. Raises the 400 `bad_expires` for no later one."""
    caller = invocation.require_caller()
    clamped_by, seconds = resolve_expiry(links.read_expires(expires), mount, caller)
    latest = record.created_at + 2 * (mount.max_share or 0)
    later = now + seconds
    if later > latest:
        clamped_by = "mount"
        later = latest
    if later <= end:
        raise Problem(
            "bad_expires", f'"expires" must be a later end. The latest is {rfc3339(latest)}.'
        )
    return clamped_by, later


def _check_uses(state: Store, record: Record, max_uses: int | None) -> None:
    """Raises a `Problem` for no larger number of uses, and without one for a share that is used up."""
    if record.uses is None or record.upload is not None:
        if max_uses is not None:
            raise Problem("share_not_limited")
    elif max_uses is None:
        uses.left(
            state, record, 'Every download of it was used: raise "max_uses" in the same request.'
        )
    elif not (total := records.load_uses(state, record)) < max_uses <= shares.MAX_USES:
        raise bad_body(
            f'"max_uses" must be the new total: more than {total}, and at most {shares.MAX_USES}'
        )


def revoke(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`DELETE /-/shares/{id}`: 204, also for a share that is already revoked.

    What the sender wrote goes with it: nobody reads it again, and it may name a person.
    """
    state, record = list_shares.find(share_id, invocation)
    revoked = records.revoke(record, int(state.now()))
    if revoked != record:
        records.save(state, revoked)
    return Response(204, {})


def _sharers_target(invocation: Invocation, path: str, method: str) -> Target:
    """The target of a path that the caller may share.

    Raises the 404 `not_found` for a path that the caller may not see, 403 `share_not_allowed` if they may not share it.
    """
    caller = invocation.require_caller()
    is_prefix = path.endswith("/")
    target = invocation.config.mounts.find(path, prefix=is_prefix)
    mount = target.mount
    if path == mount.path and method != "POST" and not mount.lists:
        raise Problem("not_found")
    if not caller.allows(path, "SHARE"):
        raise Problem("share_not_allowed") if caller.sees(mount, path) else Problem("not_found")
    is_listed = is_prefix and method != "POST" and mount.lists
    if is_listed and not all(caller.allows(path, each) for each in ("GET", "LIST")):
        raise Problem(
            "share_not_allowed",
            "A folder can only be shared with the methods SHARE, GET and LIST for it.",
        )
    return target


def _wish(params: Mapping[str, Any]) -> Wish:
    """What the share must be, from the members of the request. Raises the 400 `bad_body` or `bad_expires`."""
    expires = params["expires"]
    upload = params["upload"]
    return Wish(
        method=params["method"] or "GET",
        seconds=None if expires is None else links.read_expires(expires),
        uses=params["max_uses"],
        download=params["download"],
        page=params["page"],
        has_code=params["password"],
        words=read_words(params),
        upload=None if upload is None else UploadLimits(**read_members(upload, UPLOAD_MEMBERS)),
        files=params["files"],
    )


def _check_exists(target: Target, invocation: Invocation) -> None:
    """Raises the 404 `no_such_object`. An object in cold storage exists, and can be restored after it is shared."""
    try:
        head_object(target, {}, invocation)
    except Problem as problem:
        if problem.code == "not_found":
            raise Problem("no_such_object") from None
        if problem.code != "object_archived":
            raise


def _check_folder_exists(target: Target, invocation: Invocation) -> None:
    """Raises the 404 `no_such_object` for a folder without anything in it, which costs a list."""
    page = list_folder(authorize(invocation, target, "LIST", ()), invocation, "", 1, "")
    if not page.objects and not page.prefixes:
        raise Problem("no_such_object")


def _deletion(target: Target, end: int, invocation: Invocation) -> dict[str, str]:
    """`deleted_at`, if OSS deletes the object before the share ends at `end` (Unix seconds), by `delete_after`.

    Of a folder, it is that of the oldest object on its first page. OSS counts from the next midnight (UTC). Source: its
    page on why objects are not deleted at the time of a lifecycle rule.
    """
    seconds = target.mount.delete_after
    stored: list[float] = []
    with suppress(HandlerError, SignerError):  # a share is made also where OSS does not say it
        if seconds is not None:  # the share is made already: nobody waits long for this
            stored = in_time(lambda: _stored_at(target, invocation), oss_unavailable)
    if seconds is None or not stored:
        return {}
    deleted_at = -(-int(min(stored)) // DAY) * DAY + seconds
    return {"deleted_at": rfc3339(deleted_at)} if deleted_at < end else {}


def _stored_at(target: Target, invocation: Invocation) -> list[float]:
    """When the object, or those of a folder, were stored (Unix seconds). Raises a `HandlerError` or `SignerError`."""
    if target.path.endswith("/"):
        access = authorize(invocation, target, "LIST", ())
        times = [each.modified for each in list_folder(access, invocation, "", PAGE, "").objects]
    else:
        response = mount_client(invocation, target.mount).head(target.location)
        times = [response.time("last-modified")] if response.ok else []
    return [each for each in times if each is not None]
