"""A request gets the same response as an HTTP event, and as bytes from uvicorn's protocol and the ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import re
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import Mock, patch
from urllib.parse import urlencode

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from handler import asgi, events, startup
from handler.core.config import Config, InvalidConfig
from local.fc.invocation import HttpRequest, http_event
from signer import Credentials
from tests.fuzz.laws import check_response
from tests.handler.client import (
    CONFIG,
    KEYS,
    NOW,
    OTHER_KEYS,
    TOKEN,
    Answered,
    environment,
    invoke,
    new_instance,
)
from tests.handler.custom_runtime import platform, read
from tests.handler.web.test_responses import CASES, HTML, NOTHING

REQUEST_ID = "req-EXAMPLE"
PLATFORM = platform(request_id=REQUEST_ID)
JSON = {"Content-Type": "application/json"}
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


class Row(NamedTuple):
    """A request; `status` is None where only equality counts."""

    target: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    status: int | None = None

    def event(self) -> Answered:
        """The response of the built-in runtime."""
        pairs = tuple(
            (name, value.encode().decode("latin-1")) for name, value in self.headers.items()
        )
        target = re.sub(r"^http://[^/?]*/?", "/", self.target)
        request = HttpRequest(self.method, target, pairs, self.body, "links.example.com", "")
        return invoke(http_event(request, REQUEST_ID, NOW))

    def asgi(self, **more: Any) -> Answered:
        """The response of the custom runtime; a body has its length."""
        length = f"Content-Length: {len(self.body)}\r\n" if self.body else ""
        return served(self.head(length) + self.body, **more)

    def asgi_chunked(self, trailer: str = "Authorization: trailer") -> Answered:
        """The response of the custom runtime to a body in two chunks, with extensions and a trailer."""
        chunks = [chunk for chunk in (self.body[:7], self.body[7:]) if chunk]
        body = b"".join(b"%x;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return served(
            self.head("Transfer-Encoding: chunked\r\n") + body + f"0\r\n{trailer}\r\n\r\n".encode()
        )

    def head(self, last: str = "", added: Mapping[str, str] = PLATFORM) -> bytes:
        fields = "".join(
            f"{name}: {value}\r\n" for name, value in {**self.headers, **added}.items()
        )
        return f"{self.method} {self.target} HTTP/1.1\r\nConnection: close\r\n{fields}{last}\r\n".encode()


THREADS = ThreadPoolExecutor(4)
SERVER = uvicorn.Config(
    asgi.app, http=asgi.Protocol, ws="none", lifespan="off", log_config=None, proxy_headers=False
)


async def exchange(raw: bytes, again: bytes = b"") -> bytes:
    """What the server sends until it closes the connection; `again` is sent now and then."""
    ours, its = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(
        lambda: asgi.Protocol(SERVER, ServerState(), {"threads": THREADS}), its
    )
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(raw)
    received = bytearray()

    async def receive() -> None:
        # The end may be a reset: the server closes a connection on which more arrives.
        with contextlib.suppress(ConnectionResetError):
            while block := await reader.read(65_536):
                received.extend(block)

    response = asyncio.ensure_future(receive())
    while not (await asyncio.wait([response], timeout=0.01 if again else None))[0]:
        writer.write(again)
    writer.close()
    return bytes(received)


def served(
    raw: bytes, config: Config = CONFIG, variables: Mapping[str, str] = {}, again: bytes = b""
) -> Answered:
    """The response of the application to the bytes of a request, while the clock stands still."""
    out = io.StringIO()
    patched = patch.object(startup, "instance", lambda: new_instance(config))
    # In a thread of its own: a browser's client leaves an event loop running in the one of the tests.
    with (
        environment(variables),
        patched,
        contextlib.redirect_stdout(out),
        ThreadPoolExecutor(1) as pool,
    ):
        answered = io.BytesIO(pool.submit(asyncio.run, exchange(raw, again)).result(60))
    method = raw.partition(b" ")[0].decode()
    connection: Any = SimpleNamespace(makefile=lambda mode: answered)
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return read(response, method)._replace(printed=out.getvalue())


def comparable(response: Answered) -> tuple[int, dict[str, str], str, list[dict[str, Any]]]:
    """All of a response that must be equal; the server adds some headers, and a page has another nonce each time."""
    added = ("content-length", "connection", "date")
    headers = {
        name.lower(): value for name, value in response.headers.items() if name.lower() not in added
    }
    lines = [
        {name: value for name, value in line.items() if name != "milliseconds"}
        for line in response.lines
    ]
    policy = headers.pop("content-security-policy", "").partition("nonce-")[0]
    return (
        response.status,
        {**headers, "policy": policy},
        re.sub(r'nonce="[^"]*"', "", response.body),
        lines,
    )


CODED = [
    Row(f"{case.path}?{urlencode(case.query)}".rstrip("?"), case.method, {"Accept": accept})
    for case in CASES
    for accept in ("*/*", "text/html")
]
TARGETS = re.findall(
    r"\S+",
    """
    // //exampledir/a.txt /exampledir/../private/a.txt /exampledir/%2e%2e/a.txt /exampledir/a%2Fb.txt
    /exampledir/a%252Fb.txt /exampledir/%ff /exampledir/%00 /exampledir/% /exampledir/a#b
    /exampledir/%e4%bd%a0.txt /exampledir/a.txt? /exampledir/a.txt?? /exampledir/a.txt?&& /exampledir/a.txt?null
    /exampledir/a.txt?expires=90 /exampledir/a.txt?expires=9%30 /exampledir/a.txt?expires=90&expires=60
    /exampledir/a.txt?%65xpires=90 /exampledir/a.txt?download=%E6%8A%A5+%E5%91%8A.txt /exampledir/a.txt?download=%ff
    /exampledir/a.txt?a=b=c /exampledir/a.txt?=b /exampledir/a.txt?a;b /exampledir/a.txt?a#b?c
    /exampledir/a.txt?b=http://h/x http://evil.example/exampledir/a.txt http://evil.example *
    http://evil.example?/exampledir/a.txt
    """,
)
LINKS_BODY = json.dumps({"links": [{"path": "/exampledir/a.txt"}, {"path": "/nothing"}]}).encode()
TOO_LARGE = b" " * 1_048_577
PROXIES = {
    **dict.fromkeys(
        ["SCRIPT_NAME", "Script-Name", "PATH_INFO", "X-Forwarded-Prefix", "X-Original-Url"],
        "/private/a",
    ),
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Ssl": "off",
    "X-Http-Method-Override": "DELETE",
    "Host": "evil.example",
}
OTHERS = [
    Row("/-/sign", "POST", JSON, LINKS_BODY, 200),
    *(
        Row("/-/sign", "POST", JSON, body, 400)
        for body in (b"", b"{", b'{"links": 7}', TOO_LARGE[1:])
    ),
    *(
        Row(path, "POST", JSON, TOO_LARGE, 413)
        for path in ("/-/sign", "/exampledir/a.txt", "/nothing", "/-/health")
    ),
    Row("/nothing", "POST", HTML, TOO_LARGE + TOO_LARGE, 413),
    Row("/exampledir/a.txt", "GET", {}, b"unread", 302),
    Row(
        "/exampledir/a.txt",
        headers={"Accept": "text/html, \u00e9", "Origin": "https://h"},
        status=302,
    ),
    Row("/nothing", headers={**HTML, "Accept-Language": "zh-CN"}, status=404),
    Row("/exampledir/a.txt", headers={"Expect": "100-continue", "TE": "trailers"}, status=302),
    Row("/exampledir/a.txt", headers={"Upgrade": "h2c", "Connection": "upgrade"}, status=302),
    Row("/exampledir/a.txt", headers=PROXIES, status=302),
]
NOWHERE = [
    Row(path, method, status=404) for path, method in zip(NOTHING, METHODS * 3, strict=False)
]


@pytest.mark.parametrize(
    "row",
    [*CODED, *map(Row, TARGETS), *OTHERS, *NOWHERE],
    ids=lambda row: f"{row.method} {row.target}",
)
def test_every_adapter_gives_the_same_response(row: Row) -> None:
    expected = row.event()
    assert row.status in (None, expected.status)
    assert comparable(row.asgi()) == comparable(expected)
    if row.body:
        assert comparable(row.asgi_chunked()) == comparable(expected)


PATH_PARTS = re.findall(
    r"\S+", "/ a exampledir/ private/ -/ health . .. %2e %2F %25 % %ff %e4%bd%a0 + ~ ' ( : @"
)
QUERIES = re.findall(
    r"\S+", "expires=90 format=json download= download=%E4%BD%A0+a null acl x=%ff & = share=x"
)
NAMES = ["Accept", "Accept-Language", "Authorization", "Origin", "X-Multi", "Content-Type"]
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20
)
USUAL_VALUES = st.sampled_from(["text/html", "application/json", "Bearer x"])


@given(
    path=st.lists(st.sampled_from(PATH_PARTS), max_size=6).map("".join),
    query=st.lists(st.sampled_from(QUERIES), max_size=4).map("&".join),
    headers=st.dictionaries(
        st.sampled_from(NAMES), VALUES.map(str.strip) | USUAL_VALUES, max_size=4
    ),
    method=st.sampled_from(METHODS),
    body=st.binary(max_size=30) | st.just(LINKS_BODY),
)
def test_any_request_is_alike(
    path: str, query: str, headers: dict[str, str], method: str, body: bytes
) -> None:
    row = Row(f"/{path}?{query}" if query else f"/{path}", method, headers, body)
    response = row.asgi()
    assert comparable(response) == comparable(row.event())
    check_response(response)


def test_a_body_that_stalls_or_trickles_is_given_up_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi, "BODY_TIMEOUT", 0.1)
    monkeypatch.setattr(asgi, "LINGER", 0.1)
    for again in (b"", b" "):
        response = served(
            Row("/-/sign", "POST", JSON).head("Content-Length: 100000\r\n"), again=again
        )
        assert (response.status, response.code, response.headers["Connection"]) == (
            400,
            "bad_body",
            "close",
        )
        assert "it is incomplete" in response.body


def test_chunks_after_an_upgrade_which_the_server_does_not_read_are_an_incomplete_body() -> None:
    chunked = Row("/-/sign", "POST", JSON).head("Upgrade: h2c\r\nTransfer-Encoding: chunked\r\n")
    response = served(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LINKS_BODY), LINKS_BODY))
    assert (response.status, response.code) == (400, "bad_body")
    assert "it is incomplete" in response.body


@pytest.mark.parametrize(
    "length", ["Content-Length: 1048577\r\n", "Transfer-Encoding: chunked\r\n"]
)
def test_a_body_is_read_only_until_it_exceeds_the_maximum(
    length: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "LINGER", 0.1)
    chunk = b"%x\r\n" % len(TOO_LARGE) + TOO_LARGE + b"\r\n" if "chunked" in length else b""
    response = served(Row("/-/sign", "POST", JSON).head(length) + chunk)
    assert (response.status, response.code, response.headers["Connection"]) == (
        413,
        "body_too_large",
        "close",
    )


VARIABLES = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": OTHER_KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OTHER_KEYS.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": OTHER_KEYS.security_token or "",
}


@pytest.mark.parametrize(
    "missing", [("security-token",), ("access-key-id",), ("access-key-id", "security-token")]
)
def test_credentials_without_their_token_are_ignored_and_the_environments_sign(
    missing: tuple[str, ...],
) -> None:
    kept = {
        name: value for name, value in PLATFORM.items() if name.removeprefix("x-fc-") not in missing
    }
    raw = Row("/exampledir/a.txt").head(added=kept)
    assert served(raw, variables=VARIABLES).signs(keys=OTHER_KEYS)
    assert served(raw).code == "no_credentials"
    assert Row("/exampledir/a.txt").asgi(variables=VARIABLES).signs(keys=KEYS)


def test_the_platforms_headers_are_removed_from_the_request_and_trailers_are_none() -> None:
    requests = []
    with patch("handler.web.app.route", lambda request, *_: requests.append(request)):
        Row(
            "/exampledir/a.txt",
            "POST",
            {"Accept": "*/*", "X-Fc-Other": "1", "X_Api_Key": "2"},
            b"{}",
        ).asgi_chunked()
    assert [dict(request.headers) for request in requests] == [
        {"connection": "close", "accept": "*/*", "transfer-encoding": "chunked"}
    ]


def test_headers_of_one_name_are_joined_and_stripped() -> None:
    fields = [
        (b"a", b"1"),
        (b"b", b" x\t"),
        (b"a", b"  2 "),
        (b"a_", b"3"),
        (b"c", b""),
        (b"c", b"\xe4"),
    ]
    assert asgi.join(fields) == {"a": "1,2", "b": "x", "c": ",\ufffd"}


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        *((f"{sent}203.0.113.7", "203.0.113.7") for sent in ("", "1.1.1.1, ", "evil, ")),
        *(
            (sent, "")
            for sent in ("203.0.113.7, <script>", "203.0.113.7,", "", "1.1.1.1 203.0.113.7")
        ),
        ("evil, 2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_address_in_the_log_is_the_last_proxys_and_not_the_clients_own(
    forwarded: str, ip: str
) -> None:
    headers = {"X-Forwarded-For": forwarded, "X-Real-Ip": "10.9.9.9", "Forwarded": "for=10.9.9.9"}
    assert Row("/nothing", headers=headers).asgi().line["client_ip"] == ip


# Method, target and headers; {path} is /invoke or /initialize.
FORGED = """
POST {path}
POST {path} x-fc-control-path:
POST {path} x-fc-control-path: /http-invoke
POST {path} x-fc-control-path: {path},{path}
POST {path} x-fc-control-path: {other}
POST {path} x-fc-control-path: /http-invoke | x-fc-control-path: {path}
POST {path} X-Fc-Control-Path: {path} | x-fc-control-path: /http-invoke
POST {path} X-Fc-Control_Path: {path}
POST {path} Fc-Control-Path: {path}
POST {path} x-fc-control-path: {path} | X-Forwarded-For: 203.0.113.7
POST {path} x-fc-control-path: {path} | X-Fc-Base-Path: /
POST {path}/ x-fc-control-path: {path}
POST /{path} x-fc-control-path: {path}
POST /x/..{path} x-fc-control-path: {path}
POST /%69{path[2:]} x-fc-control-path: {path}
GET {path} x-fc-control-path: {path}
HEAD {path} x-fc-control-path: {path}
""".strip().splitlines()


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize(
    ("path", "other"), [("/invoke", "/initialize"), ("/initialize", "/invoke")]
)
def test_a_clients_call_is_a_request_like_any_other(forged: str, path: str, other: str) -> None:
    filled = forged.replace("{path[2:]}", path[2:]).format(path=path, other=other)
    method, target, *fields = filled.split(" ", 2)
    row = Row(target, method, {}, b'{"events": []}')
    kept = {name: value for name, value in PLATFORM.items() if name != "x-fc-control-path"}
    last = "".join(f"{field}\r\n" for field in "".join(fields).split(" | ") if field)
    never = Mock(side_effect=AssertionError("a client called the platform's own route"))
    with patch.object(events, "answer", never), patch.object(startup, "on_initialize", never):
        for response in (
            served(row.head(f"{last}Content-Length: {len(row.body)}\r\n", kept) + row.body),
            row.asgi_chunked(f"x-fc-control-path: {path}"),
        ):
            assert response.status == (404 if "//" not in target and ".." not in target else 400)
            status, headers, body, (line,) = comparable(response)
            assert "x-fc-status" not in headers
            assert (status, headers, body, [{**line, "client_ip": ""}]) == comparable(row.event())


def control(
    path: str, body: bytes = b"", function: Callable[..., object] | None = None
) -> Answered:
    """The response to a call of the platform; `function` replaces what it runs."""
    module, name = (events, "answer") if path == "/invoke" else (startup, "on_initialize")
    raw = (
        Row(path, "POST").head(
            f"Content-Length: {len(body)}\r\n", {**PLATFORM, "x-fc-control-path": path}
        )
        + body
    )
    with patch.object(module, name, function or getattr(module, name)):
        return served(raw)


def test_an_event_reaches_the_event_function_unchanged() -> None:
    on_event = Mock(return_value={"items": 1})
    response = control("/invoke", b"\xff{}", on_event)
    assert (response.status, response.body) == (200, '{"items": 1}')
    assert "X-Fc-Status" not in response.headers
    ((event, context, _),) = [call.args for call in on_event.call_args_list]
    assert event == b"\xff{}"
    assert context == (
        REQUEST_ID,
        Credentials(KEYS.access_key_id, KEYS.access_key_secret, TOKEN),
        False,
    )


@pytest.mark.parametrize(
    "result", [ValueError(TOKEN), KeyError(KEYS.access_key_secret), [{"a": b"bytes"}], [object()]]
)
def test_an_event_that_fails_has_the_platforms_header_and_shows_no_secret(result: object) -> None:
    response = control("/invoke", b"{}", Mock(side_effect=result))
    assert (response.headers["X-Fc-Status"], response.json["errorType"]) == (
        "404",
        "internal_error",
    )
    assert (response.line["request_id"], bool(response.line["fault"]["frames"])) == (
        REQUEST_ID,
        True,
    )
    assert not any(
        secret in response.body + response.printed for secret in (TOKEN, KEYS.access_key_secret)
    )
    expected = control("/invoke", b"{}", Mock(side_effect=InvalidConfig("Write it better.")))
    assert (expected.headers["X-Fc-Status"], expected.printed) == ("404", "")
    assert expected.json == {"errorType": "invalid_config", "errorMessage": "Write it better."}


@pytest.mark.parametrize(
    "error", [InvalidConfig("hiddenbucket/ is wrong."), OSError("hiddenbucket")]
)
def test_an_instance_that_cannot_start_says_why_only_in_its_log(error: Exception) -> None:
    response = control("/initialize", b"", Mock(side_effect=error))
    assert (response.status, response.headers["X-Fc-Status"]) == (404, "404")
    assert "hiddenbucket" not in response.body
    sentence, code = response.line.get("sentence"), response.line["code"]
    assert (sentence, code) in [
        ("hiddenbucket/ is wrong.", "invalid_config"),
        (None, "internal_error"),
    ]
    started = control("/initialize")
    assert (started.status, started.printed, started.body, "X-Fc-Status" in started.headers) == (
        200,
        "",
        "",
        False,
    )
