"""`GET /-/`, a page that sends and receives as a client of the JSON routes, and `GET /-/me`, what a caller may do."""

from __future__ import annotations

from signer.times import rfc3339

from ...core.config import Mount
from ...core.config.table import MOUNT_KEYS, field
from ...core.context import Caller, Invocation
from ...core.errors import Problem
from ...core.paths import covers
from ...core.request import Request
from ...core.shares import MAX_USES
from ...core.shares.new import MAX_FILES, MAX_FOLDER_FILES
from ..response import Response, json_response


def page(request: Request, invocation: Invocation) -> Response:
    """200 with the page. Raises the 409 `public_url_required`."""
    config = invocation.config
    if config.public_url is None:
        raise Problem("public_url_required")
    from .. import pages

    return pages.sender_page(
        request.headers.get("accept-language", ""),
        config.upload_origins,
        max_uses=MAX_USES,
        max_files=MAX_FILES,
        max_folder_files=MAX_FOLDER_FILES,
    )


def me(request: Request, invocation: Invocation) -> Response:
    """200 with what the caller may do, by paths that end in / where they stand for all below; the longest one counts.

    Nothing is read of OSS. Raises the 401 `unauthorized`.
    """
    caller = invocation.require_caller()
    mounts = invocation.config.mounts
    reached = {
        mount.path: mount
        for mount in mounts
        if mount.access == "anonymous"
        or any(covers(allowed, mount.path) for allowed in caller.paths)
    }
    for path in caller.paths:
        target = mounts.get(path)
        if target is not None:
            reached.setdefault(path, target.mount)
    entries = (_entry(path, mount, caller) for path, mount in sorted(reached.items()))
    document = {
        "id": caller.id,
        "methods": list(caller.methods),
        "paths": None if "/" in caller.paths else list(caller.paths),
        "expires_at": None if caller.expires_at is None else rfc3339(caller.expires_at),
        "mounts": [
            entry for entry in entries if entry["methods"] or entry["list"] or entry["max_share"]
        ],
    }
    return json_response(document)


def _entry(path: str, mount: Mount, caller: Caller) -> dict[str, object]:
    """What `authorize` allows at a path of a mount, and the limits that its table has for callers."""
    is_open = mount.access == "anonymous"
    methods = [method for method in mount.methods if is_open or caller.allows(path, method)]
    lists = mount.lists and path.endswith("/") and (is_open or caller.allows(path, "LIST"))
    max_share = mount.max_share if caller.allows(path, "SHARE") else None
    entry = {name: field(mount, name) for name, key in MOUNT_KEYS.items() if key.schema}
    entry.update(
        path=path,
        methods=methods,
        list=lists,
        max_share=max_share and min(max_share, caller.max_share or max_share),
        max_size=mount.max_size if {"PUT", "POST"} & {*methods} else None,
    )
    return entry
