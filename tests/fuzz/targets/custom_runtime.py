"""What clients send to a custom runtime: a request as gunicorn passes it on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import BytesIO, StringIO
from typing import Any
from unittest.mock import patch

from handler import startup, wsgi
from tests.fuzz.fuzzer import Run
from tests.fuzz.laws import check_response
from tests.fuzz.targets.requests import service
from tests.handler.client import NOW, Answered, world
from tests.handler.keys_fixtures import SHARER

# What gunicorn lets pass: RFC 9110 §5.1 and §5.5, and a target without spaces and control characters.
_REQUEST = re.compile(rb"([A-Z]{3,20}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*")
_PLATFORM = {
    "HTTP_X_FC_REQUEST_ID": "req-EXAMPLE",
    "HTTP_X_FC_ACCESS_KEY_ID": "STS.EXAMPLE",
    "HTTP_X_FC_ACCESS_KEY_SECRET": "secretEXAMPLE",
    "HTTP_X_FC_SECURITY_TOKEN": "CAIS+token/EXAMPLE==",
    "HTTP_X_FORWARDED_FOR": "203.0.113.7",
}


@contextmanager
def custom_runtime() -> Iterator[Run]:
    """Every request that a server passes on has a documented response and one audit line."""
    with service() as config:

        def run(data: bytes) -> None:
            environ = environ_of(data)
            if environ is None:
                return
            started: list[tuple[str, list[tuple[str, str]]]] = []
            out = StringIO()
            with world(NOW, {}), patch.object(startup, "config", lambda: config), redirect_stdout(out):
                chunks = wsgi.app.wsgi_app(environ, lambda status, headers: started.append((status, headers)))  # type: ignore[arg-type]
                body = b"".join(chunks).decode()
                with suppress(ConnectionResetError):  # how a connection is closed
                    getattr(chunks, "close", lambda: None)()
            ((status, headers),) = started
            assert len(dict(headers)) == len(headers)
            check_response(Answered(int(status[:3]), dict(headers), body, out.getvalue()))

        yield run


def environ_of(data: bytes) -> dict[str, Any] | None:
    """The WSGI environment of a request, None where a server would refuse it."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    request, headers = _REQUEST.fullmatch(first), [_HEADER.fullmatch(line) for line in lines]
    if request is None or not all(headers):
        return None
    method, target = (part.decode("latin-1") for part in request.groups())
    environ = {"REQUEST_METHOD": method, "RAW_URI": target, "wsgi.input": BytesIO(body), **_PLATFORM}
    for header in filter(None, headers):
        name, value = (part.decode("latin-1") for part in header.groups())
        name = "HTTP_" + name.upper().replace("-", "_")
        if not name.startswith(("HTTP_X_FC", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")):
            environ[name.removeprefix("HTTP_") if name == "HTTP_CONTENT_TYPE" else name] = value
    environ["CONTENT_LENGTH"] = str(len(body)) if body else ""
    return environ


def custom_runtime_seeds() -> Iterable[bytes]:
    key = f"X-Api-Key: {SHARER}\nContent-Type: application/json"
    requests = (
        "GET /exampledir/%E4%BD%A0.txt?format=json&expires=15m HTTP/1.1\nAccept: */*\nHost: links.example.com",
        "GET /exampledir/a.txt?a=b&a=c&share=x HTTP/1.1\nAccept: text/html\nAccept-Language: zh-CN",
        "HEAD http://links.example.com/exampledir/a.txt?download HTTP/1.1\nOrigin: https://app.example.com",
        f'POST /-/sign HTTP/1.1\n{key}\n\n{{"links": [{{"path": "/reports/q3.pdf"}}]}}',
        f'POST /-/shares HTTP/1.1\n{key}\n\n{{"path": "/reports/q3.pdf", "max_uses": 3}}',
        "POST /invoke HTTP/1.1\nX-Fc-Control-Path: /invoke\n\n{}",
        "GET //a?b HTTP/1.1\nX-Forwarded-Proto: https\nHost: links.example.com:443",
        f"GET /reports/q3.pdf HTTP/1.1\nAuthorization: Bearer {SHARER}",
    )
    return [request.encode() for request in requests]
