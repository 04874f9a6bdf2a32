"""`POST /-/sign`: many links at once, each with its own result or its own error."""

from __future__ import annotations

import json
from typing import Any

from .. import links
from ..auth.admission import admit
from ..bodies import bad_body, read_json, read_members
from ..credentials import RoleCredentials, of_invocation
from ..errors import Problem
from ..request import Answer, Invocation, Request
from .objects import not_signable, signed_query
from .uploads import check_size, put_headers

MAX_LINKS = 1000
FIELDS = {
    "path": str,
    "method": str,
    "expires": str,
    "query": dict,
    "headers": dict,
    "download": str,
    "size": int,
    "overwrite": bool,
}


def create(request: Request, invocation: Invocation) -> Answer:
    """200 with the links in the order in which they were asked for."""
    wishes = read_json(request, {"links": list}, required=("links",))["links"]
    if len(wishes) > MAX_LINKS:
        raise Problem(413, "too_many_links", f"At most {MAX_LINKS} links are given at once: ask in several requests.")
    role = of_invocation(invocation.context)
    request_id = str(invocation.facts.get("request_id") or "")
    found = [_result(wish, invocation, role, request_id) for wish in wishes]
    refused = sum("error" in result for result in found)
    invocation.facts["links"] = len(found) - refused
    invocation.facts["refused"] = refused
    return Answer(200, {"Content-Type": "application/json"}, json.dumps({"links": found}))


def _result(wish: object, invocation: Invocation, role: RoleCredentials, request_id: str) -> dict[str, object]:
    try:
        return _link(read_members(wish, FIELDS, required=("path",)), invocation, role).document()
    except Problem as problem:
        path = wish.get("path") if isinstance(wish, dict) else None
        return {"path": path if isinstance(path, str) else None, "error": problem.document(request_id)}


def _link(wish: dict[str, Any], invocation: Invocation, role: RoleCredentials) -> links.Given:
    method = wish["method"] or "GET"
    if method not in ("GET", "HEAD", "PUT"):
        raise bad_body("has a method that is none of GET, HEAD and PUT")
    admitted = admit(invocation, wish["path"], method)
    asked, headers = wish["query"] or {}, wish["headers"] or {}
    if method == "PUT":
        if asked or wish["download"] is not None:
            raise not_signable(next(iter(asked), "download"))
        size = check_size(wish["size"], admitted.mount)
        headers = put_headers(headers, size, overwrite=bool(wish["overwrite"]))
        query = {}
    else:
        for name in headers:
            raise not_signable(name)
        if wish["size"] is not None or wish["overwrite"] is not None:
            raise bad_body("has a size or overwrite for a link that uploads nothing")
        query = signed_query(admitted.mount, admitted.key, asked, wish["download"])
    return links.make(
        invocation.policy,
        admitted.mount,
        admitted.key,
        method,
        role,
        invocation.now,
        expires=wish["expires"],
        query=query,
        headers=headers,
        signed_headers=("content-length",) if method == "PUT" else (),
        bounds=admitted.bounds,
    )
