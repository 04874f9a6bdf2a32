"""The service: every request gets an answer, and every answer a line of audit."""

from __future__ import annotations

import time
from collections.abc import Callable

from . import audit, objects
from .paths import read_path
from .policy import InvalidPolicy, Policy
from .problems import Problem, not_found
from .request import Answer, Invocation, Request

HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, X-Api-Key",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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
    request = None
    try:
        request = read()
        facts["method"] = audit.text(request.method)
        facts["path"] = audit.text(request.raw_path)
        path = read_path(request.raw_path)
        facts["path"] = audit.text(path)
        found = route(request, Invocation(policy(), context, time.time() if now is None else now, facts), path)
    except Problem as problem:
        found = _refusal(problem, request, request_id, facts)
    except InvalidPolicy:
        found = _refusal(_BAD_CONFIGURATION, request, request_id, facts)
    except Exception as error:
        found = _refusal(_INTERNAL_ERROR, request, request_id, facts)
        facts["fault"] = audit.fault(error)
    facts["status"] = found.status
    facts["milliseconds"] = round((time.perf_counter() - began) * 1000, 3)
    audit.write(facts)
    headers = {**HEADERS, **found.headers}
    if request is not None and request.method == "HEAD":
        return Answer(found.status, headers)
    return Answer(found.status, headers, found.body)


def route(request: Request, invocation: Invocation, path: str) -> Answer:
    """The answer of the room that a path belongs to. Raises `Problem`."""
    if not path.startswith("/-/"):
        return objects.answer(request, invocation, path)
    offered = ROUTES.get(path)
    if offered is None:
        raise not_found()
    allowed = (*offered, "OPTIONS")
    if request.method == "OPTIONS":
        return Answer(204, {"Allow": ", ".join(allowed)})
    handle = offered.get(request.method)
    if handle is None:
        raise Problem(
            405, "method_not_allowed", f"Here only {', '.join(allowed)} are allowed.", {"Allow": ", ".join(allowed)}
        )
    return handle(request, invocation)


def health(request: Request, invocation: Invocation) -> Answer:
    """That the function runs and its policy is good; nothing else is asked."""
    return Answer(200, {"Content-Type": "application/json"}, '{"status": "ok"}')


ROUTES: dict[str, dict[str, Callable[[Request, Invocation], Answer]]] = {
    "/-/health": {"GET": health, "HEAD": health},
}


def _refusal(problem: Problem, request: Request | None, request_id: str, facts: dict[str, object]) -> Answer:
    # What a refused caller does not learn from the problem he does not learn from the log's tail either.
    for name in ("mount", "expires_in", "clamped_by", "bucket", "key"):
        if name in facts:
            facts[name] = None
    facts["code"] = problem.code
    if request is not None and request.wants_page():
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _PAGE_POLICY}
        return Answer(problem.status, {**headers, **problem.headers}, problem.page(request_id))
    return Answer(
        problem.status, {"Content-Type": "application/problem+json", **problem.headers}, problem.json(request_id)
    )
