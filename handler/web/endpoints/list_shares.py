"""`GET /-/shares`: the recorded shares of the caller, newest first, or those of all callers, one after the other."""

from __future__ import annotations

import re
from functools import partial
from itertools import islice

from signer.times import rfc3339

from ...core.cloud.concurrency import map_concurrently
from ...core.cloud.store import Store, state_for
from ...core.context import Caller, Invocation
from ...core.errors import Problem
from ...core.request import Request
from ...core.shares import records, uses
from ..response import Response, json_response

MAX_LIMIT, DEFAULT_LIMIT = 50, "20"
NOTE = "Plain shares have no record and are not listed, unless record_shares is set for their mount in links.toml."

_CALLER, _ENTRY = r"[0-9a-f]{32}/", r"[0-9]{10}-[A-Za-z0-9_-]{12}"  # names in the index


def answer(request: Request, invocation: Invocation) -> Response:
    """A page costs one list, the records, and of each limited share its uses, at most eight requests at once.

    Raises the 403 `admin_required`, and the 400 `bad_query`.
    """
    caller, config, query = invocation.require_caller(), invocation.config, request.query
    everyone = query.get("all", "false") == "true"
    if everyone and "ADMIN" not in caller.methods:
        raise Problem("admin_required")
    limit, after = query.get("limit", DEFAULT_LIMIT), query.get("after", "")
    if not (re.fullmatch("[1-9][0-9]?", limit) and int(limit) <= MAX_LIMIT):
        raise Problem("bad_query", f"Parameter limit must be a number from 1 to {MAX_LIMIT}.")
    if query.get("all", "true") not in ("true", "false"):
        raise Problem("bad_query", "Parameter all must be true or false.")
    if after and not re.fullmatch(_CALLER * everyone + _ENTRY, after):
        raise Problem("bad_query", "Parameter after must be the next of the page before.")
    names: list[str] = []
    documents: list[dict[str, object] | None] = []
    if config.state is not None and any(mount.max_share for mount in config.mounts):  # otherwise no share has a record
        state, folder = state_for(invocation), records.INDEX if everyone else records.index_of(caller.owner, caller.id)
        # One more than the page has shows whether another page follows.
        size = int(limit) + 1
        names = [entry.name for entry in islice(state.list_folder(folder, after=after, deep=True, size=size), size)]
        describe = partial(_describe, state=state, caller=caller, invocation=invocation, everyone=everyone)
        documents = map_concurrently(describe, names[: int(limit)])
    shares = [document for document in documents if document is not None]
    return json_response({"shares": shares, "next": names[-2] if len(names) > int(limit) else None, "note": NOTE})


def _describe(
    name: str, *, state: Store, caller: Caller, invocation: Invocation, everyone: bool
) -> dict[str, object] | None:
    """The share of an entry; None without a record, and for a path that the caller may not list."""
    share_id, now = name[-12:], int(invocation.now)
    record = records.load(state, share_id)
    if record is None or not caller.allows(record.path, "ADMIN" if everyone else "SHARE"):
        return None
    count, age = uses.count(state, share_id, record, invocation)
    is_used_up = record.uses is not None and count is not None and count >= record.uses
    # In the order in which opening it refuses it.
    conditions = {"expired": record.expires_at <= now, "revoked": record.revoked_at is not None, "used_up": is_used_up}
    document: dict[str, object] = {
        "id": share_id,
        "path": record.path,
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339(record.expires_at),
        "state": next((name for name, applies in conditions.items() if applies), "active"),
    }
    if everyone:
        document["owner"] = record.owner
    if record.uses is not None:
        document |= {"uses": count, "last_use": None if age is None else rfc3339(now - age)}
    return document
