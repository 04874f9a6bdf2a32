"""The service's own routes; all of them begin with /-/."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import not_found
from ..request import Answer, Invocation, Request
from .objects import not_allowed

# Each route's methods, and the module and the function there that answers; {id} stands for one segment.
ROUTES: Mapping[str, Mapping[str, str]] = {
    "/-/health": {"GET": "about:health", "HEAD": "about:health"},
    "/-/openapi.json": {"GET": "about:describe", "HEAD": "about:describe"},
    "/-/sign": {"POST": "sign:create"},
    "/-/form": {"POST": "forms:create"},
    "/-/uploads": {"POST": "multipart:create"},
    "/-/uploads/{id}/parts": {"POST": "multipart:sign_parts"},
    "/-/shares": {"POST": "shares:create"},
    "/-/shares/{id}": {
        "GET": "shares:show",
        "HEAD": "shares:show",
        "DELETE": "shares:revoke",
    },
}


def answer(request: Request, invocation: Invocation, path: str) -> Answer:
    """The answer of the route at a path. Raises `Problem`."""
    for route, offered in ROUTES.items():
        values = _match(route, path)
        if values is None:
            continue
        allowed = (*offered, "OPTIONS")
        if request.method == "OPTIONS":
            return Answer(204, {"Allow": ", ".join(allowed)})
        if request.method not in offered:
            raise not_allowed(allowed)
        # The id of an upload carries a signature, so the audit line names the route alone.
        invocation.facts["path"] = route
        module, _, name = offered[request.method].partition(":")
        handle: Any = getattr(import_module(f"{__package__}.{module}"), name)
        found: Answer = handle(request, invocation, *values)
        return found
    raise not_found()


def _match(route: str, path: str) -> list[str] | None:
    """What stands in a path where a route has {id}, None where the path is not the route's."""
    wanted, given = route.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    values = []
    for want, have in zip(wanted, given, strict=True):
        if want.startswith("{") and have:
            values.append(have)
        elif want != have:
            return None
    return values
