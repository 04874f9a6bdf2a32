"""The local HTTP trigger: requests become events, and a function's results become responses."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from local.fc import http_trigger
from local.fc.functions import HttpTrigger
from local.fc.http_trigger import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_TARGET_BYTES
from local.fc.runtime import Runtime
from signer.emulator.server import listen, serve
from tests.local.fc.test_runtime import KEYS
from tests.local.fc.test_runtime import function as function_of

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


class Response(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(NamedTuple):
    """Sends requests as they are written, adding only Host."""

    address: str

    def send(
        self,
        method: str,
        target: str = "/",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Response:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value.encode())
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()


Serving = Callable[..., Client]


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    """Starts a server for a function of the folder `functions`, named by its handler; one for the same function."""

    @functools.cache
    def start(
        handler: str,
        methods: tuple[str, ...] = METHODS,
        auth_type: str = "anonymous",
        timeout: int = 20,
    ) -> Client:
        http = HttpTrigger("web", methods, auth_type)
        function = function_of(handler, timeout=timeout, http=http)
        runtime = Runtime([function], credentials=lambda _: KEYS, log=silence)
        cleanup.callback(runtime.close)
        server = serve(http_trigger.create_app(runtime, function), listen(0))
        cleanup.callback(server.close)
        return Client(urlsplit(server.url).netloc)

    with ExitStack() as cleanup, tempfile.TemporaryFile() as silence:
        yield start


@pytest.fixture(scope="module")
def event_of(serving: Serving) -> Callable[..., dict[str, Any]]:
    """Sends a request and returns its event."""
    client = serving("shown.event_of")

    def send(method: str = "GET", target: str = "/", **parts: Any) -> dict[str, Any]:
        response = client.send(method, target, **parts)
        assert response.status == 200
        event: dict[str, Any] = response.json
        return event

    return send


@pytest.fixture(scope="module")
def answering(serving: Serving) -> Callable[[object], Response]:
    """Sends a request whose function returns a value as JSON, or a string as it is."""
    client = serving("answers.body_as_answer")

    def send(result: object) -> Response:
        body = result if isinstance(result, str) else json.dumps(result)
        return client.send("POST", body=body.encode())

    return send


# The event

EventOf = Callable[..., dict[str, Any]]


def test_the_event_has_the_documented_shape(event_of: EventOf) -> None:
    event = event_of(
        target="/exampledir/%E4%BD%A0%E5%A5%BD%20%2B1.txt?expires=600&download=%E6%8A%A5%E5%91%8A.txt",
        headers=(
            ("accept", "*/*"),
            ("user-agent", "curl/8.5.0"),
            ("x-multi", "v1"),
            ("X-MULTI", "v2"),
        ),
    )
    context = event.pop("requestContext")
    web = context.pop("http")
    assert event == {
        "version": "v1",
        "rawPath": "/exampledir/%E4%BD%A0%E5%A5%BD%20%2B1.txt",
        "body": "",
        "isBase64Encoded": True,
        "headers": {"Accept": "*/*", "User-Agent": "curl/8.5.0", "X-Multi": "v1,v2"},
        "queryParameters": {"expires": "600", "download": "报告.txt"},
    }
    assert web == {
        "method": "GET",
        "path": "/exampledir/你好 +1.txt",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl/8.5.0",
    }
    assert set(context) == {
        "accountId",
        "domainName",
        "domainPrefix",
        "requestId",
        "time",
        "timeEpoch",
    }
    assert isinstance(context["timeEpoch"], str)
    assert len(context["timeEpoch"]) == 13


def test_the_path_is_there_both_as_the_client_wrote_it_and_decoded(event_of: EventOf) -> None:
    for target, raw_path, path in (
        ("/", "/", "/"),
        ("///x", "///x", "///x"),
        ("/a//b/../c/./d", "/a//b/../c/./d", "/a//b/../c/./d"),
        ("/a%2Fb%2f%25", "/a%2Fb%2f%25", "/a/b/%"),
        ("/a+b&c;d=e'(!)*", "/a+b&c;d=e'(!)*", "/a+b&c;d=e'(!)*"),
        ("/bad%FFutf8", "/bad%FFutf8", "/bad\ufffdutf8"),
        ("/bad%zz", "/bad%zz", "/bad%zz"),
        ("http://links.example.com/a%20b?x=1", "/a%20b", "/a b"),
        ("http://links.example.com", "/", "/"),
    ):
        event = event_of(target=target)
        assert (event["rawPath"], event["requestContext"]["http"]["path"]) == (raw_path, path)


def test_raw_bytes_in_the_path_are_percent_encoded(serving: Serving) -> None:
    client = serving("shown.event_of")
    host, _, port = client.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"GET /\xe4\xbd\xa0/\xe5\xa5\xbd HTTP/1.1\r\nHost: links.example.com\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    event = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert event["rawPath"] == "/%E4%BD%A0/%E5%A5%BD"
    assert event["requestContext"]["domainName"] == "links.example.com"
    assert event["requestContext"]["domainPrefix"] == "links"


def test_the_query_is_decoded_and_repeated_names_are_joined(event_of: EventOf) -> None:
    queries: dict[str, dict[str, str]] = {
        "": {},
        "?": {},
        "?a=1&a=2&b=3": {"a": "1,2", "b": "3"},
        "?a": {"a": ""},
        "?a=&&b=": {"a": "", "b": ""},
        "?a=1+2%2B3": {"a": "1 2+3"},
        "?a=b=c?d": {"a": "b=c?d"},
        "?%E4%BD%A0=%FF": {"你": "\ufffd"},
    }
    for query, parameters in queries.items():
        assert event_of(target=f"/x{query}")["queryParameters"] == parameters


def test_headers_of_the_connection_and_of_function_compute_are_removed(event_of: EventOf) -> None:
    headers = event_of(
        headers=(
            ("Connection", "close"),
            ("Keep-Alive", "5"),
            ("X-Fc-Control-Path", "/invoke"),
            ("x-kept", "你好"),
        )
    )["headers"]
    assert headers == {"X-Kept": "你好"}


def test_a_body_is_a_string_or_base64(event_of: EventOf) -> None:
    for content_type, sent, body, is_base64 in (
        ("application/json", b'{"a": 1}', "eyJhIjogMX0=", True),
        ("application/octet-stream", b"\x00\xff", "AP8=", True),
        ("text/plain; charset=utf-8", "你好".encode(), "你好", False),
        ("text/plain", b"\xff", "/w==", True),
    ):
        event = event_of("POST", headers=(("Content-Type", content_type),), body=sent)
        assert (event["body"], event["isBase64Encoded"]) == (body, is_base64)


def test_a_chunked_body_arrives_complete(serving: Serving) -> None:
    connection = http.client.HTTPConnection(serving("shown.event_of").address, timeout=20)
    connection.request("POST", "/", body=iter([b"one ", b"two"]), encode_chunked=True)
    event = json.loads(connection.getresponse().read())
    connection.close()
    assert base64.b64decode(event["body"]) == b"one two"
    assert "Transfer-Encoding" not in event["headers"]


def test_every_method_of_the_trigger_reaches_the_function(serving: Serving) -> None:
    for method in METHODS:
        response = serving("shown.event_of").send(method, "/-/health")
        assert response.status == 200
        if method == "HEAD":
            assert (response.body, int(response.headers["Content-Length"]) > 0) == (b"", True)
        else:
            assert response.json["requestContext"]["http"]["method"] == method


# What is refused without running the function


def test_a_method_that_the_trigger_does_not_list_is_a_403_and_the_function_does_not_run(
    serving: Serving,
) -> None:
    for method in ("HEAD", "OPTIONS", "PUT", "TRACE", "BREW"):
        response = serving("faults.raising", methods=("GET",)).send(method)
        assert (response.status, response.headers["X-Fc-Error-Type"]) == (403, "FcCommonError")
        if method != "HEAD":
            assert response.json["RequestId"] == response.headers["X-Fc-Request-Id"]


def test_a_trigger_with_authentication_refuses_every_request(serving: Serving) -> None:
    response = serving("shown.event_of", auth_type="jwt").send("GET")
    assert (response.status, "not emulated" in response.json["Message"]) == (403, True)


@pytest.mark.parametrize("over", [0, 1])
def test_the_path_with_its_query_has_at_most_4_kb_and_the_headers_8_kb(
    serving: Serving, over: int
) -> None:
    client = serving("shown.event_of")
    target = "/?" + "a" * (MAX_TARGET_BYTES - 2 + over)
    used = len("Host") + len(client.address) + len("X-Long")
    headers = (("X-Long", "a" * (MAX_HEADER_BYTES - used + over)),)
    for response in (client.send("GET", target), client.send("GET", headers=headers)):
        assert response.status == (400 if over else 200)
        assert not over or response.json["Code"] == "InvalidArgument"


def test_the_body_of_a_request_has_at_most_32_mb(serving: Serving) -> None:
    response = serving("shown.event_of").send("POST", body=b"a" * (MAX_BODY_BYTES + 1))
    assert response.status == 400
    assert response.json["Code"] == "InvalidArgument"


# The response

Answering = Callable[[object], Response]


def test_a_result_becomes_status_headers_and_body(answering: Answering) -> None:
    location = "http://127.0.0.1:9001/b/k%20%2B?x-oss-signature=%2B%2F"
    response = answering(
        {"statusCode": 302, "headers": {"location": location, "x-own": "ü"}, "body": "moved"}
    )
    assert response.status == 302
    assert response.headers["Location"] == location
    assert response.headers["X-Own"].encode("latin-1") == "ü".encode()
    assert response.body == b"moved"
    assert response.headers["X-Fc-Request-Id"].startswith("1-")
    assert "X-Fc-Error-Type" not in response.headers
    assert "Content-Disposition" not in response.headers


def test_a_result_is_a_200_with_the_result_or_its_decoded_body(answering: Answering) -> None:
    answers: list[tuple[object, bytes]] = [
        ("plain", b"plain"),
        ({"url": "x"}, b'{"url": "x"}'),
        ([1], b"[1]"),
        ('"text"', b'"text"'),
        ("", b""),
        ({"statusCode": 200, "isBase64Encoded": True, "body": "AP8="}, b"\x00\xff"),
    ]
    for answer, body in answers:
        response = answering(answer)
        assert (response.status, response.body) == (200, body)


def test_a_forbidden_header_is_not_sent(answering: Answering) -> None:
    ours = ("X-Fc-Status", "x-fc-request-id")
    for name in (*ours, "Connection", "Content-Length", "Date", "Keep-Alive", "Server", "upgrade"):
        response = answering(
            {"statusCode": 200, "headers": {name: "7777", "X-Kept": "yes"}, "body": "body"}
        )
        assert response.status == 200
        assert "7777" not in response.headers.values()
        assert response.headers["X-Kept"] == "yes"


@pytest.mark.parametrize("over", [0, 1])
def test_the_headers_of_a_response_have_at_most_8_kb(answering: Answering, over: int) -> None:
    value = "a" * (MAX_HEADER_BYTES - len("Location") + over)
    response = answering({"statusCode": 302, "headers": {"Location": value}, "body": ""})
    assert response.status == (502 if over else 302)
    assert response.headers["X-Fc-Error-Type"] == ("UnhandledInvocationError" if over else None)
    assert (b'"errorType": "BadResponse"' in response.body) is bool(over)


def test_an_invalid_result_is_a_502(answering: Answering) -> None:
    answers: list[object] = [
        *({"statusCode": status} for status in ("200", True, 99, 600)),
        {"statusCode": 200, "headers": []},
        *(
            {"statusCode": 200, "headers": headers}
            for headers in ({"X-List": ["a"]}, {"X-Number": 1})
        ),
        *({"statusCode": 200, "headers": {name: "a"}} for name in ("X Space", "")),
        {"statusCode": 200, "headers": {"X-Line": "a\r\nSet-Cookie: b"}},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
        {"statusCode": 200, "body": "x", "isBase64Encoded": "yes"},
    ]
    for answer in answers:
        response = answering(answer)
        assert (response.status, response.headers["X-Fc-Error-Type"]) == (
            502,
            "UnhandledInvocationError",
        )
        assert set(response.json) == {"errorMessage", "errorType"}


def test_an_exception_is_a_502_with_the_error(serving: Serving) -> None:
    response = serving("faults.raising").send("GET")
    assert (response.status, response.headers["X-Fc-Error-Type"]) == (
        502,
        "UnhandledInvocationError",
    )
    assert response.headers["Content-Type"] == "application/json"
    assert (response.json["errorType"], response.json["errorMessage"]) == (
        "ValueError",
        "the event does not suit me",
    )
    assert response.json["stackTrace"]


# CORS


def test_the_origin_is_echoed_and_the_functions_own_cors_headers_are_appended(
    serving: Serving,
) -> None:
    plain = serving("shown.event_of").send("GET", headers=(("Origin", "https://page.example.com"),))
    assert plain.headers.get_all("Access-Control-Allow-Origin") == ["https://page.example.com"]
    assert plain.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in serving("shown.event_of").send("GET").headers
    answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}, "body": ""}
    both = serving("answers.body_as_answer").send(
        "POST", headers=(("Origin", "null"),), body=json.dumps(answer).encode()
    )
    assert both.headers.get_all("Access-Control-Allow-Origin") == ["null", "*"]
