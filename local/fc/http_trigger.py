"""Function Compute's HTTP trigger as a Flask application: a request in, an event out, and the answer back.

What the documentation leaves open is decided here, on the strict side:

- a request over a limit (headers 8 KB, path with query 4 KB, body 32 MB) is a 400 `InvalidArgument`;
- every fault of the function (an exception, the timeout, an answer that is no answer) is a 502 with the error as
  JSON and `X-Fc-Error-Type: UnhandledInvocationError`;
- forbidden response headers are dropped;
- an `authType` other than anonymous is not emulated: such a trigger refuses everybody with a 403;
- the host is read as a custom domain, so there is no `Content-Disposition: attachment`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import flask
from werkzeug.exceptions import RequestEntityTooLarge

from .functions import Function
from .invocation import HttpRequest, canonical_name, http_event, new_request_id
from .runtime import UNHANDLED, Outcome, Runtime

HEADER_BYTES = 8 * 1024
TARGET_BYTES = 4 * 1024
BODY_BYTES = 32 * 1024 * 1024

_FORBIDDEN = {"connection", "content-length", "date", "keep-alive", "server", "upgrade"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class InvalidAnswer(Exception):
    """What a function returned cannot be made an HTTP response; the text says why."""


def create_app(runtime: Runtime, function: Function) -> flask.Flask:
    """The application of `function`'s HTTP trigger; it answers every path and method."""
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES

    # Before the routing, which would redirect "//", answer OPTIONS by itself and refuse methods.
    @app.before_request
    def answer() -> flask.Response:
        request_id = new_request_id()
        found = _refusal(function, request_id) or _invoked(runtime, function, request_id)
        origin = flask.request.headers.get("Origin")
        headers = [("X-Fc-Request-Id", request_id)]
        if origin is not None:
            headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
        return flask.Response(found.body, found.status, [*headers, *found.headers])

    return app


def _refusal(function: Function, request_id: str) -> Answer | None:
    """What Function Compute answers before the function runs, None where it lets the request through."""
    trigger = function.http
    method = flask.request.method
    if trigger is None:
        return _refused(404, "TriggerNotFound", f"function '{function.name}' has no http trigger", request_id)
    if method not in trigger.methods:
        return _refused(403, "AccessDenied", f"http method '{method}' is not allowed by the trigger", request_id)
    if trigger.auth_type != "anonymous":
        message = f"authType '{trigger.auth_type}' is not emulated on a laptop: use anonymous"
        return _refused(403, "AccessDenied", message, request_id)
    if len(_target()) > TARGET_BYTES:
        return _refused(400, "InvalidArgument", f"path and query exceed {TARGET_BYTES} bytes", request_id)
    if sum(len(name) + len(value) for name, value in flask.request.headers) > HEADER_BYTES:
        return _refused(400, "InvalidArgument", f"headers exceed {HEADER_BYTES} bytes", request_id)
    return None


def _refused(status: int, code: str, message: str, request_id: str) -> Answer:
    body = {"RequestId": request_id, "Code": code, "Message": message}
    headers = (("Content-Type", "application/json"), ("X-Fc-Error-Type", "FcCommonError"))
    return Answer(status, headers, json.dumps(body).encode())


def _invoked(runtime: Runtime, function: Function, request_id: str) -> Answer:
    request = flask.request
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        return _refused(400, "InvalidArgument", f"the body exceeds {BODY_BYTES} bytes", request_id)
    arrived = HttpRequest(
        method=request.method,
        target=_target(),
        headers=tuple(request.headers),
        body=body,
        host=request.host,
        client_ip=request.remote_addr or "",
        protocol=request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
    )
    event = http_event(arrived, request_id, time.time())
    return answer_of(runtime.invoke(function.name, event, request_id=request_id))


def _target() -> str:
    """Path and query as the client wrote them, without scheme and host where he wrote those too."""
    raw = str(flask.request.environ["RAW_URI"])
    if raw.startswith("/"):
        return raw
    without_scheme = raw.partition("://")[2]
    return "/" + without_scheme.partition("/")[2]


def answer_of(outcome: Outcome) -> Answer:
    """The HTTP response that an invocation's outcome stands for."""
    if outcome.error_type is not None:
        return _fault(outcome.payload)
    try:
        return _mapped(outcome.payload)
    except InvalidAnswer as error:
        return _fault(json.dumps({"errorMessage": str(error), "errorType": "InvalidResponse"}).encode())


def _fault(payload: bytes) -> Answer:
    return Answer(502, (("Content-Type", "application/json"), ("X-Fc-Error-Type", UNHANDLED)), payload)


def _mapped(payload: bytes) -> Answer:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return Answer(200, (("Content-Type", "application/octet-stream"),), payload)
    if not isinstance(value, dict) or "statusCode" not in value:
        return Answer(200, (("Content-Type", "application/json"),), payload)
    status = value["statusCode"]
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidAnswer(f"statusCode is a whole number from 200 to 599, not {status!r}")
    headers = _headers(value.get("headers"))
    if not any(name == "Content-Type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return Answer(status, headers, _body(value.get("body"), value.get("isBase64Encoded")))


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, dict):
        raise InvalidAnswer("headers is no mapping of names to texts")
    size = 0
    headers = []
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidAnswer(f"the value of the header {name!r} is no text")
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise InvalidAnswer(f"the header {name!r} cannot be sent")
        size += len(name) + len(value.encode())
        if name.lower() not in _FORBIDDEN and not name.lower().startswith("x-fc-"):
            # WSGI carries bytes as latin-1.
            headers.append((canonical_name(name), value.encode().decode("latin-1")))
    if size > HEADER_BYTES:
        raise InvalidAnswer(f"the headers hold {size} bytes, more than {HEADER_BYTES}")
    return tuple(headers)


def _body(given: Any, is_base64: Any) -> bytes:
    if given is None:
        return b""
    if not isinstance(given, str):
        raise InvalidAnswer("body is no text")
    if is_base64 is None or is_base64 is False:
        return given.encode()
    if is_base64 is not True:
        raise InvalidAnswer("isBase64Encoded is neither true nor false")
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidAnswer("isBase64Encoded is true, but body is no base64") from None
