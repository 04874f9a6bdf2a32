"""The service's own routes; all of them begin with /-/."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from .objects import not_allowed
from .problems import not_found
from .request import Answer, Invocation, Request

# Each route's methods, and the room and the function there that answers; {id} stands for one segment.
ROUTES: Mapping[str, Mapping[str, str]] = {
    "/-/health": {"GET": "routes:health", "HEAD": "routes:health"},
    "/-/openapi.json": {"GET": "routes:describe", "HEAD": "routes:describe"},
    "/-/sign": {"POST": "sign_requests:create"},
    "/-/form": {"POST": "form_requests:create"},
    "/-/uploads": {"POST": "upload_requests:create"},
    "/-/uploads/{id}/parts": {"POST": "upload_requests:sign_parts"},
    "/-/shares": {"POST": "share_requests:create"},
    "/-/shares/{id}": {
        "GET": "share_requests:show",
        "HEAD": "share_requests:show",
        "DELETE": "share_requests:revoke",
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
        room, _, name = offered[request.method].partition(":")
        handle: Any = getattr(import_module(f"{__package__}.{room}"), name)
        found: Answer = handle(request, invocation, *values)
        return found
    raise not_found()


def health(request: Request, invocation: Invocation) -> Answer:
    """That the function runs and its policy is good; nothing else is asked."""
    return Answer(200, {"Content-Type": "application/json"}, '{"status": "ok"}')


def describe(request: Request, invocation: Invocation) -> Answer:
    """The OpenAPI document of this service, as it stands beside this file."""
    with open(os.path.join(os.path.dirname(__file__), "openapi.json"), encoding="utf-8") as file:
        return Answer(200, {"Content-Type": "application/json"}, file.read())


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
