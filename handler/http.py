"""Function Compute's HTTP event in, its HTTP answer out.

Source: the Function Compute page on HTTP triggers and built-in runtimes (event version v1).
"""

from __future__ import annotations

import json

from . import app, startup
from .errors import Problem
from .request import Request

_TEXT = frozenset({str})


def on_http(event: bytes | str, context: object) -> dict[str, object]:
    """The HTTP function: `event` is the trigger's JSON, as bytes; the answer is what the trigger expects."""
    document = _parse(event)
    about = document.get("requestContext") if document is not None else None
    about = about if isinstance(about, dict) else {}
    transport = about.get("http")
    client_ip = transport.get("sourceIp") if isinstance(transport, dict) else None
    request_id = getattr(context, "request_id", None) or about.get("requestId")
    answer = app.answer(
        lambda: read_event(document),
        startup.policy,
        context,
        request_id=request_id if isinstance(request_id, str) else "",
        client_ip=client_ip if isinstance(client_ip, str) else "",
    )
    return {"statusCode": answer.status, "headers": answer.headers, "isBase64Encoded": False, "body": answer.body}


def read_event(document: dict[str, object] | None) -> Request:
    """The request that an HTTP event describes. Raises a 400 `Problem` for any other shape."""
    if document is None:
        raise _bad_event("is no JSON object")
    about = document.get("requestContext")
    transport = about.get("http") if isinstance(about, dict) else None
    method = transport.get("method") if isinstance(transport, dict) else None
    raw_path = document.get("rawPath")
    if not isinstance(about, dict) or not isinstance(method, str) or not isinstance(raw_path, str):
        raise _bad_event("has no rawPath or no requestContext.http.method, as an HTTP trigger's has")
    domain = about.get("domainName")
    return Request(
        method,
        raw_path,
        _texts(document, "queryParameters"),
        {name.lower(): value for name, value in _texts(document, "headers").items()},
        _body(document),
        domain if isinstance(domain, str) else "",
    )


def _parse(event: bytes | str) -> dict[str, object] | None:
    try:
        document = json.loads(event.decode() if isinstance(event, bytes) else event)
    except (ValueError, TypeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _texts(document: dict[str, object], name: str) -> dict[str, str]:
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict) or not _TEXT.issuperset(map(type, found.values())):
        raise _bad_event(f"has {name} that are no texts")
    return found


def _body(document: dict[str, object]) -> bytes:
    body = document.get("body")
    if not body:
        return b""
    if not isinstance(body, str):
        raise _bad_event("has a body that is no text")
    try:
        if document.get("isBase64Encoded") is True:
            from base64 import b64decode

            return b64decode(body, validate=True)
        return body.encode()
    except ValueError:
        raise _bad_event("has a body that is not the base64 or the text it says it is") from None


def _bad_event(why: str) -> Problem:
    return Problem(400, "bad_event", f"The event {why}: call this function through its HTTP trigger.")
