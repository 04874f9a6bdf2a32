"""Chooses who answers: a route, a share, a folder or an object."""

from __future__ import annotations

import re
from typing import Any

from ...core.context import Invocation
from ...core.errors import Problem, method_not_allowed
from ...core.paths import LFS, SHARES
from ...core.request import Request
from ..response import Response
from . import ROUTES, objects

_SHARE = r"(?<=/)[A-Za-z0-9_-]{22}(?![^/])"  # compiled at its first use


def answer(request: Request, invocation: Invocation, path: str) -> Response:
    """The response of the route, the share, the folder or the object at a decoded path. Raises `Problem`."""
    if path.startswith("/-/"):
        if path == SHARES or path.startswith(f"{SHARES}/"):
            from . import open_share

            return open_share.answer(request, invocation, path)
        if path == "/-/" and not invocation.config.sender_page:
            raise Problem("not_found")
        return _answer_route(request, invocation, path)
    target = invocation.config.mounts.get(path) if path.endswith("/") else None
    if target is not None:
        from . import folders

        return folders.answer(request, invocation, target)
    return objects.answer(request, invocation, path)


def without_id(path: str) -> str:
    """A path as it is logged, without what may be secret there.

    It is the route wherever an id may follow, because the id of an upload carries a signature. Elsewhere below /-/,
    but for folders of Git LFS, what is as long as the secret of a share is left out: people put it into the path.
    """
    if not path.startswith("/-/") or path.startswith(LFS):
        return path
    for route in ROUTES:
        prefix, parameter, _ = route.partition("{id}")
        if parameter and len(path) > len(prefix) and path.startswith(prefix):
            return route
    return re.sub(_SHARE, "REDACTED", path)


def _answer_route(request: Request, invocation: Invocation, path: str) -> Response:
    for route, methods in ROUTES.items():
        values = _match(route, path)
        if values is None:
            continue
        allowed = (*methods, "OPTIONS")
        if request.method == "OPTIONS":
            return Response(204, {"Allow": ", ".join(allowed)})
        if request.method not in methods:
            raise method_not_allowed(allowed)
        from importlib import import_module

        module, _, function = methods[request.method].partition(":")
        handle: Any = getattr(import_module(f"{__package__}.{module}"), function)
        response: Response = handle(request, invocation, *values)
        return response
    raise Problem("not_found")


def _match(route: str, path: str) -> list[str] | None:
    """The value of {id} or {path} in a path, if the route has one; None if the path does not match the route."""
    prefix, parameter, rest = route.partition("{")
    if not parameter:
        return [] if path == route else None
    name, _, suffix = rest.partition("}")
    value = path[len(prefix) : len(path) - len(suffix)]
    if path != prefix + value + suffix or not value:
        return None
    return None if name == "id" and "/" in value else [value]
