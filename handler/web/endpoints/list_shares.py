"""`GET /-/shares`: the shares of the caller, newest first, or those of all callers, one after the other; or one."""

from __future__ import annotations

import re
from functools import partial
from itertools import islice

from signer.times import rfc3339

from ...core import outbox
from ...core.auth import may_list
from ...core.cloud.concurrency import map_concurrently
from ...core.cloud.store import Store, state_for
from ...core.context import Caller, Invocation
from ...core.errors import Problem, malformed_credential
from ...core.keys import current
from ...core.request import Request
from ...core.shares import record as records
from ...core.shares import uses
from ...core.shares.opening import share_fault
from ...core.shares.record import Record
from ..response import Response, json_response

MAX_LIMIT = 50
DEFAULT_LIMIT = "20"

_CALLER = r"[0-9a-f]{32}/"
_ENTRY = r"[0-9]{10}-[A-Za-z0-9_-]{12}"  # names in the index


def answer(request: Request, invocation: Invocation) -> Response:
    """A page costs one list, and of each share its record, its second end, the uses of a limited one, and its first use
    where a notice is about uses, at most eight requests at once.

    Raises the 403 `admin_required`, and the 400 `bad_query`.
    """
    caller = owner(invocation)
    config = invocation.config
    query = request.query
    everyone = query.get("all", "false") == "true"
    if everyone and "ADMIN" not in caller.methods:
        raise Problem("admin_required")
    limit = query.get("limit", DEFAULT_LIMIT)
    after = query.get("after", "")
    if not (re.fullmatch("[1-9][0-9]?", limit) and int(limit) <= MAX_LIMIT):
        raise Problem("bad_query", f"Parameter limit must be a number from 1 to {MAX_LIMIT}.")
    if query.get("all", "true") not in ("true", "false"):
        raise Problem("bad_query", "Parameter all must be true or false.")
    if after and not re.fullmatch(_CALLER * everyone + _ENTRY, after):
        raise Problem("bad_query", "Parameter after must be the next of the page before.")
    names: list[str] = []
    documents: list[dict[str, object] | None] = []
    # Otherwise there are no shares.
    if config.state is not None and any(mount.max_share for mount in config.mounts):
        state = state_for(invocation)
        folder = records.INDEX if everyone else records.index_of(caller.owner, caller.id)
        # One more than the page has shows whether another page follows.
        size = int(limit) + 1
        names = [
            entry.name
            for entry in islice(state.list_folder(folder, after=after, deep=True, size=size), size)
        ]
        listed = partial(
            _listed, state=state, caller=caller, invocation=invocation, everyone=everyone
        )
        documents = map_concurrently(listed, names[: int(limit)])
    shares = [document for document in documents if document is not None]
    return json_response({"shares": shares, "next": names[-2] if len(names) > int(limit) else None})


def show(request: Request, invocation: Invocation, share_id: str) -> Response:
    """`GET /-/shares/{id}`: the same of one share."""
    return json_response(describe(*find(share_id, invocation), invocation))


def owner(invocation: Invocation) -> Caller:
    """The caller who owns shares. Raises the 401 `unauthorized`, and `malformed_credential` for one without a name."""
    caller = invocation.require_caller()
    if caller.id.endswith(":"):  # a token without a subject: all of them would be one person
        raise malformed_credential("The token requires sub: shares belong to it")
    return caller


def find(share_id: str, invocation: Invocation) -> tuple[Store, Record]:
    """The record of a share whose path the caller may share. Raises the 404 `not_found`."""
    caller = invocation.require_caller()
    if not records.ID.fullmatch(share_id) or invocation.config.state is None:
        raise Problem("not_found")
    state = state_for(invocation)
    record = records.load(state, share_id)
    if record is None or not caller.allows(record.path, "SHARE"):
        raise Problem("not_found")
    invocation.audit_fields["share"] = share_id
    return state, record


def describe(state: Store, record: Record, invocation: Invocation) -> dict[str, object]:
    """A share as JSON. Raises `UnreadableRecord`, or the 503 `state_unavailable`."""
    now = int(state.now())
    end = records.load_end(state, record)
    count, age = uses.count(state, record, invocation)
    fault = share_fault(
        record,
        invocation.config.mounts.get(record.path),
        end,
        current.current_keys(invocation),
        now,
    )
    max_uses = record.uses
    if count is not None and record.upload is None:
        max_uses = uses.allowed(state, record, count + 1)
    if fault is None and max_uses is not None and count is not None and count >= max_uses:
        fault = Problem("share_used_up")
    document: dict[str, object] = {
        "id": record.id,
        "path": record.path,
        "method": record.method,
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339(end),
        "state": fault.code.removeprefix("share_") if fault else "active",
        "max_uses": max_uses,
        "uses": count,
        "last_use": None if age is None else rfc3339(now - age),
    }
    if invocation.config.use_notices(record.mount):
        first = state.read(outbox.OPENED + record.id)
        document["opened_at"] = None if first is None else rfc3339(now - first.age)
    if record.upload is not None:
        document["received_at"] = received_at(record, invocation)
    optional = {
        "title": record.words.title,
        "password": record.password is not None,
        "upload": record.upload,
        "files": record.files,
    }
    return document | {name: value for name, value in optional.items() if value}


def received_at(record: Record, invocation: Invocation) -> str | None:
    """The path at which the caller may list the files of an upload share, None where there is none."""
    mounts = invocation.config.mounts
    target = mounts.get(record.path)
    if target is None or not record.is_of(target.mount):
        return None
    folder = mounts.reading(uses.folder_of(target, record.id))
    return folder.path if folder is not None and may_list(invocation, folder) else None


def _listed(
    name: str, *, state: Store, caller: Caller, invocation: Invocation, everyone: bool
) -> dict[str, object] | None:
    """The share of an entry; None without a record, and for a path that the caller may not list."""
    share_id = name[-12:]
    try:
        record = records.load(state, share_id)
        if record is None or not caller.allows(record.path, "ADMIN" if everyone else "SHARE"):
            return None
        document = describe(state, record, invocation)
    except records.UnreadableRecord:
        # Its path is unknown, so that only its maker may know of it, or who may list everything.
        may_list = not everyone or caller.allows("/", "ADMIN")
        return {"id": share_id, "state": "unreadable"} if may_list else None
    return document | {"owner": record.owner} if everyone else document
