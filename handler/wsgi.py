"""Function Compute's custom runtime: `handler.wsgi:app`, for any number of threads.

HTTP requests arrive as clients sent them. Events and the initializer arrive as `POST /invoke` and
`POST /initialize`; clients can request those paths, too, but only the platform sends `x-fc-control-path`. The role's
keys, which the platform sends in headers, go no further than this module. Source: the Function Compute pages on custom
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
from .request import MAX_BYTES, Request, parse_query
from .response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTROL = frozenset({"/invoke", "/initialize"})

# Set by the server, or meant for one hop only.
_WITHHELD = frozenset({"HTTP_HOST", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TRANSFER_ENCODING"})
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_CHUNK = 65536  # bytes of a body that are read at a time

Environ = Mapping[str, Any]


class Context(NamedTuple):
    """The `context` of an invocation. Without `credentials`, those of the environment are used."""

    request_id: str
    credentials: Credentials | None


app = flask.Flask(__name__, static_folder=None)
# Flask would log an unexpected error with its message, which may hold anything.
app.logger.disabled = True
_flask = app.wsgi_app


def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hands the platform's own calls to Flask, and answers clients itself.

    Flask's routing redirects "//" and does not know the raw path, and for a link it takes longer than all the rest.
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
    """An event of any other trigger. The platform drops the status and goes by x-fc-status."""
    context = context_of(flask.request.environ)
    try:
        from .events import on_event

        result = on_event(flask.request.get_data(cache=False), context)
        body = result if isinstance(result, str | bytes) else json.dumps(result)
    except HandlerError as error:  # its line of audit is written
        return _failed(error.code, error.sentence)
    except Exception as error:
        _log(context, "internal_error", {"fault": audit.fault(error)})
        return _failed("internal_error", "The event could not be processed. See the log of this request.")
    return flask.Response(body, 200, {"Content-Type": "application/json"})


@app.post("/initialize")
def initialize() -> flask.Response:
    """The start of an instance, which fails with an invalid links.toml; what is wrong with it goes to the log only."""
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
    """The context that the platform's headers make.

    On Debian 11 and newer the token's header is gone; keys without their token are not used, and the environment's are.
    """
    key_id = environ.get("HTTP_X_FC_ACCESS_KEY_ID")
    secret = environ.get("HTTP_X_FC_ACCESS_KEY_SECRET")
    token = environ.get("HTTP_X_FC_SECURITY_TOKEN")
    credentials = Credentials(key_id, secret, token) if key_id and secret and token else None
    return Context(environ.get("HTTP_X_FC_REQUEST_ID", ""), credentials)


def target(environ: Environ) -> tuple[str, str]:
    """Path and query as the client wrote them; bytes outside ASCII are percent-encoded, as in an HTTP event."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if not raw.startswith("/") and (authority := _AUTHORITY.match(raw)):
        raw = raw[authority.end() :]
        raw = raw if raw.startswith("/") else f"/{raw}"
    path, _, query = raw.partition("?")
    if not path.isascii():
        path = quote(path.encode("latin-1", "replace"), safe=_PRINTABLE)
    return path, query


def headers(environ: Environ) -> dict[str, str]:
    """The client's headers with lower-case names, without the platform's."""
    values = {
        key[5:].replace("_", "-").lower(): _text(value)
        for key, value in environ.items()
        if key.startswith("HTTP_") and not key.startswith("HTTP_X_FC_") and key not in _WITHHELD
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            values[key.replace("_", "-").lower()] = _text(environ[key])
    return values


def client_ip(environ: Environ) -> str:
    """The client's address as the last hop before the function reports it, "" where it does not.

    Clients can put anything before that into X-Forwarded-For, so it is a hint for the audit line and no more.
    """
    last: str = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return last if _ADDRESS.fullmatch(last) else ""


def _body(environ: Environ) -> bytes:
    """The body, kept only up to the size above which it is refused: an instance has many clients and little memory.

    All of it is read, since gunicorn drops a connection where much is left. Raises a 400 `Problem` where it breaks off.
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
    except Exception:  # the server's own, where the connection or the chunks break off
        raise bad_body("it did not arrive completely; send it again") from None
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


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")
