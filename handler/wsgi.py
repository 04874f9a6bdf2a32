"""The entry point of custom runtimes: the WSGI application `handler.wsgi:app`, for any number of threads.

HTTP requests arrive as clients sent them. Events and the initializer arrive as `POST /invoke` and
`POST /initialize` with `x-fc-control-path`; clients can request those paths, too. The platform sends the role's
credentials in headers, which are removed here. Source: the Function Compute pages on custom runtimes, their lifecycle
hooks and their common request headers.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from http import HTTPStatus
from threading import Semaphore, Timer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import flask

from signer import Credentials

from . import app as service
from . import audit, startup
from .config import InvalidConfig
from .errors import HandlerError, Problem, bad_body
from .request import MAX_BYTES, Request, parse_query, path_and_query
from .response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTROL = frozenset({"/invoke", "/initialize"})
# Set on requests of HTTP triggers: the path before the function's own, and the client's address.
_TRIGGER_HEADERS = ("HTTP_X_FC_BASE_PATH", "HTTP_X_FORWARDED_FOR")

MAX_EVENT = 32 * 1024 * 1024  # bytes, the platform's own limit
BODY_TIMEOUT = 10.0  # seconds for all of a body; the platform sends it at once
LINGER = 2.0  # seconds in which what is left of a refused body is dropped
SPARE_THREADS = 4  # that wait for no body, so that they serve everything else

# For one hop only.
_HOP_HEADERS = frozenset({"HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TRANSFER_ENCODING"})
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_CHUNK = 65536  # bytes of a body that are read at a time

# One for each thread that may wait for a body; gunicorn_conf sets how many.
_body_slots = Semaphore(16)

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
    if is_control_call(environ, path):
        return _flask(environ, start_response)
    context = context_of(environ)
    method = environ["REQUEST_METHOD"]
    body = Body(environ)
    response = service.answer(
        lambda: Request(method, path, parse_query(query), headers(environ), body.read(MAX_BYTES), ""),
        startup.config,
        context,
        request_id=context.request_id,
        client_ip=client_ip(environ),
    )
    chunks = _send(response, method, start_response)
    return _LastResponse(chunks, body) if body.is_unread else chunks


app.wsgi_app = serve  # type: ignore[method-assign]


@app.post("/invoke")
def invoke() -> flask.Response:
    """An event of any other trigger. The platform reads `x-fc-status` and ignores the status."""
    context = context_of(flask.request.environ)
    try:
        from .events import on_event

        result = on_event(Body(flask.request.environ).read(MAX_EVENT), context)
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


def is_control_call(environ: Environ, path: str) -> bool:
    """Whether the platform itself calls, and no client through an HTTP trigger.

    The platform should refuse `x-fc-control-path` from clients. Should it not, the headers that it adds to their
    requests, and to no calls of its own, give them away.
    """
    return (
        path in CONTROL
        and environ["REQUEST_METHOD"] == "POST"
        and environ.get("HTTP_X_FC_CONTROL_PATH") == path
        and not any(environ.get(name) for name in _TRIGGER_HEADERS)
    )


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
    values = {name: _decode(value) for key, value in environ.items() if (name := _header_name(key))}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            values[key.replace("_", "-").lower()] = _decode(environ[key])
    return values


@lru_cache(maxsize=512)
def _header_name(key: str) -> str:
    """The name of the header that a key such as HTTP_X_API_KEY stands for, "" for the platform's and other keys."""
    if not key.startswith("HTTP_") or key.startswith("HTTP_X_FC_") or key in _HOP_HEADERS:
        return ""
    return key[5:].replace("_", "-").lower()


def client_ip(environ: Environ) -> str:
    """The client's address as the last proxy reports it, "" where it does not.

    Clients can send X-Forwarded-For themselves, so the address is only good for the audit line.
    """
    last: str = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return last if _ADDRESS.fullmatch(last) else ""


def limit_bodies(threads: int) -> None:
    """Lets all threads of this process but `SPARE_THREADS` wait for bodies."""
    global _body_slots
    _body_slots = Semaphore(max(1, threads - SPARE_THREADS))


class Body:
    """The body of one request. `is_unread` says that some of it may still be on the connection, or on its way."""

    def __init__(self, environ: Environ) -> None:
        length = environ.get("CONTENT_LENGTH")
        self._input = environ["wsgi.input"]
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        self._length = int(length) if length else None
        # Of chunks, only their end says how many bytes they have.
        self._left = self._length or (sys.maxsize if environ.get("HTTP_TRANSFER_ENCODING") else 0)
        self._is_late = False

    @property
    def is_unread(self) -> bool:
        return self._left > 0 or self._is_late

    def read(self, maximum: int) -> bytes:
        """All of it; of a larger one, only so much that it exceeds `maximum` bytes.

        One whose Content-Length says so is not read at all. Raises the 400 `bad_body` where the connection breaks off
        or `BODY_TIMEOUT` is over, and the 503 `busy` where too many threads wait for bodies.
        """
        if not self._left:
            return b""
        if self._length is not None and self._length > maximum:
            return bytes(maximum + 1)
        body = bytearray()
        with self._time_limit(BODY_TIMEOUT) as has_slot:
            if not has_slot:
                raise Problem("busy")
            try:
                while self._left and len(body) <= maximum and (chunk := self._read_chunk()):
                    body += chunk
            except Exception:  # of gunicorn, for a broken connection or invalid chunks
                raise bad_body("it is incomplete; send it again") from None
        if self._length and self._left:
            raise bad_body("it is incomplete; send it again")
        return bytes(body[: maximum + 1])

    def drop(self) -> None:
        """Reads and drops what arrives within `LINGER`: clients that are cut off while sending read no response."""
        with self._time_limit(LINGER) as has_slot, suppress(Exception):
            while has_slot and self._left and self._read_chunk():
                pass
        self._stop()

    def _read_chunk(self) -> bytes:
        chunk: bytes = self._input.read(min(self._left, _CHUNK))
        if self._length is not None:
            self._left -= len(chunk)
        elif not chunk:
            self._left = 0
        return chunk

    @contextmanager
    def _time_limit(self, seconds: float) -> Iterator[bool]:
        """Ends reading after some seconds, however slowly bytes arrive. Gives False where no thread may wait."""
        if not self._left:
            yield True
            return
        slots = _body_slots
        if not slots.acquire(blocking=False):
            yield False
            return
        timer = Timer(seconds, self._stop)
        timer.daemon = True
        timer.start()
        try:
            yield True
        finally:
            timer.cancel()
            slots.release()

    def _stop(self) -> None:
        """Ends the reading of every thread: a timeout of the socket begins again with each byte."""
        self._is_late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)


class _LastResponse:
    """A response after which the connection is closed: what is left of the body must not pass for a request."""

    def __init__(self, chunks: Iterable[bytes], body: Body) -> None:
        self._chunks = chunks
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        """Called once the response is sent. The server closes the connection on this error, and logs nothing."""
        self._body.drop()
        raise ConnectionResetError(errno.ECONNRESET, "The body of the request was not read.")


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
