"""The entry point of custom runtimes: the WSGI application `handler.wsgi:app`, for any number of threads.

HTTP requests arrive as clients sent them. Events and the initializer arrive as `POST /invoke` and
`POST /initialize`; clients can request those paths, too, but only the platform sends `x-fc-control-path`. The
platform sends the role's credentials in headers, which are removed here. Source: the Function Compute pages on custom
runtimes, their lifecycle hooks and their common request headers.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import flask

from signer import Credentials

from . import app as service
from . import audit, startup
from .config import InvalidConfig
from .errors import HandlerError, bad_body
from .request import MAX_BYTES, Request, parse_query, path_and_query
from .response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTROL = frozenset({"/invoke", "/initialize"})

# For one hop only.
_HOP_HEADERS = frozenset({"HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TRANSFER_ENCODING"})
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_CHUNK = 65536  # bytes of a body that are read at a time

Environ = Mapping[str, Any]


class Context(NamedTuple):
    """The `context` of an invocation; without `credentials`, those of the environment are used."""

    request_id: str
    credentials: Credentials | None


app = flask.Flask(__name__, static_folder=None)
# Flask would log an unexpected error with its message, which may contain secrets.
app.logger.disabled = True
_flask = app.wsgi_app


def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Passes the platform's own calls to Flask, and answers clients itself.

    Flask redirects "//", does not provide the raw path, and takes longer than creating a link does.
    """
    path, query = target(environ)
    if environ.get("HTTP_X_FC_CONTROL_PATH") == path and path in CONTROL and environ["REQUEST_METHOD"] == "POST":
        return _flask(environ, start_response)
    context = context_of(environ)
    method = environ["REQUEST_METHOD"]
    response = service.answer(
        lambda: Request(method, path, parse_query(query), headers(environ), _body(environ), ""),
        startup.config,
        context,
        request_id=context.request_id,
        client_ip=client_ip(environ),
    )
    return _send(response, method, start_response)


app.wsgi_app = serve  # type: ignore[method-assign]


@app.post("/invoke")
def invoke() -> flask.Response:
    """An event of any other trigger. The platform reads `x-fc-status` and ignores the status."""
    context = context_of(flask.request.environ)
    try:
        from .events import on_event

        result = on_event(flask.request.get_data(cache=False), context)
        body = result if isinstance(result, str | bytes) else json.dumps(result)
    except HandlerError as error:  # its audit line is already written
        return _failed(error.code, error.sentence)
    except Exception as error:
        _log(context, "internal_error", {"fault": audit.fault(error)})
        return _failed("internal_error", "The event could not be processed. See the log of this request.")
    return flask.Response(body, 200, {"Content-Type": "application/json"})


@app.post("/initialize")
def initialize() -> flask.Response:
    """The start of an instance, which fails with an invalid links.toml; only the log says what is wrong with it."""
    context = context_of(flask.request.environ)
    try:
        startup.on_initialize(context)
    except InvalidConfig as error:
        _log(context, error.code, {"sentence": error.sentence})
        return _failed(error.code, "Invalid configuration. See the log of this request.")
    except Exception as error:
        _log(context, "internal_error", {"fault": audit.fault(error)})
        return _failed("internal_error", "The instance could not be started. See the log of this request.")
    return flask.Response("", 200)


def context_of(environ: Environ) -> Context:
    """The context from the platform's headers.

    Since Debian 11, the header of the security token is missing: credentials without it are not used.
    """
    key_id = environ.get("HTTP_X_FC_ACCESS_KEY_ID")
    secret = environ.get("HTTP_X_FC_ACCESS_KEY_SECRET")
    token = environ.get("HTTP_X_FC_SECURITY_TOKEN")
    credentials = Credentials(key_id, secret, token) if key_id and secret and token else None
    return Context(environ.get("HTTP_X_FC_REQUEST_ID", ""), credentials)


def target(environ: Environ) -> tuple[str, str]:
    """Path and query as sent, but with bytes of the path outside ASCII percent-encoded, as in an HTTP event."""
    raw = path_and_query(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    path, _, query = raw.partition("?")
    if not path.isascii():
        path = quote(path.encode("latin-1", "replace"), safe=_PRINTABLE)
    return path, query


def headers(environ: Environ) -> dict[str, str]:
    """The client's headers with lower-case names, without the platform's."""
    values = {
        key[5:].replace("_", "-").lower(): _decode(value)
        for key, value in environ.items()
        if key.startswith("HTTP_") and not key.startswith("HTTP_X_FC_") and key not in _HOP_HEADERS
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            values[key.replace("_", "-").lower()] = _decode(environ[key])
    return values


def client_ip(environ: Environ) -> str:
    """The client's address as the last proxy reports it, "" where it does not.

    Clients can send X-Forwarded-For themselves, so the address is only good for the audit line.
    """
    last: str = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return last if _ADDRESS.fullmatch(last) else ""


def _body(environ: Environ) -> bytes:
    """The body, cut one byte above the maximum size: an instance has many clients and little memory.

    All of it is read, because gunicorn closes a connection with unread bytes. Raises the 400 `bad_body` if incomplete.
    """
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("HTTP_TRANSFER_ENCODING"):
        return b""
    body = bytearray()
    left = int(length) if length else sys.maxsize
    try:
        while left and (chunk := environ["wsgi.input"].read(min(left, _CHUNK))):
            body += chunk[: MAX_BYTES + 1 - len(body)]
            left -= len(chunk)
    except Exception:  # of gunicorn, for a broken connection or invalid chunks
        raise bad_body("it is incomplete; send it again") from None
    return bytes(body)


def _send(response: Response, method: str, start_response: StartResponse) -> Iterable[bytes]:
    body = response.body.encode()
    pairs = list(response.headers.items())
    if method != "HEAD" and response.status != 204:
        pairs.append(("Content-Length", str(len(body))))
    start_response(_STATUS[response.status], pairs)
    return (body,) if body else ()


def _failed(code: str, sentence: str) -> flask.Response:
    body = json.dumps({"errorType": code, "errorMessage": sentence})
    return flask.Response(body, 404, {"Content-Type": "application/json", "x-fc-status": "404"})


def _log(context: Context, code: str, facts: Mapping[str, object]) -> None:
    audit.write({"request_id": audit.string(context.request_id), "code": code, **facts})


def _decode(value: str) -> str:
    return value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")
