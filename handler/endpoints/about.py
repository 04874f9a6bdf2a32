"""`/-/health` and `/-/openapi.json`: that the service runs, and what it offers."""

from __future__ import annotations

import os

from ..context import Invocation
from ..request import Request
from ..response import Response

_OPENAPI = os.path.join(os.path.dirname(os.path.dirname(__file__)), "openapi.json")


def health(request: Request, invocation: Invocation) -> Response:
    """200 where the function runs and links.toml is valid; neither keys nor OSS are asked."""
    return Response(200, {"Content-Type": "application/json"}, '{"status": "ok"}')


def describe(request: Request, invocation: Invocation) -> Response:
    """The OpenAPI document of this service."""
    with open(_OPENAPI, encoding="utf-8") as file:
        return Response(200, {"Content-Type": "application/json"}, file.read())
