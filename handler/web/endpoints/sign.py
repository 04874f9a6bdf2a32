"""`POST /-/sign`: many links at once, each with its own result or error."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ...core import audit, links
from ...core.auth import authorize
from ...core.config import Target
from ...core.context import Invocation
from ...core.errors import HandlerError, Problem, bad_body
from ...core.paths import check_path
from ...core.request import Request, read_members
from ...core.uploads import check_size, put_headers
from ..response import Response, json_response
from .objects import parameter_not_allowed, signed_query

Document = dict[str, object]

MAX_LINKS = 1000
MAX_CHECK_SECONDS = (
    15.0  # within which the check of an object may begin; the function may run for 30
)
MEMBERS = {
    "path": str,
    "method": str,
    "expires": str,
    "query": dict,
    "headers": dict,
    "download": str,
    "size": int,
    "overwrite": bool,
}


def create(request: Request, invocation: Invocation) -> Response:
    """200 with the links in the order of the request. Each link has a line of its own in the log."""
    items = request.json({"links": list}, required=("links",))["links"]
    if len(items) > MAX_LINKS:
        raise Problem(
            "too_many_links",
            f"A request must not exceed {MAX_LINKS} links. Split it into several requests.",
        )
    invocation.credentials()  # without any, each link would fail
    request_id = str(invocation.audit_fields.get("request_id") or "")
    deadline = time.monotonic() + MAX_CHECK_SECONDS
    result = partial(_result, invocation=invocation, request_id=request_id, deadline=deadline)
    if invocation.config.mounts.any_checks:
        from ...core.cloud.concurrency import map_concurrently

        results = map_concurrently(result, items)
    else:
        results = [result(item) for item in items]
    lines = [line for _, line in results if line]
    for line in lines:
        audit.write(line)
    invocation.audit_fields.update(links=len(lines), refused=len(results) - len(lines))
    return json_response({"links": [document for document, _ in results]})


def link_line(invocation: Invocation, target: Target, issued: links.IssuedLink) -> Document:
    """The audit line of one link of many."""
    line = {name: invocation.audit_fields[name] for name in ("request_id", "client_ip", "caller")}
    line |= {"method": issued.link.method, "path": audit.path(target.path)}
    links.log_target(line, target, expires_in=issued.link.expires_in, clamped_by=issued.clamped_by)
    return line


def _result(
    item: object, invocation: Invocation, request_id: str, deadline: float
) -> tuple[Document, Document]:
    """The link and its audit line; or the error, which has none."""
    try:
        target, issued = _link(
            read_members(item, MEMBERS, required=("path",)), invocation, deadline
        )
        return issued.document(), link_line(invocation, target, issued)
    except HandlerError as error:
        problem = error.reported()
        if not isinstance(problem, Problem):
            raise
        path = item.get("path") if isinstance(item, dict) else None
        return {
            "path": path if isinstance(path, str) else None,
            "error": problem.document(request_id),
        }, {}


def _link(
    item: dict[str, Any], invocation: Invocation, deadline: float
) -> tuple[Target, links.IssuedLink]:
    method = item["method"] or "GET"
    if method not in ("GET", "HEAD", "PUT"):
        raise bad_body('"method" must be GET, HEAD or PUT')
    target = invocation.config.mounts.find(check_path(item["path"]))
    access = authorize(invocation, target, "PUT" if method == "PUT" else "GET")
    params = item["query"] or {}
    headers = item["headers"] or {}
    if method == "PUT":
        if params or item["download"] is not None:
            raise parameter_not_allowed(next(iter(params), "download"))
        size = check_size(item["size"], target.mount)
        headers = put_headers(headers, size, target.mount, overwrite=bool(item["overwrite"]))
        query = {}
    else:
        for name in headers:
            if method != "GET" or name.lower() not in target.mount.headers:
                raise Problem(
                    "not_signable",
                    f"Header {name[:100]!r} is not allowed for {method} on this mount.",
                )
        if item["size"] is not None or item["overwrite"] is not None:
            raise bad_body('"size" and "overwrite" are for uploads (PUT)')
        query = signed_query(target, params, item["download"])
    signed = links.Signed(query, headers, ("content-length",) if method == "PUT" else ())
    issued = links.create_link(invocation, access, method, expires=item["expires"], signed=signed)
    if target.mount.check and method != "PUT":
        from ...core.cloud.oss import head_object

        if time.monotonic() >= deadline:
            raise Problem("oss_unavailable")
        head_object(target, query, invocation)
    return target, issued
