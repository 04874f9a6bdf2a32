"""Function Compute's HTTP trigger as a Flask application: a request becomes an event, the result a response.

Where the documentation is silent, the strict reading is taken:

- a request that exceeds a limit (headers 8 KB, path with query 4 KB, body 32 MB) is a 400 `InvalidArgument`;
- every failure of the function (an exception, the timeout, an invalid response) is a 502 with the error as JSON and
  `X-Fc-Error-Type: UnhandledInvocationError`;
- forbidden response headers are dropped;
- an `authType` other than anonymous is not emulated: such a trigger answers every request with a 403;
- the host counts as a custom domain, so no `Content-Disposition: attachment` is added.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from typing import Any, NamedTuple

import flask
from werkzeug.exceptions import RequestEntityTooLarge

from .functions import Function
from .invocation import HttpRequest, canonical_name, http_event, new_request_id, raw_request
from .runtime import UNHANDLED, Outcome, Runtime

MAX_HEADER_BYTES = 8 * 1024
MAX_TARGET_BYTES = 4 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024

_FORBIDDEN = {
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "upgrade",
}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpResponse(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class InvalidResponse(Exception):
    """A function's result cannot become an HTTP response; the message says why."""


class BadResponse(InvalidResponse):
    """Its headers are too large."""


def create_app(runtime: Runtime, function: Function) -> flask.Flask:
    """The application of `function`'s HTTP trigger; it answers every path and method."""
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    # Before Flask's routing, which would redirect "//", answer OPTIONS itself and refuse methods.
    @app.before_request
    def respond() -> flask.Response:
        request_id = new_request_id()
        response = _refuse(function, request_id) or _invoke(runtime, function, request_id)
        origin = flask.request.headers.get("Origin")
        headers = [("X-Fc-Request-Id", request_id)]
        if origin is not None:
            headers += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
            ]
        return flask.Response(response.body, response.status, [*headers, *response.headers])

    return app


def _refuse(function: Function, request_id: str) -> HttpResponse | None:
    """Function Compute's own error for a request that does not reach the function; None if it does."""
    trigger = function.http
    method = flask.request.method
    if trigger is None or method not in trigger.methods:
        return _error(
            403, "AccessDenied", f"http method '{method}' is not allowed by the trigger", request_id
        )
    if trigger.auth_type != "anonymous":
        message = f"authType '{trigger.auth_type}' is not emulated locally. Use anonymous"
        return _error(403, "AccessDenied", message, request_id)
    if len(str(flask.request.environ["RAW_URI"])) > MAX_TARGET_BYTES:
        return _error(
            400, "InvalidArgument", f"path and query exceed {MAX_TARGET_BYTES} bytes", request_id
        )
    if sum(len(name) + len(value) for name, value in flask.request.headers) > MAX_HEADER_BYTES:
        return _error(
            400, "InvalidArgument", f"headers exceed {MAX_HEADER_BYTES} bytes", request_id
        )
    return None


def _error(status: int, code: str, message: str, request_id: str) -> HttpResponse:
    body = {"RequestId": request_id, "Code": code, "Message": message}
    headers = (("Content-Type", "application/json"), ("X-Fc-Error-Type", "FcCommonError"))
    return HttpResponse(status, headers, json.dumps(body).encode())


def _invoke(runtime: Runtime, function: Function, request_id: str) -> HttpResponse:
    try:
        body = flask.request.get_data()
    except RequestEntityTooLarge:
        return _error(
            400, "InvalidArgument", f"the body exceeds {MAX_BODY_BYTES} bytes", request_id
        )
    request = HttpRequest(
        method=flask.request.method,
        target=str(flask.request.environ["RAW_URI"]),
        headers=tuple(flask.request.headers),
        body=body,
        host=flask.request.host,
        client_ip=flask.request.remote_addr or "",
        protocol=flask.request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
    )
    event = (
        raw_request(request) if function.custom else http_event(request, request_id, time.time())
    )
    return _response(runtime.invoke(function.name, event, request_id=request_id))


def _response(outcome: Outcome) -> HttpResponse:
    payload = outcome.payload
    if outcome.error_type is None:
        try:
            return _from_result(payload)
        except InvalidResponse as error:
            payload = json.dumps(
                {"errorMessage": str(error), "errorType": type(error).__name__}
            ).encode()
    return HttpResponse(
        502, (("Content-Type", "application/json"), ("X-Fc-Error-Type", UNHANDLED)), payload
    )


def _from_result(payload: bytes) -> HttpResponse:
    try:
        result = json.loads(payload)
    except (ValueError, RecursionError):
        return HttpResponse(200, (("Content-Type", "application/octet-stream"),), payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        return HttpResponse(200, (("Content-Type", "application/json"),), payload)
    status = result["statusCode"]
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidResponse(f"statusCode must be an integer from 200 to 599, not {status!r}")
    headers = _headers(result.get("headers"))
    if not any(name == "Content-Type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return HttpResponse(status, headers, _body(result.get("body"), result.get("isBase64Encoded")))


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise InvalidResponse("headers must be an object of strings")
    size = 0
    headers = []
    for name, content in value.items():
        if not isinstance(content, str):
            raise InvalidResponse(f"the value of header {name!r} must be a string")
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(content):
            raise InvalidResponse(
                f"header {name!r} has an invalid name or a control character in its value"
            )
        size += len(name) + len(content.encode())
        if name.lower() not in _FORBIDDEN and not name.lower().startswith("x-fc-"):
            # WSGI carries bytes as latin-1.
            headers.append((canonical_name(name), content.encode().decode("latin-1")))
    if size > MAX_HEADER_BYTES:
        raise BadResponse(f"the headers are {size} bytes, which exceeds {MAX_HEADER_BYTES}")
    return tuple(headers)


def _body(value: Any, is_base64: Any) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise InvalidResponse("body must be a string")
    if is_base64 is None or is_base64 is False:
        return value.encode()
    if is_base64 is not True:
        raise InvalidResponse("isBase64Encoded must be true or false")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidResponse("body must be valid base64 if isBase64Encoded is true") from None
