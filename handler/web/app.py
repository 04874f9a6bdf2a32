"""The HTTP service, independent of the platform: one request in, one response and one audit line out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ..core import audit
from ..core.config import InvalidConfig
from ..core.context import Instance, Invocation
from ..core.errors import CredentialsRefused, HandlerError, Problem
from ..core.paths import LFS, read_path
from ..core.request import MAX_BYTES, Request
from .endpoints import dispatch
from .response import HEADERS, Response, with_config_headers

# What every audit line says, in this order; null is what is not known, or not for the caller. What alarms read comes
# before the path, since a log's index may cut long lines.
AUDIT_FIELDS = (
    "request_id",
    "method",
    "code",
    "status",
    "client_ip",
    "path",
    "mount",
    "caller",
    "expires_in",
    "clamped_by",
)


def answer(
    received: Request | Problem,
    load_instance: Callable[[], Instance],
    context: object,
    *,
    request_id: str,
    client_ip: str = "",
    raw_path: str = "",
) -> Response:
    """Answers a request in an instance, and never raises.

    A request that cannot be read is received as its `Problem`, which becomes the response, in the form that `raw_path`
    requires where it is known; an `InvalidConfig` of `load_instance` and any other exception become a 500. Where OSS or
    STS refuses credentials that may be a client's, the request is answered again with those of the environment: an
    endpoint then runs twice. The audit line is written before the function returns.
    """
    raw_path = received.raw_path if isinstance(received, Request) else raw_path
    try:
        return _answer(received, load_instance, context, request_id, client_ip, raw_path)
    except Exception as error:
        problem = Problem("internal_error")
        # Writing the audit line may be what failed: the caller gets a response even then.
        with suppress(Exception):
            line = {
                "request_id": audit.string(request_id),
                "code": problem.code,
                "status": problem.status,
            }
            audit.write({**line, "fault": audit.fault(error)})
        response = _document_response(problem, request_id, raw_path)
        return response._replace(headers={**HEADERS, **response.headers})


def _answer(
    received: Request | Problem,
    load_instance: Callable[[], Instance],
    context: object,
    request_id: str,
    client_ip: str,
    path: str,
) -> Response:
    started = time.perf_counter()
    fields: dict[str, object] = dict.fromkeys(AUDIT_FIELDS)
    fields["request_id"] = audit.string(request_id)
    fields["client_ip"] = audit.string(client_ip)
    request = response = instance = None
    try:
        if isinstance(received, Problem):
            raise received
        request = received
        fields["method"] = audit.string(request.method)
        path = _path(request, fields)
        if len(request.body) > MAX_BYTES:
            raise Problem("body_too_large")
        instance = load_instance()
        invocation = Invocation(instance, context, instance.clock.now(), fields)
        try:
            response = route(request, invocation, path)
        except CredentialsRefused:
            response = route(request, invocation._replace(context=None), path)
    except Exception as error:
        reported = error.reported() if isinstance(error, HandlerError) else None
        problem = reported if isinstance(reported, Problem) else Problem("internal_error")
        if problem.code == "internal_error":
            fields["fault"] = audit.fault(error)
    if response is None:
        response = _problem_response(problem, request, request_id, path, fields)
    if instance is None:  # the request was refused before it was needed
        with suppress(InvalidConfig):
            instance = load_instance()
    if (
        request is not None
        and instance is not None
        and (instance.config.public_url or "origin" in request.headers)
    ):
        response = with_config_headers(request, instance.config, response)
    fields["status"] = response.status
    fields["milliseconds"] = int((time.perf_counter() - started) * 1e6) / 1e3
    audit.write(fields)
    is_head = request is not None and request.method == "HEAD"
    return Response(
        response.status, {**HEADERS, **response.headers}, "" if is_head else response.body
    )


def _path(request: Request, fields: dict[str, object]) -> str:
    """The decoded path. Adds it to the audit line, undecoded where it is invalid. Raises the 400 `bad_path`."""
    try:
        path = read_path(request.raw_path)
    except Problem:
        fields["path"] = audit.path(dispatch.without_id(request.raw_path))
        raise
    fields["path"] = audit.path(dispatch.without_id(path) if path.startswith("/-/") else path)
    return path


def route(request: Request, invocation: Invocation, path: str) -> Response:
    """The response of the endpoint at a path, for the caller whose credential the request carries. Raises `Problem`."""
    # Git deletes a key that a route of Git LFS refuses, so that only the route that needs one reads it.
    if "authorization" in request.headers and not path.startswith(LFS):
        from ..core.auth import identify_caller

        invocation = identify_caller(request, invocation)
    return dispatch.answer(request, invocation, path)


def _problem_response(
    problem: Problem,
    request: Request | None,
    request_id: str,
    path: str,
    fields: dict[str, object],
) -> Response:
    # Callers may read their log: the line of a refused request must say no more than the response.
    for name in ("mount", "expires_in", "clamped_by", "bucket", "key"):
        if name in fields:
            fields[name] = None
    fields["code"] = problem.code
    if problem.cause:
        fields["cause"] = problem.cause
    if request is not None and request.wants_page() and not path.startswith(LFS):
        try:
            from .pages import problem_page

            language = request.headers.get("accept-language", "")
            page = problem_page(problem, request_id, language, problem.back)
            return page._replace(headers={**page.headers, **problem.headers})
        except Exception as error:  # a broken page must not hide the problem
            fields["fault"] = audit.fault(error)
    return _document_response(problem, request_id, path)


def _document_response(problem: Problem, request_id: str, path: str) -> Response:
    """The problem document, or what Git LFS expects of its routes; `path` may be encoded."""
    if path.startswith(LFS):
        from .endpoints import lfs

        return lfs.problem_response(problem, request_id)
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    return Response(problem.status, headers, problem.json(request_id))
