"""Connections of the local server: kept alive after a complete request, closed where the next one cannot be found."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests

from signer.emulator.server import Server, listen, serve

Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[Server] = []

    def start_server(app: Callable[..., Iterable[bytes]]) -> Server:
        servers.append(serve(app, listen(0)))
        return servers[-1]

    yield start_server
    for server in servers:
        server.close()


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Returns the target and the body, which it reads unless the path is /unread."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = b""
    if environ["RAW_URI"] != "/unread":
        body = environ["wsgi.input"].read(-1 if environ.get("wsgi.input_terminated") else length)
    content = environ["RAW_URI"].encode() + b" " + body
    start_response("200 Fine", [("Content-Length", str(len(content)))])
    return [content] if environ["REQUEST_METHOD"] != "HEAD" else []


def address(server: Server) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def exchange(server: Server, sent: bytes) -> bytes:
    """All that the server sends until it closes the connection."""
    with socket.create_connection(address(server), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_many_requests_share_one_connection(start: Start) -> None:
    connection = http.client.HTTPConnection(*address(start(echo)), timeout=10)
    connection.connect()
    local = connection.sock.getsockname()
    for method, target, body in (
        ("GET", "/first", None),
        ("PUT", "/second", b"content"),
        ("PUT", "//third", iter([b"in ", b"chunks"])),
        ("HEAD", "/fourth", None),
        ("PUT", "/fifth", b""),
        ("GET", "/sixth", None),
    ):
        connection.request(
            method, target, body, encode_chunked=method == "PUT" and not isinstance(body, bytes)
        )
        response = connection.getresponse()
        assert (response.status, response.reason, response.getheader("Connection")) == (
            200,
            "Fine",
            "keep-alive",
        )
        expected = {"/second": b"/second content", "//third": b"//third in chunks", "/fourth": b""}
        assert response.read() == expected.get(target, target.encode() + b" ")
        assert connection.sock.getsockname() == local
    connection.close()


def test_requests_reuses_its_connection(start: Start) -> None:
    ports: set[str] = set()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        ports.add(environ["REMOTE_PORT"])
        start_response("200 OK", [])  # without a length, in chunks
        return [b"a", b"", b"b" * 100_000]

    server = start(app)
    with requests.Session() as session:
        assert {session.get(server.url, timeout=10).content for _ in range(5)} == {
            b"a" + b"b" * 100_000
        }
    assert len(ports) == 1


def test_a_body_that_was_not_read_is_never_taken_for_the_next_request(start: Start) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"PUT /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    response = exchange(start(echo), head + hidden)
    assert b"Connection: close" in response
    assert b"hidden" not in response


def test_a_client_may_send_the_rest_of_a_body_after_the_response(start: Start) -> None:
    rest = b"a" * (8 << 20)
    head = b"PUT /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(rest)
    with socket.create_connection(address(start(echo)), timeout=10) as connection:
        connection.sendall(head)
        response = b"".join(iter(lambda: connection.recv(65_536), b""))
        connection.sendall(rest)
    assert response.endswith(b"/unread ")


def test_a_connection_ends_after_a_body_of_unclear_length(start: Start) -> None:
    server, hidden = start(echo), b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    for framing in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 0\r\nContent-Length: 5",
        b"Transfer-Encoding: identity",
        b"Content-Length: five",
        b"Content-Length: -5",
    ):
        response = exchange(
            server, b"PUT /unread HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + hidden
        )
        assert b"hidden" not in response
        assert response.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("length", "content"), [(3, b"12345"), (9, b"12345")])
def test_a_response_of_another_length_than_announced_ends_the_connection(
    start: Start, length: int, content: bytes
) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(length))])
        return [content]

    response = exchange(
        start(app), b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert response.count(b"HTTP/1.1") == 1


def test_a_client_of_http_1_0_gets_a_body_without_chunks(start: Start) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"one ", b"two"]

    response = exchange(start(app), b"GET / HTTP/1.0\r\n\r\n")
    assert response.endswith(b"\r\n\r\none two")


def test_a_client_that_requests_it_gets_a_closed_connection(start: Start) -> None:
    response = exchange(start(echo), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"Connection: close" in response


def test_an_application_that_fails_is_a_500_without_its_reason(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ValueError("secret")

    assert requests.get(start(app).url, timeout=10).status_code == 500
    assert capfd.readouterr().err == "server: a request failed with ValueError\n"


def test_a_closed_server_serves_no_kept_connection(start: Start) -> None:
    server = start(echo)
    with requests.Session() as session:
        assert session.get(server.url, timeout=10).status_code == 200
        server.close()
        with pytest.raises(requests.ConnectionError):
            session.get(server.url, timeout=10)
