"""Object paths: a link as a redirect, or as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core import links
from ...core.auth import authorize
from ...core.config import TRAFFIC_LIMIT, Mount, Target
from ...core.context import Caller, Invocation
from ...core.errors import Problem, method_not_allowed
from ...core.request import Request
from ..response import Response, json_response, redirect, wants_json

MIN_LIFETIME = 60  # seconds for which the link of a cached redirect is still valid
READING = ("GET", "HEAD")
# Query parameters of this service; all others are OSS's.
OWN_PARAMETERS = ("expires", "format", "download")
# Where to get a link or a form for an upload; its method is not for the path of an object.
UPLOAD_ROUTES = {"PUT": "POST /-/sign", "POST": "POST /-/form"}

_NUMBER = r"[1-9][0-9]{5,8}"  # compiled at its first use


def answer(request: Request, invocation: Invocation, path: str) -> Response:
    """The link to the object at a decoded path. Raises `Problem`."""
    caller = invocation.caller
    params = request.query
    target = invocation.config.mounts.find(path)
    mount = target.mount
    if request.method not in READING or "GET" not in mount.methods:
        return answer_other(request.method, target, caller)
    access = authorize(invocation, target, "GET")
    query = {}
    if params or mount.inline is not None:
        query = signed_query(target, oss_params(mount, params), params.get("download"))
    as_json = wants_json(request, caller is not None)
    if mount.check:
        from ...core.cloud.oss import head_object

        head_object(target, query, invocation)
    elif mount.check_pages and not as_json and request.wants_page():
        from ...core.cloud.oss import check_for_page

        check_for_page(target, query, invocation)
    signed = (
        links.Signed(query, window=mount.cache)
        if mount.cache and caller is None
        else links.Signed(query)
    )
    issued = links.create_link(
        invocation, access, request.method, expires=params.get("expires"), signed=signed
    )
    links.log_target(
        invocation.audit_fields,
        target,
        expires_in=issued.link.expires_in,
        clamped_by=issued.clamped_by,
    )
    if as_json:
        return json_response(issued.document())
    response = redirect(issued)
    # A mount with `check` checks each time, so browsers must come back.
    if mount.cache and not mount.check and caller is None and issued.link.expires_in > MIN_LIFETIME:
        response.headers["Cache-Control"] = (
            f"private, max-age={issued.link.expires_in - MIN_LIFETIME}"
        )
    return response


def answer_other(method: str, target: Target, caller: Caller | None) -> Response:
    """The response to a browser's preflight, which carries no key. Raises a `Problem` for all other methods."""
    mount = target.mount
    # POST is only for shares.
    allowed = (*READING, "OPTIONS") if "GET" in mount.methods else ("OPTIONS",)
    if method == "OPTIONS":
        return Response(204, {"Allow": ", ".join(allowed)})
    if mount.access != "anonymous" and caller is None:
        raise Problem("unauthorized")
    # A path that the key does not cover must look as if it did not exist.
    if caller is not None and not caller.sees(mount, target.path):
        raise Problem("not_found")
    permitted = mount.access == "anonymous" or (
        caller is not None and caller.allows(target.path, method)
    )
    raise method_not_allowed(
        allowed, UPLOAD_ROUTES[method] if permitted and method in mount.methods else ""
    )


def oss_params(mount: Mount, params: Mapping[str, str]) -> dict[str, str]:
    """The parameters for OSS. A mount with unknown_query = "ignore" drops those that it does not list."""
    params = {
        name: value
        for name, value in params.items()
        if name not in OWN_PARAMETERS and (name != "null" or value)
    }
    if mount.unknown_query == "ignore":
        return {name: value for name, value in params.items() if name in mount.query}
    return params


def signed_query(
    target: Target, params: Mapping[str, object], download: str | None
) -> dict[str, str]:
    """What `links.read_query` returns for a caller's parameters. Raises a 400 `Problem` for one that is not listed."""
    signed: dict[str, str] = {}
    for name, value in params.items():
        if name not in target.mount.query:
            raise parameter_not_allowed(name)
        if not isinstance(value, str):
            raise Problem("bad_query", f"Parameter {name} must be a string.")
        _check_value(target.mount, name, value)
        signed[name] = value
    if download is not None and target.mount.cdn is not None:
        raise parameter_not_allowed("download")
    return links.read_query(target, signed, download)


def parameter_not_allowed(name: str) -> Problem:
    return Problem("not_signable", f"Parameter {name[:100]!r} is not allowed on this mount.")


def _check_value(mount: Mount, name: str, value: str) -> None:
    if not value:
        raise Problem(
            "bad_query", f"Parameter {name} must not be empty. Add a value, or remove it."
        )
    if name == "x-oss-process" and value not in mount.process:
        raise Problem("bad_query", "This value of x-oss-process is not allowed on this mount.")
    if name == "x-oss-traffic-limit":
        minimum = TRAFFIC_LIMIT[0]
        maximum = mount.traffic_limit or TRAFFIC_LIMIT[1]
        if not (re.fullmatch(_NUMBER, value) and minimum <= int(value) <= maximum):
            raise Problem(
                "bad_query",
                f"Parameter x-oss-traffic-limit must be a number from {minimum} to {maximum}.",
            )
