"""Making, looking at and revoking shares."""

from __future__ import annotations

import json
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from .. import links, shares, state
from ..auth import Caller
from ..bodies import bad_body, read_json, read_members
from ..config import Mount
from ..errors import Problem, not_found
from ..keys import cache
from ..paths import check_path
from ..request import Answer, Invocation, Request
from ..shares import records
from .forms import check_prefix
from .objects import unauthorized
from .uploads import MAX_PUT, check_size, check_type

FIELDS = {
    "path": str,
    "method": str,
    "expires": str,
    "max_uses": int,
    "revocable": bool,
    "download": str,
    "page": bool,
    "upload": dict,
}
UPLOAD_FIELDS = {"max_size": int, "max_files": int, "content_type": str}
MAX_FILES = 100
MAX_PREFIX = 768  # bytes; below it stand the share's id, a number and a file's name
DEFAULT_EXPIRES = 7 * 86_400  # seconds
_PLAIN = "plain."


def create(request: Request, invocation: Invocation) -> Answer:
    """`POST /-/shares`: 201 with the address of a new share."""
    caller = _caller(invocation)
    wish = read_json(request, FIELDS, required=("path",))
    method = wish["method"] or "GET"
    mount, path, key = _target(wish["path"], method, caller, invocation)
    if mount.max_share is None:
        raise Problem(
            409, "not_shareable", "This mount takes no shares: its operators can set max_share in links.toml."
        )
    if method not in ("GET", "POST"):
        raise bad_body("has a method that is neither GET nor POST")
    if method not in mount.methods:
        raise bad_body(f"has the method {method}, which this mount does not allow")
    upload = _upload(wish, path, key, mount, invocation) if method == "POST" else None
    if method == "GET" and wish["upload"] is not None:
        raise bad_body("has an upload, which goes with the method POST")
    clamped_by, left = _life(wish["expires"], mount)
    limited, page = wish["max_uses"] is not None, bool(wish["page"])
    if limited and not 1 <= wish["max_uses"] <= shares.MAX_USES:
        raise bad_body(f"has max_uses that is not from 1 to {shares.MAX_USES}")
    if wish["download"]:
        links.attachment(wish["download"], key)
    origin = _origin(request, invocation, needs_page=limited or page or upload is not None)
    ends_at = int(invocation.now) + left
    record_id = (
        _record(wish, upload, method, path, mount, caller, ends_at, invocation)
        if limited or upload is not None or wish["revocable"]
        else None
    )
    keys = cache.current(invocation.policy, invocation.context, invocation.now)
    if not keys.share:
        raise no_share_key()
    share = shares.Share(ends_at, method, page, record_id, wish["download"], shares.maker_tag(caller.maker))
    token = shares.sign(share, mount, path, keys.share)
    invocation.facts["mount"] = mount.path
    invocation.facts["share"] = record_id
    document = {
        "url": f"{origin}{quote(path, safe='/')}?share={token}",
        "id": record_id or _PLAIN + keys.share[-1].id,
        "expires_at": links.rfc3339(ends_at),
        "clamped_by": clamped_by,
    }
    return _json(201, document)


def show(request: Request, invocation: Invocation, share_id: str) -> Answer:
    """`GET /-/shares/{id}`: what is known of a share that has a record."""
    kept, record = _find(share_id, invocation)
    used = records.used(kept, share_id, record.uses) if record.uses is not None else None
    document = {
        "id": share_id,
        "path": record.path,
        "method": record.method,
        "expires_at": links.rfc3339(record.ends_at),
        "max_uses": record.uses,
        "uses": used,
        "revoked": record.revoked_at is not None,
    }
    return _json(200, document)


def revoke(request: Request, invocation: Invocation, share_id: str) -> Answer:
    """`DELETE /-/shares/{id}`: 204, also for one that is revoked already."""
    kept, record = _find(share_id, invocation)
    if record.revoked_at is None:
        records.save(kept, share_id, record._replace(revoked_at=int(invocation.now)))
    invocation.facts["share"] = share_id
    return Answer(204, {})


def no_share_key() -> Problem:
    """The keys document has nothing to sign shares with."""
    return Problem(
        503,
        "no_share_key",
        "There is no share key: its operators can make one with python -m handler.keys rotate-share.",
    )


def _caller(invocation: Invocation) -> Caller:
    if invocation.caller is None:
        raise unauthorized()
    return invocation.caller


def _target(path: str, method: str, caller: Caller, invocation: Invocation) -> tuple[Mount, str, str]:
    """The mount, the path and the key that a share is for. Raises the 404 `Problem` for what is not to be shared."""
    checked = check_path(path)
    if not caller.reaches(checked, "SHARE"):
        raise not_found()
    mount = invocation.policy.mount(checked)
    if method == "POST" and mount is not None and checked == mount.path:
        return mount, checked, mount.target.key
    mount, key = links.find(invocation.policy, checked)
    return mount, checked, key


def _upload(wish: dict[str, Any], path: str, key: str, mount: Mount, invocation: Invocation) -> dict[str, Any]:
    """The bounds of an upload share, each within the mount's. Raises a 400 `Problem`."""
    if not path.endswith("/"):
        raise bad_body("has a path that does not end in /, where an upload share collects its files")
    if wish["max_uses"] is not None or wish["download"] is not None:
        raise bad_body("has max_uses or download, which an upload share has not: name upload.max_files")
    if len(key.encode()) > MAX_PREFIX:
        raise bad_body("has a path that leaves no room for the names of files")
    check_prefix(invocation.policy, mount, key)
    asked = read_members(wish["upload"] or {}, UPLOAD_FIELDS)
    files = 1 if asked["max_files"] is None else asked["max_files"]
    if not 1 <= files <= MAX_FILES:
        raise bad_body(f"has an upload.max_files that is not from 1 to {MAX_FILES}")
    most = min(mount.max_size or 0, MAX_PUT)
    kind = asked["content_type"]
    if kind is not None:
        check_type(f"{kind}any" if kind.endswith("/") else kind)
    return {
        "max_size": check_size(most if asked["max_size"] is None else asked["max_size"], mount),
        "max_files": files,
        "content_type": kind,
    }


def _life(expires: str | None, mount: Mount) -> tuple[str | None, int]:
    """Who cuts a share's life, and how many seconds it has."""
    most = mount.max_share or 0
    asked = min(DEFAULT_EXPIRES, most) if expires is None else links.read_expires(expires)
    return links.tightest(asked, (links.Bound("mount", most),))


def _origin(request: Request, invocation: Invocation, *, needs_page: bool) -> str:
    """Where this service is reached: `public_url`, else the domain that the platform names; never a header."""
    policy = invocation.policy
    if policy.public_url is not None:
        return policy.public_url
    if needs_page or not request.domain:
        raise Problem(
            409,
            "public_url_required",
            "This needs the service's own domain, since the default one makes browsers download its pages: "
            "its operators can set public_url in links.toml.",
        )
    return f"https://{request.domain}"


def _record(
    wish: dict[str, Any],
    upload: dict[str, Any] | None,
    method: str,
    path: str,
    mount: Mount,
    caller: Caller,
    ends_at: int,
    invocation: Invocation,
) -> str:
    """Keeps the record of a limited or revocable share; its id."""
    kept = state.of(invocation)
    uses = upload["max_files"] if upload is not None else wish["max_uses"]
    if uses is not None:
        kept.probe(invocation.now)
    record = records.Record(
        path=path,
        target=str(mount.target),
        method=method,
        uses=uses,
        ends_at=ends_at,
        maker=caller.id,
        created_at=int(invocation.now),
        upload=upload,
    )
    # A second try has an id of its own, so that the first, should it arrive after all, is nobody's.
    for last in (False, True):
        record_id = token_urlsafe(9)
        try:
            records.save(kept, record_id, record)
            break
        except Problem:
            if last:
                raise
    return record_id


def _find(share_id: str, invocation: Invocation) -> tuple[state.State, records.Record]:
    """A share's record, where the caller may share its path. Raises the 404 or, for a plain share, a 409 `Problem`."""
    caller = _caller(invocation)
    if share_id.startswith(_PLAIN):
        keys = cache.current(invocation.policy, invocation.context, invocation.now)
        key_id = share_id[len(_PLAIN) :]
        if "SHARE" in caller.methods and any(key.id == key_id for key in keys.share):
            raise Problem(
                409,
                "share_is_plain",
                f"A plain share has no record of its own; it is withdrawn with the key that signed it, {key_id}, and "
                f"everything else which that key signed: python -m handler.keys rotate-share --retire {key_id}",
            )
        raise not_found()
    if not shares.is_record_id(share_id) or invocation.policy.state is None:
        raise not_found()
    kept = state.of(invocation)
    record = records.load(kept, share_id)
    if record is None or not caller.reaches(record.path, "SHARE"):
        raise not_found()
    return kept, record


def _json(status: int, document: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(document))
