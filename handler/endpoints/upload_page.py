"""An upload share: a page where files are dropped, and a form for each of them, for a key that is chosen here."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from .. import links
from ..auth.admission import Admitted
from ..bodies import bad_body, read_json
from ..errors import Problem
from ..request import Answer
from ..shares import invalid, records
from . import forms, objects
from .open_share import Opening, is_nonce
from .uploads import MAX_PUT, check_type

FIELDS = {"name": str, "size": int, "type": str, "nonce": str, "again": bool}
MAX_NAME = 200  # bytes

# "$" too: OSS puts a file's own name where a form's key has ${filename}.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\$\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def answer(opening: Opening) -> Answer:
    """The page of an upload share; to a POST the form for one file."""
    record = opening.record
    if record is None or record.upload is None or opening.state is None or opening.share.record is None:
        raise invalid()
    # A mount that has become narrower since narrows what was shared before.
    upload = {**record.upload, "max_size": min(record.upload["max_size"], opening.mount.max_size or 0, MAX_PUT)}
    if opening.request.method == "POST":
        return _form(opening, upload)
    left = upload["max_files"] - records.used(opening.state, opening.share.record, upload["max_files"])
    if objects.answers_json(opening.request):
        document = {**upload, "files_left": left, "expires_at": links.rfc3339(opening.share.ends_at), "use": "POST"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(document))
    from ..pages import drop_page

    return drop_page(opening, upload, left)


def safe_name(name: str) -> str:
    """A file's name as the last segment of a key: what a path, a shell or a reader could be misled by is replaced."""
    safe = _UNSAFE.sub("_", name).strip(". ") or "file"
    # Cut at the front, so that the extension stays.
    while len(safe.encode(errors="replace")) > MAX_NAME:
        safe = safe[1:]
    return safe.encode(errors="replace").decode().strip(". ") or "file"


def _form(opening: Opening, upload: dict[str, Any]) -> Answer:
    """200 with the form for one exact key, `{prefix}{share id}/{n}-{safe name}`."""
    wish = read_json(opening.request, FIELDS, required=("name", "size"))
    if not 0 <= wish["size"] <= upload["max_size"]:
        raise Problem(400, "too_large", f"A file here has at most {upload['max_size']} bytes.")
    # A browser that knows no type names an empty one.
    kind = check_type(wish["type"] or None)
    allowed = upload["content_type"]
    if allowed is not None and not (kind.startswith(allowed) if allowed.endswith("/") else kind == allowed):
        raise Problem(400, "wrong_type", f"A file here is of the type {allowed}.")
    nonce = wish["nonce"] or token_urlsafe(18)
    if not is_nonce(nonce):
        raise bad_body("has a nonce that is not 16 to 64 letters, digits, - and _")
    invocation, mount, share = opening.invocation, opening.mount, opening.share
    if opening.state is None or share.record is None:
        raise invalid()
    bounds = (links.Bound("share", share.ends_at - int(invocation.now)),)
    name = safe_name(wish["name"])
    # The name belongs to the claim: otherwise one number would be good for any number of keys.
    claim = sha256(f"{nonce}\n{name}".encode()).hexdigest()
    again = bool(wish["again"])
    number = records.claim_file(opening.state, share.record, upload["max_files"], claim, invocation.now, again=again)
    key = f"{opening.key}{share.record}/{number}-{name}"
    admitted = Admitted(mount, opening.path, key, bounds)
    form, clamped_by = forms.make(admitted, invocation, wish["size"], 0, kind)
    facts = invocation.facts
    facts["mount"], facts["bucket"], facts["key"] = mount.path, mount.target.bucket, key
    facts["expires_in"], facts["clamped_by"] = form.expires_in, clamped_by
    document = {
        "url": form.url,
        "fields": form.fields,
        "expires_at": links.rfc3339(form.expires_at.timestamp()),
        "number": number,
        "nonce": nonce,
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document))
