"""The entry point of custom runtimes: the ASGI application `handler.asgi:app`, and the `Protocol` that uvicorn uses.

HTTP requests arrive as clients sent them. Events and the initializer arrive as `POST /invoke` and
`POST /initialize` with `x-fc-control-path`; clients can request those paths, too. The platform sends the role's
credentials in headers, which are removed here. Source: the Function Compute pages on custom runtimes, their lifecycle
hooks and their common request headers. An event loop reads and writes, so that slow clients occupy no thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from signer import Credentials
from signer.credentials import FUNCTION_COMPUTE
from signer.signed_request import path_and_query

from . import startup
from .core import audit
from .core.errors import HandlerError, Problem, bad_body
from .core.request import MAX_BYTES, Request, parse_query
from .web import app as service
from .web.response import Response

# Set on requests of HTTP triggers: the path before the function's own, and the client's address.
_TRIGGER_HEADERS = frozenset({"x-fc-base-path", "x-forwarded-for"})
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")

MAX_EVENT = 32 * 1024 * 1024  # bytes, the platform's own limit
MAX_HEAD = 64 * 1024  # bytes; the platform allows 12 KB, and adds its own headers
BODY_TIMEOUT = 10.0  # seconds for all of a body; the platform sends it at once
LINGER = 2.0  # seconds in which what is left of a refused body is dropped

_PIECE = 4096  # bytes that are parsed at a time, and by which a head may be refused early

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Context(NamedTuple):
    """The `context` of an invocation; without `credentials`, or if OSS or STS refuses them, the environment's are used.

    They `may_be_forged` in the headers of a request that a client sent; without others, they are the only ones.
    """

    request_id: str
    credentials: Credentials | None
    may_be_forged: bool = False


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which takes trailers for headers, has no limit for either, and reads `#` as a fragment."""

    _fields: int | None = None  # bytes of the head or of trailers that arrived so far

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._fields = 0

    def on_headers_complete(self) -> None:
        self._fields = None
        target = path_and_query(self.url.decode("ascii")).encode()
        self.url = target.partition(b"#")[0]
        super().on_headers_complete()
        self.scope["raw_path"], _, self.scope["query_string"] = target.partition(b"?")
        self.scope["headers"] = tuple(self.headers)  # trailers are appended to the list

    def on_chunk_header(self) -> None:
        self._fields = 0  # the last chunk has no body, but trailers

    def on_body(self, body: bytes) -> None:
        self._fields = None
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            super().data_received(piece)
            if self._fields is not None:
                self._fields += len(piece)
                if self._fields + _PIECE > MAX_HEAD:
                    self.transport.close()
            if self.transport.is_closing():
                return


async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(scope["state"], receive, send)
        return
    method = scope["method"]
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    headers = join(scope["headers"])
    is_control = is_control_call(method, path, headers)
    context = context_of(headers, is_control)
    body, is_unread = await _read(receive, headers, MAX_EVENT if is_control else MAX_BYTES)

    def received() -> Request | Problem:
        if body is None:
            return bad_body("it is incomplete; send it again")
        own = {name: value for name, value in headers.items() if not name.startswith("x-fc-")}
        return Request(
            method=method,
            raw_path=path,
            query=parse_query(query),
            headers=own,
            body=body,
            domain="",
        )

    def answer() -> Response:
        if is_control:
            return _answer_platform(path, body, context)
        ip = client_ip(headers)
        return service.answer(
            received(),
            startup.instance,
            context,
            request_id=context.request_id,
            client_ip=ip,
            raw_path=path,
        )

    async def drop() -> None:
        while (await receive()).get("more_body"):
            pass

    response = await asyncio.get_running_loop().run_in_executor(scope["state"]["threads"], answer)
    content = response.body.encode()
    fields = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if method != "HEAD" and response.status not in (204, 304):
        fields.append((b"content-length", str(len(content)).encode()))
    if is_unread or body is None or "upgrade" in headers:
        fields.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": fields})
    await send({"type": "http.response.body", "body": content, "more_body": is_unread})
    if is_unread:
        # Clients that are cut off while sending read no response.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(drop(), LINGER)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _answer_platform(path: str, body: bytes | None, context: Context) -> Response:
    """The response to an event or to the initializer. The platform reads `x-fc-status` and ignores the status."""
    line = {"request_id": audit.string(context.request_id)}
    try:
        if path == "/initialize":
            startup.on_initialize(context)
            return Response(200, {}, "")
        from . import events
        from .notices.sinks.client import Network

        # An incomplete event is as invalid as an empty one.
        summary = json.dumps(
            events.answer(body or b"", context, startup.instance, network=Network())
        )
        return Response(200, {"Content-Type": "application/json"}, summary)
    except HandlerError as error:
        code = error.code
        sentence = error.sentence
        # on_event has written its line; only the log says what is wrong with links.toml.
        if path == "/initialize":
            audit.write({**line, "code": code, "sentence": sentence})
            sentence = "Invalid configuration. See the log of this request."
    except Exception as error:
        code = "internal_error"
        sentence = f"{path[1:]} failed. See the log of this request."
        audit.write({**line, "code": code, "fault": audit.fault(error)})
    failure = json.dumps({"errorType": code, "errorMessage": sentence})
    return Response(404, {"Content-Type": "application/json", "x-fc-status": "404"}, failure)


def join(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case names; those of the same name are joined, and a name with `_` could pass for another."""
    values: dict[str, str] = {}
    for name, value in fields:
        if b"_" not in name:
            key = name.decode("latin-1")
            text = value.strip(b" \t").decode("utf-8", "replace")
            values[key] = f"{values[key]},{text}" if key in values else text
    return values


def is_control_call(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether the platform itself calls, and no client through an HTTP trigger.

    The platform should refuse `x-fc-control-path` from clients. Should it not, the headers that it adds to their
    requests, and to no calls of its own, give them away.
    """
    is_named = (
        path in ("/invoke", "/initialize")
        and method == "POST"
        and headers.get("x-fc-control-path") == path
    )
    return is_named and _TRIGGER_HEADERS.isdisjoint(headers)


def context_of(headers: Mapping[str, str], is_control: bool) -> Context:
    """The context from the platform's headers.

    Since Debian 11, the header of the security token is missing: credentials without it are not used.
    """
    names = ("x-fc-access-key-id", "x-fc-access-key-secret", "x-fc-security-token")
    key_id, secret, token = map(headers.get, names)
    credentials = Credentials(key_id, secret, token) if key_id and secret and token else None
    may_be_forged = not is_control and bool(os.environ.get(FUNCTION_COMPUTE[0]))
    return Context(headers.get("x-fc-request-id", ""), credentials, may_be_forged)


def client_ip(headers: Mapping[str, str]) -> str:
    """The address that the last proxy reports, or "". Clients can send others before it, so only the log has it."""
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return last if _ADDRESS.fullmatch(last) else ""


async def _read(
    receive: Receive, headers: Mapping[str, str], maximum: int
) -> tuple[bytes | None, bool]:
    """The body, None if it is incomplete or late, and whether some may still arrive: above `maximum` bytes it may."""
    length = int(headers.get("content-length") or 0)
    is_chunked = "transfer-encoding" in headers
    if length > maximum:
        return bytes(maximum + 1), True
    body = bytearray()
    message = dict[str, Any](more_body=bool(length or is_chunked))

    async def collect() -> None:
        nonlocal message
        while message.get("more_body") and len(body) <= maximum:
            message = dict(await receive())
            body.extend(message.get("body", b""))

    if is_chunked or length:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(collect(), BODY_TIMEOUT)
    may_continue = message.get("more_body", True)  # no disconnection is an end
    # With Upgrade, httptools parses nothing after the head.
    is_whole = not may_continue and (
        "upgrade" not in headers if is_chunked else len(body) == length
    )
    return bytes(body) if is_whole or len(body) > maximum else None, may_continue


async def _live(state: dict[str, Any], receive: Receive, send: Send) -> None:
    """The life of the process: each request gets `state`. Its log is the audit lines, or why it cannot listen."""

    def end_failed_start(record: logging.LogRecord) -> bool:
        if isinstance(record.msg, OSError):
            raise SystemExit(f"The server cannot start: {record.msg}")
        return False

    logging.getLogger("asyncio").disabled = True
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.ERROR)
    server.addFilter(end_failed_start)
    state["threads"] = ThreadPoolExecutor(startup.THREADS)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    # Threads may hang, and uvicorn would end with a signal, which the first process of a container ignores.
    os._exit(0)
