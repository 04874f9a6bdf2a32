"""The custom runtime responds to the same request exactly as the built-in runtime does."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import events, startup, wsgi
from handler.config import Config, InvalidConfig
from local.fc.invocation import HttpRequest, http_event
from signer import Credentials
from tests.handler.client import CONFIG, KEYS, NOW, OTHER_KEYS, TOKEN, Answered, invoke, world
from tests.handler.test_responses import CASES, HTML, NOTHING, Case

REQUEST_ID = "req-EXAMPLE"
PLATFORM = {
    "HTTP_X_FC_REQUEST_ID": REQUEST_ID,
    "HTTP_X_FC_CONTROL_PATH": "/http-invoke",
    "HTTP_X_FC_ACCESS_KEY_ID": KEYS.access_key_id,
    "HTTP_X_FC_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "HTTP_X_FC_SECURITY_TOKEN": TOKEN,
}
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"]


def environ_of(
    target: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    added: Mapping[str, str] = PLATFORM,
) -> dict[str, Any]:
    """The WSGI environment that gunicorn makes of a request; bytes of the target are latin-1."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "SCRIPT_NAME": "",
        "PATH_INFO": target.partition("?")[0],
        "QUERY_STRING": target.partition("?")[2],
        "SERVER_NAME": "0.0.0.0",  # noqa: S104
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        **added,
    }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.encode().decode("latin-1")
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def serve(environ: Mapping[str, Any], config: Config = CONFIG, variables: Mapping[str, str] | None = None) -> Answered:
    """The response of the application, while the clock stands still."""
    out, started = io.StringIO(), []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        started.append((int(status.split()[0]), headers))

    with (
        world(NOW, variables or {}),
        patch.object(startup, "config", lambda: config),
        contextlib.redirect_stdout(out),
    ):
        body = b"".join(wsgi.app(dict(environ), start_response))
    ((status, headers),) = started
    assert len(dict(headers)) == len(headers)
    return Answered(status, dict(headers), body.decode(), out.getvalue())


def built_in(target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answered:
    """The response of the built-in runtime to the same request."""
    pairs = tuple((name, value.encode().decode("latin-1")) for name, value in (headers or {}).items())
    request = HttpRequest(method, target, pairs, body, "links.example.com", "")
    return invoke(http_event(request, REQUEST_ID, NOW))


def comparable(response: Answered) -> tuple[int, dict[str, str], str, dict[str, Any]]:
    """All of a response that must be equal. Only the custom runtime sends the length itself."""
    headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
    line = {name: value for name, value in response.line.items() if name != "milliseconds"}
    return response.status, headers, response.body, line


def assert_same(
    target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answered:
    served = serve(environ_of(target, method, headers, body))
    assert comparable(served) == comparable(built_in(target, method, headers, body))
    return served


def target_of(case: Case) -> str:
    query = "&".join(f"{name}={value}" for name, value in case.query)
    return f"{case.path}?{query}" if query else case.path


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_both_runtimes_respond_alike(case: Case, accept: str) -> None:
    served = assert_same(target_of(case), case.method, {"Accept": accept})
    assert served.status in (case.status, 200)


@pytest.mark.parametrize("path", NOTHING)
@pytest.mark.parametrize("method", METHODS)
def test_the_same_paths_do_not_exist(path: str, method: str) -> None:
    assert assert_same(path, method).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "//exampledir/a.txt",
        "/exampledir//a.txt",
        "/exampledir/../private/a.txt",
        "/exampledir/./a.txt",
        "/exampledir/%2e%2e/a.txt",
        "/exampledir/a%2Fb.txt",
        "/exampledir/a%252Fb.txt",
        "/exampledir/%ff",
        "/exampledir/%00",
        "/exampledir/%",
        "/exampledir/a b.txt",
        "/exampledir/a#b",
        "/exampledir/\xe4\xbd\xa0.txt",
        "/exampledir/\xff",
        "/exampledir/a.txt?",
        "/exampledir/a.txt??",
        "/exampledir/a.txt?&&",
        "/exampledir/a.txt?null",
        "/exampledir/a.txt?expires=90",
        "/exampledir/a.txt?expires=9%30",
        "/exampledir/a.txt?expires=90&expires=60",
        "/exampledir/a.txt?%65xpires=90",
        "/exampledir/a.txt?download=%E6%8A%A5+%E5%91%8A.txt",
        "/exampledir/a.txt?download=\xe6\x8a\xa5.txt",
        "/exampledir/a.txt?download=%ff",
        "/exampledir/a.txt?a=b=c",
        "/exampledir/a.txt?=b",
        "/exampledir/a.txt?a;b",
        "http://evil.example/exampledir/a.txt",
        "http://evil.example?/exampledir/a.txt",
    ],
)
def test_a_target_is_read_alike(target: str) -> None:
    if target.startswith("http"):
        served = serve(environ_of(target))
        path = target.removeprefix("http://evil.example")
        assert comparable(served) == comparable(built_in(path if path.startswith("/") else f"/{path}"))
    else:
        assert_same(target)


@pytest.mark.parametrize("target", ["*", "exampledir/a.txt", "links.example.com:443", ""])
def test_a_target_without_a_path_is_a_bad_path(target: str) -> None:
    served = serve(environ_of(target, "OPTIONS"))
    assert (served.status, served.code) == (400, "bad_path")


PATH_PARTS = st.sampled_from(
    ["/", "a", "exampledir/", "private/", "-/", "health", ".", "..", "%2e", "%2F", "%25", "%", "%ff", "%e4%bd%a0", "+"]
)
QUERIES = st.sampled_from(
    [
        "expires=90",
        "expires",
        "format=json",
        "download=",
        "download=%E4%BD%A0+a",
        "null",
        "acl",
        "x=%ff",
        "&",
        "=",
        "a=b",
    ]
)
NAMES = st.sampled_from(
    ["Accept", "Accept-Language", "Authorization", "X-Api-Key", "Origin", "X-Multi", "Content-Type"]
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20)


@given(
    path_parts=st.lists(PATH_PARTS, max_size=6),
    queries=st.lists(QUERIES, max_size=4),
    headers=st.dictionaries(NAMES, VALUES | st.sampled_from(["text/html", "application/json", "Bearer x"]), max_size=4),
    method=st.sampled_from(METHODS),
    body=st.binary(max_size=30),
)
def test_any_request_gets_the_same_response(
    path_parts: list[str], queries: list[str], headers: dict[str, str], method: str, body: bytes
) -> None:
    target = "/" + "".join(path_parts) + ("?" + "&".join(queries) if queries else "")
    served, expected = serve(environ_of(target, method, headers, body)), built_in(target, method, headers, body)
    assert served.status == expected.status
    # A page has a new nonce each time.
    if "text/html" not in served.headers.get("Content-Type", ""):
        assert comparable(served) == comparable(expected)


def test_a_body_is_read_alike() -> None:
    content_type = {"Content-Type": "application/json"}
    valid = json.dumps({"links": [{"path": "/exampledir/a.txt"}, {"path": "/nothing"}]}).encode()
    assert assert_same("/-/sign", "POST", content_type, valid).status == 200
    for body in (b"", b"{", b'{"links": 7}', b" " * 1_048_576, b" " * 1_048_577, b" " * 2_000_000):
        assert assert_same("/-/sign", "POST", content_type, body).status in (400, 413)


def test_a_body_above_1_mb_is_refused_on_every_path_and_by_both_runtimes() -> None:
    for path in ("/-/sign", "/exampledir/a.txt", "/nothing", "/-/health"):
        served = assert_same(path, "POST", {"Content-Type": "application/json"}, b" " * 1_048_577)
        assert (served.status, served.code) == (413, "body_too_large")
        assert served.line["path"] == path


class NeverRead(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("a body was read that is too large")


def test_a_body_whose_length_exceeds_the_maximum_is_refused_unread() -> None:
    environ = environ_of("/-/sign", "POST", {"Content-Type": "application/json"}, b"{}")
    served = serve({**environ, "CONTENT_LENGTH": "1048577", "wsgi.input": NeverRead()})
    assert (served.status, served.code) == (413, "body_too_large")


def test_a_body_in_chunks_is_read_until_it_exceeds_the_maximum() -> None:
    environ = environ_of("/-/sign", "POST", {"Content-Type": "application/json"})
    endless = {**environ, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b" " * 3_000_000)}
    assert serve(endless).code == "body_too_large"
    assert endless["wsgi.input"].tell() < 1_200_000


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError


@pytest.mark.parametrize("left", [Broken(), io.BytesIO(b"")])
def test_an_incomplete_body_is_a_problem(left: io.BytesIO) -> None:
    environ = environ_of("/-/sign", "POST", {"Content-Type": "application/json"}, b"{}")
    served = serve({**environ, "wsgi.input": left})
    assert (served.status, served.code) == (400, "bad_body")


class Trickling(io.RawIOBase):
    """What gunicorn makes of a connection on which a byte arrives now and then: `read` returns all, or blocks."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self, size: int = -1) -> bytes:
        body = b""
        while len(body) < size and (chunk := self.connection.recv(1)):
            body += chunk
        return body


@contextlib.contextmanager
def trickling(**more: str) -> Iterator[dict[str, Any]]:
    """A request whose body arrives in single bytes, and never ends."""
    client, server = socket.socketpair()
    done = threading.Event()

    def send() -> None:
        with contextlib.suppress(OSError):
            while not done.wait(0.01):
                client.send(b" ")

    sender = threading.Thread(target=send)
    sender.start()
    environ = environ_of("/-/sign", "POST", {"Content-Type": "application/json", **more})
    try:
        yield {**environ, "CONTENT_LENGTH": "100000", "gunicorn.socket": server, "wsgi.input": Trickling(server)}
    finally:
        done.set()
        sender.join()
        client.close()
        server.close()


def test_a_body_that_trickles_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "BODY_TIMEOUT", 0.1)
    with trickling() as environ:
        served = serve(environ)
    assert (served.status, served.code) == (400, "bad_body")
    assert 100 <= served.line["milliseconds"] < 9000


def test_a_connection_with_bytes_that_were_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be read as the next request otherwise, with any headers of the platform."""
    monkeypatch.setattr(wsgi, "BODY_TIMEOUT", 0.05)
    monkeypatch.setattr(wsgi, "LINGER", 0.05)
    too_large = {**environ_of("/-/sign", "POST"), "CONTENT_LENGTH": "1048577"}
    with trickling() as late, world(NOW, {}), patch.object(startup, "config", lambda: CONFIG):
        for environ in (late, {**late, **too_large, "wsgi.input": io.BytesIO(b"GET /invoke")}):
            response = wsgi.app(environ, lambda status, headers, exc_info=None: lambda data: None)
            assert b"".join(response)
            with pytest.raises(ConnectionResetError):
                response.close()  # type: ignore[attr-defined]
    complete = wsgi.app(environ_of("/-/sign", "POST", body=b"{}"), lambda *_: lambda data: None)
    assert not hasattr(complete, "close")


def test_only_so_many_threads_wait_for_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "_body_slots", threading.Semaphore(0))
    served = serve(environ_of("/-/sign", "POST", {"Content-Type": "application/json"}, b"{}"))
    assert (served.status, served.code) == (503, "busy")
    assert served.headers["Retry-After"] == "5"
    assert serve(environ_of("/-/health")).status == 200


def test_browsers_get_a_page() -> None:
    served = serve(environ_of("/nothing", headers=HTML))
    assert served.status == 404
    assert served.headers["Content-Type"] == "text/html; charset=utf-8"
    assert served.headers["Content-Length"] == str(len(served.body.encode()))


def test_a_response_to_head_has_no_content_length() -> None:
    served = serve(environ_of("/-/health", "HEAD"))
    assert (served.status, served.body) == (200, "")
    assert "Content-Length" not in served.headers


# --- credentials, and the platform's headers -------------------------------------------------------------------------


def without(*names: str) -> dict[str, str]:
    return {key: value for key, value in PLATFORM.items() if key.removeprefix("HTTP_X_FC_") not in names}


VARIABLES = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": OTHER_KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OTHER_KEYS.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": OTHER_KEYS.security_token or "",
}


def test_the_requests_own_credentials_sign() -> None:
    assert serve(environ_of("/exampledir/a.txt"), variables=VARIABLES).signs(keys=KEYS)


@pytest.mark.parametrize(
    "missing", [("SECURITY_TOKEN",), ("ACCESS_KEY_ID",), ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")]
)
def test_credentials_without_their_token_are_ignored_and_the_environments_sign(missing: tuple[str, ...]) -> None:
    environ = environ_of("/exampledir/a.txt", added=without(*missing))
    assert serve(environ, variables=VARIABLES).signs(keys=OTHER_KEYS)
    assert serve(environ).code == "no_credentials"


def test_the_platforms_headers_are_removed_from_the_request() -> None:
    environ = environ_of("/", headers={"Accept": "*/*", "Host": "h", "Connection": "close", "X-Forwarded-For": "::1"})
    assert wsgi.headers({**environ, "HTTP_X_FC_ANYTHING": "1"}) == {
        "accept": "*/*",
        "host": "h",
        "x-forwarded-for": "::1",
    }


def test_a_context_shows_no_secret() -> None:
    representation = repr(wsgi.context_of(environ_of("/")))
    assert REQUEST_ID in representation
    assert not any(secret in representation for secret in (TOKEN, KEYS.access_key_id, KEYS.access_key_secret))


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("evil, 2001:db8::7", "2001:db8::7"),
        ("203.0.113.7, <script>", ""),
        ("203.0.113.7,", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_address_in_the_log_is_the_last_proxys_and_not_the_clients_own(forwarded: str | None, ip: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert serve(environ_of("/nothing", headers=headers)).line["client_ip"] == ip


# --- the platform's own calls ---------------------------------------------------------------------------------------

CONTROL_PATHS = {"/invoke", "/initialize"}
FORGED = [
    (method, target, control)
    for path in sorted(CONTROL_PATHS)
    for method, target, control in [
        ("POST", path, None),
        ("POST", path, ""),
        ("POST", path, "/http-invoke"),
        ("POST", path, f"/http-invoke,{path}"),
        ("POST", path, f"{path},{path}"),
        ("POST", path, f"{path} "),
        ("POST", path, path.upper()),
        ("POST", path, (CONTROL_PATHS - {path}).pop()),
        ("POST", f"{path}/", path),
        ("POST", f"/{path}", path),
        ("POST", path.replace("i", "%69", 1), path),
        ("POST", f"/x/..{path}", path),
        ("GET", path, path),
        ("PUT", path, path),
        ("post", path, path),
    ]
]


@pytest.mark.parametrize(("method", "target", "control"), FORGED)
def test_a_clients_call_is_a_request_like_any_other(method: str, target: str, control: str | None) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a client called the platform's own route")

    added = without("CONTROL_PATH") | ({} if control is None else {"HTTP_X_FC_CONTROL_PATH": control})
    event = b'{"events": [{"eventName": "ObjectCreated:PutObject"}]}'
    with patch.object(events, "on_event", never), patch.object(startup, "on_initialize", never):
        served = serve(environ_of(target, method, body=event, added=added))
    assert served.status == (404 if "//" not in target and ".." not in target else 400)
    assert "x-fc-status" not in served.headers
    assert comparable(served) == comparable(built_in(target, method, body=event))


@pytest.mark.parametrize("path", sorted(CONTROL_PATHS))
@pytest.mark.parametrize("sign", [{"X-Forwarded-For": "203.0.113.7"}, {"X-Fc-Base-Path": "/"}])
def test_a_control_path_through_an_http_trigger_is_a_request_like_any_other(path: str, sign: dict[str, str]) -> None:
    """Should Function Compute let `x-fc-control-path` of a client through, its own headers give the client away."""

    def never(*_: object) -> None:
        raise AssertionError("a client called the platform's own route")

    with patch.object(events, "on_event", never), patch.object(startup, "on_initialize", never):
        served = serve(
            {
                **control(path, b'{"links": []}'),
                **environ_of(path, "POST", sign, b'{"links": []}'),
                "HTTP_X_FC_CONTROL_PATH": path,
            }
        )
    assert (served.status, served.code) == (404, "not_found")
    assert "x-fc-status" not in served.headers


def control(path: str, body: bytes = b"") -> dict[str, Any]:
    return environ_of(path, "POST", body=body, added={**PLATFORM, "HTTP_X_FC_CONTROL_PATH": path})


@pytest.mark.parametrize(
    ("result", "body"),
    [(None, "null"), ({"items": 1}, '{"items": 1}'), ("text", "text"), (b"bytes", "bytes")],
)
def test_an_event_reaches_the_event_function_unchanged(result: object, body: str) -> None:
    calls: list[tuple[object, Any]] = []

    def on_event(event: object, context: object) -> object:
        calls.append((event, context))
        return result

    with patch.object(events, "on_event", on_event):
        served = serve(control("/invoke", b"\xff{}"))
    assert (served.status, served.body) == (200, body)
    assert "x-fc-status" not in {name.lower() for name in served.headers}
    ((event, context),) = calls
    assert event == b"\xff{}"
    assert context.request_id == REQUEST_ID
    assert context.credentials == Credentials(KEYS.access_key_id, KEYS.access_key_secret, TOKEN)


def serve_event(result: object) -> Answered:
    """The response to an event whose function raises or returns `result`."""

    def on_event(event: object, context: object) -> object:
        if isinstance(result, BaseException):
            raise result
        return result

    with patch.object(events, "on_event", on_event):
        return serve(control("/invoke", b"{}"))


@pytest.mark.parametrize("result", [ValueError(TOKEN), KeyError(KEYS.access_key_secret), {"a": b"bytes"}, object()])
def test_an_event_that_fails_has_the_platforms_header_and_shows_no_secret(result: object) -> None:
    served = serve_event(result)
    assert served.headers["x-fc-status"] == "404"
    assert json.loads(served.body)["errorType"] == "internal_error"
    assert served.line["request_id"] == REQUEST_ID
    assert served.line["fault"]["frames"]
    assert not any(secret in served.body + served.printed for secret in (TOKEN, KEYS.access_key_secret))


def test_an_expected_error_of_the_event_function_is_in_the_response() -> None:
    served = serve_event(InvalidConfig("Write it better."))
    assert served.headers["x-fc-status"] == "404"
    assert json.loads(served.body) == {"errorType": "invalid_config", "errorMessage": "Write it better."}


def test_an_instance_starts_with_a_valid_configuration() -> None:
    served = serve(control("/initialize"))
    assert (served.status, served.printed) == (200, "")
    assert "x-fc-status" not in {name.lower() for name in served.headers}


@pytest.mark.parametrize("error", [InvalidConfig("Mount 1 of oss://hiddenbucket/ is wrong."), OSError("hiddenbucket")])
def test_an_instance_that_cannot_start_says_why_only_in_its_log(error: Exception) -> None:
    def fail(context: object) -> None:
        raise error

    with patch.object(startup, "on_initialize", fail):
        served = serve(control("/initialize"))
    assert (served.status, served.headers["x-fc-status"]) == (404, "404")
    assert "hiddenbucket" not in served.body
    expected = error.sentence if isinstance(error, InvalidConfig) else None
    assert served.line.get("sentence") == expected
    assert served.line["code"] in ("invalid_config", "internal_error")
