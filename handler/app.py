"""The service: every request gets an answer, and every answer a line of audit."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from . import audit
from .config import InvalidPolicy, Policy
from .endpoints import objects
from .errors import Problem
from .paths import read_path
from .request import Answer, Invocation, Request

HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, X-Api-Key",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

_BAD_CONFIGURATION = Problem(
    500, "bad_configuration", "This service is not configured as it should be: tell its operators."
)
_INTERNAL_ERROR = Problem(
    500, "internal_error", "Something went wrong here: tell the operators the request id of this answer."
)


def answer(
    read: Callable[[], Request],
    policy: Callable[[], Policy],
    context: object,
    *,
    request_id: str,
    client_ip: str = "",
    now: float | None = None,
) -> Answer:
    """The answer to the request that `read` gives, under the policy that `policy` gives; nothing escapes.

    Whatever is wrong is a problem: a request that cannot be read 400, a policy that cannot be followed 500, as is
    any fault of our own. The audit line is written before the answer leaves.
    """
    try:
        return _answer(read, policy, context, request_id, client_ip, now)
    except Exception as error:
        # What told the faults has one itself; the answer is a problem all the same.
        with suppress(Exception):
            line = {"request_id": audit.text(request_id), "code": _INTERNAL_ERROR.code, "status": 500}
            audit.write({**line, "fault": audit.fault(error)})
        headers = {**HEADERS, "Content-Type": "application/problem+json"}
        return Answer(500, headers, _INTERNAL_ERROR.json(request_id))


def _answer(
    read: Callable[[], Request],
    policy: Callable[[], Policy],
    context: object,
    request_id: str,
    client_ip: str,
    now: float | None,
) -> Answer:
    began = time.perf_counter()
    facts: dict[str, object] = {
        "request_id": audit.text(request_id),
        "method": None,
        "path": None,
        "mount": None,
        "caller": None,
        "expires_in": None,
        "clamped_by": None,
        "code": None,
        "status": None,
        "client_ip": audit.text(client_ip),
    }
    request = found = None
    try:
        request = read()
        facts["method"] = audit.text(request.method)
        path = _path(request, facts)
        rules = policy()
        found = route(request, Invocation(rules, context, time.time() if now is None else now, facts), path)
    except Problem as problem:
        refused = problem
    except InvalidPolicy:
        refused = _BAD_CONFIGURATION
    except Exception as error:
        refused = _INTERNAL_ERROR
        facts["fault"] = audit.fault(error)
    if found is None:
        found = _refusal(refused, request, request_id, facts)
    if request is not None and "origin" in request.headers:
        found = _for_origin(request, policy, found)
    facts["status"] = found.status
    facts["milliseconds"] = round((time.perf_counter() - began) * 1000, 3)
    audit.write(facts)
    headers = {**HEADERS, **found.headers}
    if request is not None and request.method == "HEAD":
        return Answer(found.status, headers)
    return Answer(found.status, headers, found.body)


def _path(request: Request, facts: dict[str, object]) -> str:
    """The path, noted for the audit line: decoded, or as it came where it cannot be. Raises a 400 `Problem`."""
    try:
        path = read_path(request.raw_path)
    except Problem:
        facts["path"] = audit.path(request.raw_path)
        raise
    facts["path"] = audit.path(path)
    return path


def route(request: Request, invocation: Invocation, path: str) -> Answer:
    """The answer of the room that a path belongs to. Raises `Problem`."""
    if "authorization" in request.headers or "x-api-key" in request.headers:
        from .auth import identify

        caller = identify(request, invocation)
        invocation = invocation._replace(caller=caller)
        invocation.facts["caller"] = caller.id if caller else None
    if not path.startswith("/-/"):
        return objects.answer(request, invocation, path)
    from . import endpoints

    return endpoints.answer(request, invocation, path)


def _refusal(problem: Problem, request: Request | None, request_id: str, facts: dict[str, object]) -> Answer:
    # What a refused caller does not learn from the problem he does not learn from the log's tail either.
    for name in ("mount", "expires_in", "clamped_by", "bucket", "key", "share"):
        if name in facts:
            facts[name] = None
    facts["code"] = problem.code
    if request is not None and request.wants_page():
        try:
            from .pages import problem_page

            page = problem_page(problem, request_id, request.headers.get("accept-language", ""))
            return page._replace(headers={**page.headers, **problem.headers})
        except Exception as error:  # the problem itself must be told, page or no page
            facts["fault"] = audit.fault(error)
    return Answer(
        problem.status, {"Content-Type": "application/problem+json", **problem.headers}, problem.json(request_id)
    )


def _for_origin(request: Request, policy: Callable[[], Policy], found: Answer) -> Answer:
    from .cors import allow

    try:
        return allow(request, policy(), found)
    except InvalidPolicy:
        return found
