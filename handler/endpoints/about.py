"""`/-/health` and `/-/openapi.json`: whether the service runs, and the description of its API."""

from __future__ import annotations

import os

from ..context import Invocation
from ..request import Request
from ..response import Response

_OPENAPI = os.path.join(os.path.dirname(os.path.dirname(__file__)), "openapi.json")


def health(request: Request, invocation: Invocation) -> Response:
    """200 if the function runs and links.toml is valid. Neither the keys document nor OSS is read."""
    return Response(200, {"Content-Type": "application/json"}, '{"status": "ok"}\n')


def describe(request: Request, invocation: Invocation) -> Response:
    with open(_OPENAPI, encoding="utf-8") as file:
        return Response(200, {"Content-Type": "application/json"}, file.read())
