"""`/-/health` and `/-/openapi.json`: whether the service runs, and the description of its API."""

from __future__ import annotations

import os
from functools import cache

from ...core.context import Invocation
from ...core.request import Request
from ..response import Response

_OPENAPI = os.path.join(os.path.dirname(os.path.dirname(__file__)), "openapi.json")


def health(request: Request, invocation: Invocation) -> Response:
    """200 if the function runs and links.toml is valid. Neither the keys document nor OSS is read."""
    return Response(200, {"Content-Type": "application/json"}, '{"status": "ok"}\n')


def describe(request: Request, invocation: Invocation) -> Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "public, max-age=3600"}
    return Response(200, headers, _openapi())


@cache
def _openapi() -> str:
    with open(_OPENAPI, encoding="utf-8") as file:
        return file.read()
