"""An upload share: the page where people drop files, and for each file a form with a key that the service chooses."""

from __future__ import annotations

import re
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from signer.sizes import MAX_PUT
from signer.times import rfc3339

from ...core import outbox
from ...core.auth import authorize
from ...core.context import ExpiryLimit
from ...core.errors import Problem, bad_body
from ...core.shares import uses
from ...core.shares.opening import OpenedShare, is_nonce
from .. import pages
from ..response import Response, json_response, note_link
from ..uploads import check_type
from .form import sign_form

MEMBERS = {"name": str, "size": int, "type": str, "nonce": str, "again": bool, "password": str}
MAX_NAME = 200  # bytes

# Anyone may send a form, so it leaves nothing open that has a harmless value. "identity" is the default of OSS.
FIXED_FIELDS = {
    "x-oss-storage-class": "Standard",
    "x-oss-server-side-encryption": "AES256",
    "content-disposition": "attachment",
    "content-encoding": "identity",
    "cache-control": "no-cache",
}

# "$" too: OSS replaces ${filename} in the key of a form.
_UNSAFE = re.compile(rf"[\x00-\x1f\x7f-\x9f/\\${pages.DIRECTION}]")


def answer(opened: OpenedShare, upload: dict[str, Any], *, is_page: bool) -> Response:
    """The page of an upload share or its facts as JSON; for a POST, the form for one file."""
    # A limit of the mount that was lowered later holds for existing shares too.
    upload = {**upload, "max_size": min(upload["max_size"], opened.target.mount.max_size or 0, MAX_PUT)}
    if opened.request.method == "POST":
        return _form(opened, upload)
    record, shown = opened.record, None
    shared = pages.SharedPage(record.title, record.message, opened.expires_at())
    if record.password is None:
        files_left = uses.files_left(opened.state, record.id, _folder(opened), upload["max_files"])
        if not is_page:
            expires_at = rfc3339(shared.expires_at)
            return json_response({**upload, "files_left": files_left, "expires_at": expires_at, "use": "POST"})
        shown = pages.SharedUpload(upload["max_size"], upload["content_type"], files_left)
    language = opened.request.headers.get("accept-language", "")
    return pages.upload_page(language, shared, shown, link_origin=opened.link_origin)


def safe_name(name: str) -> str:
    """A file name as the last segment of a key, without characters that could mislead a path, a shell or a reader."""
    safe = _UNSAFE.sub("_", name).strip(". ") or "file"
    # Shortened at the front, so that the extension stays.
    while len(safe.encode(errors="replace")) > MAX_NAME:
        safe = safe[1:]
    return safe.encode(errors="replace").decode().strip(". ") or "file"


def _folder(opened: OpenedShare) -> uses.Folder:
    return uses.Folder.of(opened.state, opened.invocation, opened.target, opened.record.id)


def _form(opened: OpenedShare, upload: dict[str, Any]) -> Response:
    """200 with the form for one exact key, `{prefix}{share id}/{n}-{safe name}`."""
    params = opened.request.json(MEMBERS, required=("name", "size"))
    opened.check_code(params["password"])
    if not 0 <= params["size"] <= upload["max_size"]:
        raise Problem("too_large", f"A file must not exceed {upload['max_size']} bytes.")
    # A browser sends an empty type if it knows none.
    content_type = check_type(params["type"] or None, opened.target.mount)
    allowed = upload["content_type"]
    matches = allowed is None or content_type == allowed or (allowed.endswith("/") and content_type.startswith(allowed))
    if not matches:
        raise Problem("wrong_type", f"The type of a file must be {allowed}.")
    nonce = params["nonce"] or token_urlsafe(18)
    if not is_nonce(nonce):
        raise bad_body('"nonce" must be 16 to 64 letters, digits, - or _')
    invocation = opened.invocation
    name = safe_name(params["name"])
    # The claim contains the name: otherwise one number would be valid for any number of keys.
    identity = sha256(f"{nonce}\n{name}".encode()).hexdigest()
    folder, max_files, again = _folder(opened), upload["max_files"], bool(params["again"])
    share_id, notify = opened.record.id, outbox.use_writer(opened)
    number, seconds_left = uses.claim_file(
        opened.state, share_id, folder, max_files, identity, invocation.now, again=again, notify=notify
    )
    target = invocation.config.mounts.find(f"{opened.target.path}{share_id}/{number}-{name}")
    limits = (*opened.limits(), ExpiryLimit("share", seconds_left))
    access = authorize(invocation, target, "POST", limits)
    form, clamped_by = sign_form(access, invocation, params["size"], 0, content_type, fixed=FIXED_FIELDS)
    note_link(invocation.facts, target, form.expires_in, clamped_by)
    return json_response(
        {
            "url": form.url,
            "fields": form.fields,
            "expires_at": rfc3339(form.expires_at.timestamp()),
            "number": number,
            "nonce": nonce,
        }
    )
