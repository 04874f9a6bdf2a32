"""An upload share: the page where people drop files, and what sends each of them to a key that the service chooses.

A small file gets a form. A large one gets the links of an upload in parts, which the service begins and completes: so
it decides on the headers of the object, and no object is larger than it was announced.
"""

from __future__ import annotations

import re
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from signer.sizes import format_size
from signer.times import rfc3339

from ...core import links, outbox
from ...core.auth import authorize
from ...core.cloud import parts
from ...core.cloud.oss import OssUnavailable
from ...core.config import Target
from ...core.context import ExpiryLimit
from ...core.errors import Problem, bad_body
from ...core.paths import TAGS, UNSEEN
from ...core.shares import uses
from ...core.shares.opening import OpenedShare, is_nonce
from ...core.uploads import check_type
from .. import pages
from ..response import Response, json_response
from . import multipart
from .form import sign_form
from .shared_file import shared_page

MEMBERS: dict[str, type] = {
    "name": str,
    "size": int,
    "type": str,
    "nonce": str,
    "again": bool,
    "password": str,
}
MEMBERS |= {"upload_id": str, "from": int, "count": int, "complete": bool}
MAX_SENT_NAME = 1024  # characters
MAX_NAME = 200  # bytes of what is left of it in a key
# Of a form, whose policy is the only documented limit of what OSS stores. A presigned PUT would leave headers open.
MAX_FORM = 64 * 1024**2  # bytes
MIN_SECONDS = 10.0  # of the invocation, for one request to OSS

# Anyone may send a file, so nothing is left open that has a harmless value. "identity" is the default of OSS.
FIXED_FIELDS = {
    "x-oss-storage-class": "Standard",
    "x-oss-server-side-encryption": "AES256",
    "content-disposition": "attachment",
    "content-encoding": "identity",
    "cache-control": "no-cache",
}

# "$" too: OSS replaces ${filename} in the key of a form.
_UNSAFE = re.compile(rf"[/\\${UNSEEN}{TAGS}]")


def answer(opened: OpenedShare, limits: dict[str, Any], *, is_page: bool) -> Response:
    """The page of an upload share or what it says as JSON; for a POST, what sends one file."""
    # A limit of the mount that was lowered later holds for existing shares too.
    limits = {**limits, "max_size": min(limits["max_size"], opened.target.mount.max_size or 0)}
    if opened.request.method == "POST":
        return _answer_file(opened, limits)
    record = opened.record
    shown = None
    shared = shared_page(opened)
    if record.password is None:
        files_left = _places(opened, limits).left()
        if not is_page:
            expires_at = rfc3339(shared.expires_at)
            return json_response(
                {**limits, "files_left": files_left, "expires_at": expires_at, "use": "POST"}
            )
        shown = pages.SharedUpload(limits["max_size"], limits["content_type"], files_left)
    language = opened.request.headers.get("accept-language", "")
    return pages.upload_page(language, shared, shown, link_origin=opened.target.mount.link_origin)


def safe_name(name: str) -> str:
    """A file name as the last segment of a key, without characters that could mislead a path, a shell or a reader."""
    safe = _UNSAFE.sub("_", name).strip(". ") or "file"
    # Shortened at the front, so that the extension stays.
    last = safe.encode(errors="replace")[-MAX_NAME:]
    return last.decode(errors="ignore").strip(". ") or "file"


def _places(opened: OpenedShare, limits: dict[str, Any]) -> uses.Places:
    folder = uses.Folder.of(opened.state, opened.invocation, opened.target, opened.record.id)
    return uses.Places(
        state=opened.state,
        record_id=opened.record.id,
        folder=folder,
        files=limits["max_files"],
        notify=outbox.use_writer(opened),
    )


def _answer_file(opened: OpenedShare, limits: dict[str, Any]) -> Response:
    """200 with the form or the parts of one file, further parts, or what completing them came to."""
    params = opened.request.json(MEMBERS)
    opened.check_code(params["password"])
    if params["upload_id"] is not None:
        return _continue(opened, limits, params)
    if params["name"] is None or params["size"] is None:
        raise bad_body('"name" and "size" are required')
    if len(params["name"]) > MAX_SENT_NAME:
        raise bad_body(f'"name" must have at most {MAX_SENT_NAME:,} characters')
    _check_size(params["size"], limits)
    # A browser sends an empty type if it knows none.
    content_type = check_type(params["type"] or None, opened.target.mount)
    allowed = limits["content_type"]
    matches = (
        allowed is None
        or content_type == allowed
        or (allowed.endswith("/") and content_type.startswith(allowed))
    )
    if not matches:
        raise Problem("wrong_type", f"The type of a file must be {allowed}.")
    nonce = params["nonce"] or token_urlsafe(18)
    if not is_nonce(nonce):
        raise bad_body('"nonce" must be 16 to 64 letters, digits, - or _')
    file = uses.File("", safe_name(params["name"]), params["size"], content_type)
    file = file._replace(identity=_identity(nonce, file))
    begin = _form if file.size <= MAX_FORM else _begin
    return json_response(
        {
            **begin(opened, _places(opened, limits), file, again=bool(params["again"])),
            "nonce": nonce,
        }
    )


def _check_size(size: int, limits: dict[str, Any]) -> None:
    if not 0 <= size <= limits["max_size"]:
        raise Problem("too_large", f"A file must have at most {format_size(limits['max_size'])}.")


def _form(
    opened: OpenedShare, places: uses.Places, file: uses.File, *, again: bool
) -> dict[str, object]:
    """The form for one exact key, `{prefix}{share id}/{n}-{safe name}`; none for a file that arrived."""
    invocation = opened.invocation
    number, seconds_left, is_whole = places.claim(file.identity, invocation.now, again=again)
    if is_whole:
        return {"number": number}
    target = _target(opened, number, file)
    access = authorize(
        invocation, target, "POST", (*opened.limits(), ExpiryLimit("share", seconds_left))
    )
    form, clamped_by = sign_form(
        access, opened.dated(), file.size, 0, file.content_type, fixed=FIXED_FIELDS
    )
    links.log_target(
        invocation.audit_fields, target, expires_in=form.expires_in, clamped_by=clamped_by
    )
    expires_at = rfc3339(form.expires_at.timestamp())
    return {"url": form.url, "fields": form.fields, "expires_at": expires_at, "number": number}


def _begin(
    opened: OpenedShare, places: uses.Places, file: uses.File, *, again: bool
) -> dict[str, object]:
    """The first parts of the file, whose multipart upload is begun if its number has none."""
    number = places.claim(file.identity, opened.invocation.now, again=again, lapsed=True).number
    recorded = places.file(number) if again else None
    if recorded is not None and not recorded.oss_id:
        return _begin(opened, places, file, again=False)
    if again:
        places.renew(number, file.identity, opened.invocation.now)
    if recorded is None:
        for surplus in places.surplus():
            _abort(opened, places, surplus)
        headers = {"Content-Type": file.content_type, **FIXED_FIELDS}
        upload = parts.begin(_target(opened, number, file), headers, opened.invocation)
        recorded = places.record_file(number, file._replace(oss_id=upload.oss_id))
        if recorded.oss_id != upload.oss_id:
            upload.abort()
    return _links(opened, number, recorded, 1, multipart.FIRST_LINKS)


def _continue(opened: OpenedShare, limits: dict[str, Any], params: dict[str, Any]) -> Response:
    """Further parts of a file, or its end. Raises the 404 `not_found` without the nonce of its number."""
    number = (
        int(params["upload_id"]) if re.fullmatch(r"[1-9][0-9]{0,8}", params["upload_id"]) else 0
    )
    places = _places(opened, limits)
    file = places.file(number)
    if file is None or file.identity != _identity(params["nonce"], file):
        raise Problem("not_found")
    _check_size(file.size, limits)
    first, count = multipart.chosen_parts(_part_plan(file), params["from"], params["count"])
    is_there = places.renew(number, file.identity, opened.invocation.now)
    if params["complete"]:
        is_there = is_there or _complete(opened, places, number, file)
        return json_response({"number": number}, 200 if is_there else 202)
    return json_response({**_links(opened, number, file, first, count), "nonce": params["nonce"]})


def _links(
    opened: OpenedShare, number: int, file: uses.File, first: int, count: int
) -> dict[str, object]:
    expiry_limits = (*opened.limits(), ExpiryLimit("share", int(uses.FORMS)))
    access = authorize(opened.invocation, _target(opened, number, file), "POST", expiry_limits)
    issued = multipart.part_links(
        _part_plan(file), access, opened.dated(), first, count, ends=False
    )
    return {"number": number, "upload": {"upload_id": str(number), **issued}}


def _complete(opened: OpenedShare, places: uses.Places, number: int, file: uses.File) -> bool:
    """Whether the object is there; otherwise the request must be sent again to learn it.

    Raises the 409 `parts_missing`, and the 400 `too_large` for an upload with other parts than the links are for.
    """
    upload = parts.MultipartUpload(_target(opened, number, file), opened.invocation, file.oss_id)
    plan = _part_plan(file)
    arrived = dict[int, tuple[int, str]]()
    lengths = {each: plan.length(each) for each in range(1, plan.part_count + 1)}
    try:
        for page in upload.arrived():
            arrived |= page
            if opened.invocation.seconds_left() < MIN_SECONDS:
                return False
        if any(size > lengths.get(each, -1) for each, (size, _) in arrived.items()):
            _abort(opened, places, number)
            raise Problem(
                "too_large", "A part is larger than its link allows: send the file again."
            )
        problem = Problem("parts_missing")
        problem.members["parts"] = [
            each for each in lengths if arrived.get(each, (-1,))[0] != lengths[each]
        ]
        if problem.members["parts"]:
            if number in uses.arrived(places.folder):  # meanwhile, so that its parts are gone
                return True
            raise problem
        if not places.end(number, is_whole=True):
            raise Problem("not_found")
        is_complete = upload.complete({each: arrived[each][1] for each in lengths})
    except OssUnavailable:
        return False
    except Problem as problem:
        if problem.code != "not_found":
            raise
        is_complete = False
    if not is_complete and not places.is_whole(number):
        _abort(opened, places, number)
        raise Problem("not_found")
    links.log_target(opened.invocation.audit_fields, upload.target)
    return True


def _abort(opened: OpenedShare, places: uses.Places, number: int) -> None:
    """Aborts the upload of a file, unless all of it is there, which its sender completes."""
    file = places.file(number)
    if file is not None and file.oss_id and places.end(number, is_whole=False):
        parts.MultipartUpload(_target(opened, number, file), opened.invocation, file.oss_id).abort()
        places.record_abort(number)


def _identity(nonce: str, file: uses.File) -> str:
    # The claim contains the file: otherwise one number would be valid for any number of keys.
    return sha256(f"{nonce}\n{file.name}\n{file.size}\n{file.content_type}".encode()).hexdigest()


def _target(opened: OpenedShare, number: int, file: uses.File) -> Target:
    return opened.invocation.config.mounts.find(
        f"{opened.target.path}{opened.record.id}/{number}-{file.name}"
    )


def _part_plan(file: uses.File) -> multipart.PartPlan:
    return multipart.PartPlan(file.oss_id, file.size, multipart.default_part(file.size))
