"""The entry point of HTTP triggers in built-in runtimes.

Source: the Function Compute page on HTTP triggers and built-in runtimes (event version v1).
"""

from __future__ import annotations

import json
from typing import Any

from . import startup
from .core.errors import Problem
from .core.request import Request
from .web import app


def on_http(event: bytes | str, context: object) -> dict[str, object]:
    """Answers a request: `event` is the trigger's JSON, and the result is the response that the trigger expects."""
    document = _parse(event)
    request_context = _object(document, "requestContext") if document is not None else {}
    http = _object(request_context, "http")
    request_id = getattr(context, "request_id", None) or request_context.get("requestId")
    client_ip = http.get("sourceIp")
    try:
        received: Request | Problem = _request(document, request_context, http)
    except Problem as problem:
        received = problem
    raw_path = document.get("rawPath") if document is not None else None
    response = app.answer(
        received,
        startup.instance,
        context,
        request_id=request_id if isinstance(request_id, str) else "",
        client_ip=client_ip if isinstance(client_ip, str) else "",
        raw_path=raw_path if isinstance(raw_path, str) else "",
    )
    startup.end_after_answer(context)
    return {
        "statusCode": response.status,
        "headers": response.headers,
        "isBase64Encoded": False,
        "body": response.body,
    }


def _request(
    document: dict[str, Any] | None, request_context: dict[str, Any], http: dict[str, Any]
) -> Request:
    """The request that a parsed event describes. Raises the 400 `bad_event` for any other event."""
    if document is None:
        raise _bad_event("it must be a JSON object")
    method = http.get("method")
    raw_path = document.get("rawPath")
    domain = request_context.get("domainName")
    if not isinstance(method, str) or not isinstance(raw_path, str):
        raise _bad_event("rawPath and requestContext.http.method must be strings")
    return Request(
        method=method,
        raw_path=raw_path,
        query=_strings(document, "queryParameters"),
        headers={name.lower(): value for name, value in _strings(document, "headers").items()},
        body=_body(document),
        domain=domain if isinstance(domain, str) else "",
    )


def _parse(event: bytes | str) -> dict[str, Any] | None:
    try:
        document = json.loads(event.decode() if isinstance(event, bytes) else event)
    except (ValueError, TypeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _strings(document: dict[str, Any], name: str) -> dict[str, str]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not {str}.issuperset(map(type, value.values())):
        raise _bad_event(f"{name} must be an object of strings")
    return value


def _body(document: dict[str, Any]) -> bytes:
    body = document.get("body")
    if not body:
        return b""
    if not isinstance(body, str):
        raise _bad_event("body must be a string")
    try:
        if document.get("isBase64Encoded") is True:
            from base64 import b64decode

            return b64decode(body, validate=True)
        return body.encode()
    except ValueError:
        raise _bad_event(
            "body must be valid base64 if isBase64Encoded is true, otherwise valid UTF-8"
        ) from None


def _bad_event(reason: str) -> Problem:
    return Problem(
        "bad_event", f"Invalid event: {reason}. Call this function through its HTTP trigger."
    )
