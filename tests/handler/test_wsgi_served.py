"""The custom runtime as the platform starts it: gunicorn with the command of its s.yaml, and HTTP over the wire."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests

from handler.config import Location
from signer import Credentials, verify
from tests.handler.client import KEYS, OTHER_KEYS, TOKEN
from tests.handler.client import LINKS as PLAIN
from tests.handler.custom_runtime import REQUEST_ID, Instance, Reply, instance, platform, props
from tests.handler.keys_fixtures import BUCKET, LocalOss, local_oss
from tests.handler.share_fixtures import LINKS, MAKER, READER, keys
from tests.handler.test_responses import CASES, HEADERS, NOTHING, Case

JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {MAKER}"}
VARIABLES = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": OTHER_KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OTHER_KEYS.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": OTHER_KEYS.security_token or "",
}
# What gunicorn and http.client can transfer.
TRANSFERABLE = [case for case in CASES if case.path.isascii()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance that needs no OSS."""
    with instance(tmp_path_factory.mktemp("plain"), PLAIN, VARIABLES) as running:
        yield running


class Cloud(NamedTuple):
    """An instance, and the OSS that it and its clients use."""

    instance: Instance
    oss: LocalOss

    def put(self, key: str, content: bytes) -> None:
        assert self.oss.store.put(Location(BUCKET, key), content, content_type="text/plain").ok


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with local_oss(folder / "oss") as oss:
        oss.put(keys())
        with instance(folder / "instance", LINKS, {"LINK_OSS_ENDPOINT": oss.url}) as running:
            yield Cloud(running, oss)


def target_of(case: Case) -> str:
    query = "&".join(f"{name}={value}" for name, value in case.query)
    return f"{case.path}?{query}" if query else case.path


def signs(url: str, keys: Credentials, method: str = "GET") -> bool:
    return verify(method, url, credentials=keys).ok


# --- the HTTP interface -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", TRANSFERABLE, ids=str)
def test_every_response_comes_over_the_wire(plain: Instance, case: Case) -> None:
    reply = plain.ask(target_of(case), case.method)
    assert reply.status == case.status
    if case.method != "HEAD":
        assert reply.code == case.code
    assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert not [name for name in reply.headers if name.startswith("x-fc-")]
    if reply.code:
        assert reply.json["request_id"] == REQUEST_ID


@pytest.mark.parametrize("path", NOTHING)
def test_all_paths_that_do_not_exist_have_the_same_404(plain: Instance, path: str) -> None:
    uncovered = plain.ask("/nowhere")
    for method in ("GET", "POST", "DELETE", "OPTIONS", "PATCH"):
        reply = plain.ask(path, method, body=b"{}" if method == "POST" else None)
        assert (reply.status, reply.body) == (404, uncovered.body)
        assert {**reply.headers, "date": ""} == {**uncovered.headers, "date": ""}


@pytest.mark.parametrize("target", ["//", "//exampledir/a.txt", "/x/../exampledir/a.txt", "/./-/health", "/%2e/a"])
def test_a_path_arrives_as_it_was_sent(plain: Instance, target: str) -> None:
    assert plain.ask(target).code == "bad_path"


def test_the_link_is_for_the_requested_key(plain: Instance) -> None:
    for path, key in {"a%20b%2B+.txt": "a b++.txt", "a%252Fb": "a%2Fb", "%E4%BD%A0": "你", "a%2Fb": "a/b"}.items():
        for method in ("GET", "HEAD"):
            reply = plain.ask(f"/exampledir/{path}?download=%E4%BD%A0.txt", method)
            url = reply.headers["location"]
            assert signs(url, KEYS, method)
            assert unquote(urlsplit(url).path) == f"/exampledir/{key}"
            assert dict(parse_qsl(urlsplit(url).query))["response-content-disposition"].endswith("UTF-8''%E4%BD%A0.txt")


def test_a_redirect_leads_to_the_bytes(cloud: Cloud) -> None:
    cloud.put("open/a b.txt", b"private bytes")
    url = cloud.instance.ask("/open/a%20b.txt").headers["location"]
    assert requests.get(url, timeout=10).content == b"private bytes"
    head = cloud.instance.ask("/open/a%20b.txt", "HEAD").headers["location"]
    assert requests.head(head, timeout=10).headers["Content-Length"] == "13"
    assert requests.get(head, timeout=10).status_code == 403


def test_a_caller_gets_several_links_with_one_request(cloud: Cloud) -> None:
    body = json.dumps({"links": [{"path": "/reports/q3.pdf"}, {"path": "/nothing"}]}).encode()
    reply = cloud.instance.ask("/-/sign", "POST", {**JSON, **BEARER}, body)
    assert reply.status == 200
    link, missing = reply.json["links"]
    assert signs(link["url"], KEYS)
    assert missing["error"]["code"] == "not_found"
    assert (
        cloud.instance.ask("/-/sign", "POST", {**JSON, "Authorization": "Bearer fcp_" + "x" * 30}, body).status == 401
    )


def test_a_share_is_created_opened_used_up_and_revoked(cloud: Cloud) -> None:
    cloud.put("reports/q3.pdf", b"report")
    ask = cloud.instance.ask
    params = json.dumps({"path": "/reports/q3.pdf", "max_uses": 1, "expires": "1h"}).encode()
    created = ask("/-/shares", "POST", {**JSON, **BEARER}, params)
    assert created.status == 201
    address = created.json["url"].removeprefix("https://links.example.com")
    page = ask(address, headers={"Accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    nonce = re.search(r'name="nonce" value="([\w-]+)"', page.body.decode())
    assert nonce is not None
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    used = ask(address, "POST", form, f"nonce={nonce[1]}".encode())
    assert used.status == 303
    assert requests.get(used.headers["location"], timeout=10).content == b"report"
    assert ask(address, "POST", form, b"").status == 410
    share = f"/-/shares/{created.json['id']}"
    assert ask(share, headers=BEARER).json["uses"] == 1
    assert ask(share, headers={"Authorization": f"Bearer {READER}"}).status == 404
    assert ask(share, "DELETE", BEARER).status == 204
    assert ask(share, headers=BEARER).json["revoked"] is True


# --- the wire -----------------------------------------------------------------------------------------------------


def test_a_connection_stays_open_after_any_request(plain: Instance) -> None:
    connection = plain.connect()
    connection.connect()
    socket_ = connection.sock
    requested = [
        ("/exampledir/a.txt", "GET", None, 302),
        ("/exampledir/a.txt", "HEAD", None, 302),
        ("/-/health", "HEAD", None, 200),
        ("/-/health", "OPTIONS", None, 204),
        ("/nothing", "HEAD", None, 404),
        ("/nothing", "POST", b"x" * 100_000, 404),
        ("/exampledir/a.txt", "DELETE", None, 405),
    ]
    for _ in range(3):
        for target, method, body, status in requested:
            reply = plain.ask(target, method, JSON if body else None, body, connection=connection)
            assert (reply.status, reply.headers["connection"]) == (status, "keep-alive")
            assert connection.sock is socket_
    connection.close()


def test_a_body_in_chunks_is_read(cloud: Cloud) -> None:
    connection = cloud.instance.connect()
    body = json.dumps({"links": [{"path": "/reports/q3.pdf"}]}).encode()
    connection.request(
        "POST", "/-/sign", iter([body[:7], body[7:]]), {**JSON, **BEARER, **platform()}, encode_chunked=True
    )
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("body", [b"2\r\n{}\r\n0\r\n\r\n", b"zz\r\n\r\n"], ids=["valid", "broken"])
def test_the_connection_of_a_body_in_chunks_is_closed_as_announced(plain: Instance, body: bytes) -> None:
    """Otherwise the platform would send its next request on a connection that is closed after broken chunks."""
    head = "POST /-/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", plain.port), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        response = received(connection)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in response


def test_concurrent_requests_share_nothing(plain: Instance) -> None:
    barrier = threading.Barrier(16)

    def send_requests(number: int) -> None:
        keys = Credentials(f"STS.EXAMPLE{number}", f"secret{number}EXAMPLE", f"CAIS+token/{number}EXAMPLE==")
        connection = plain.connect()
        barrier.wait()
        for turn in range(15):
            name = f"concurrent-{number}-{turn}"
            added = platform(keys=keys, request_id=name)
            redirect = plain.ask(f"/exampledir/{name}.txt", added=added, connection=connection)
            url = redirect.headers["location"]
            assert urlsplit(url).path == f"/exampledir/{name}.txt"
            assert signs(url, keys)
            problem = plain.ask(f"/nothing/{name}", added=added, connection=connection)
            assert problem.json["request_id"] == name
        connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send_requests, range(16)))
    for number in range(16):
        for turn in range(15):
            redirect_line, problem_line = plain.lines(f"concurrent-{number}-{turn}")
            assert (redirect_line["status"], problem_line["status"]) == (302, 404)
            assert redirect_line["key"] == f"exampledir/concurrent-{number}-{turn}.txt"


def stalled_body(running: Instance, length: int = 9) -> socket.socket:
    """A connection on which a request waits for its body."""
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    head = f"POST /-/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_instance_serves_as_many_requests_at_a_time_as_the_platform_sends(plain: Instance) -> None:
    """All of them wait for their bodies, and the health check still gets its response."""
    waiting = [stalled_body(plain) for _ in range(props()["instanceConcurrency"])]
    assert plain.ask("/-/health").status == 200
    for connection in waiting:
        connection.sendall(b'{"a": 1 }')
        assert connection.recv(12) == b"HTTP/1.1 400"
        connection.close()


def test_health_and_links_are_served_while_more_bodies_stall_than_there_are_threads(plain: Instance) -> None:
    concurrency = props()["instanceConcurrency"]
    with contextlib.ExitStack() as stack:
        waiting = {stack.enter_context(stalled_body(plain)) for _ in range(2 * concurrency)}
        while len(waiting) > concurrency:
            for connection in select.select(list(waiting), [], [], 5)[0]:
                response = received(connection)
                assert response.startswith(b"HTTP/1.1 503")
                assert b'"busy"' in response
                waiting.remove(connection)
        started = time.monotonic()
        assert plain.ask("/-/health").status == 200
        assert plain.ask("/exampledir/a.txt").status == 302
        assert time.monotonic() - started < 3  # seconds that a health check may take


@pytest.mark.long
def test_a_stalled_body_is_given_up_after_ten_seconds_and_its_connection_closed(plain: Instance) -> None:
    with stalled_body(plain) as silent, stalled_body(plain, 900_000) as trickling:
        started = time.monotonic()
        while not select.select([trickling], [], [], 1)[0]:
            trickling.sendall(b" ")
        for connection in (silent, trickling):
            assert received(connection).startswith(b"HTTP/1.1 400")
        assert time.monotonic() - started < 14


def test_a_length_above_1_mb_is_refused_before_the_body_arrives(plain: Instance) -> None:
    with stalled_body(plain, 1_048_577) as connection:
        started = time.monotonic()
        head = connection.recv(65536)
        assert time.monotonic() - started < 1
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in head
        smuggled = "".join(f"{name}: {value}\r\n" for name, value in platform("/invoke", request_id="smuggled").items())
        connection.sendall(f"POST /invoke HTTP/1.1\r\nHost: h\r\n{smuggled}Content-Length: 0\r\n\r\n".encode())
        with suppress(OSError):  # the server may have closed the connection by now
            connection.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1" not in received(connection)
    assert plain.lines("smuggled") == []


def test_a_client_that_sends_a_large_body_at_once_reads_why_it_is_refused(plain: Instance) -> None:
    for _ in range(3):
        reply = plain.ask("/-/sign", "POST", JSON, b" " * 8_000_000)
        assert (reply.status, reply.code, reply.headers["connection"]) == (413, "body_too_large", "close")


def test_the_log_names_the_address_that_the_last_proxy_reports(plain: Instance) -> None:
    headers = {"X-Forwarded-For": "10.9.9.9, 203.0.113.7", "X-Real-Ip": "10.9.9.9", "Forwarded": "for=10.9.9.9"}
    plain.ask("/nothing", headers=headers, added=platform(request_id="req-address"))
    assert [line["client_ip"] for line in plain.lines("req-address")] == ["203.0.113.7"]


def test_headers_of_proxies_change_nothing(plain: Instance) -> None:
    headers = {
        "SCRIPT_NAME": "/exampledir",
        "Script-Name": "/exampledir",
        "PATH_INFO": "/private/a.txt",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Protocol": "ssl",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Prefix": "/private",
        "X-Http-Method-Override": "DELETE",
        "Host": "evil.example",
    }
    reply = plain.ask("/exampledir/a.txt", headers=headers)
    assert reply.status == 302
    assert urlsplit(reply.headers["location"]).hostname == "examplebucket.oss-cn-hangzhou.aliyuncs.com"


# --- the platform's calls, and forged ones -----------------------------------------------------

EVENT = json.dumps(
    {
        "events": [
            {
                "eventName": "ObjectCreated:PutObject",
                "eventSource": "acs:oss",
                "eventTime": "2026-03-01T06:41:11.000Z",
                "region": "cn-hangzhou",
                "oss": {"bucket": {"name": BUCKET}, "object": {"key": "reports/q3.pdf", "eTag": "0F00", "size": 6}},
            }
        ]
    }
).encode()


def test_an_event_is_processed_and_its_result_returned(cloud: Cloud) -> None:
    reply = cloud.instance.ask("/invoke", "POST", body=EVENT, added=platform("/invoke", request_id="req-event"))
    assert reply.status == 200
    assert "x-fc-status" not in reply.headers
    assert reply.json["items"] == 1
    assert [line["code"] for line in cloud.instance.lines("req-event")] == [None]


def test_an_event_that_fails_has_the_platforms_header(cloud: Cloud) -> None:
    reply = cloud.instance.ask(
        "/invoke", "POST", body=b'{"events": 7}', added=platform("/invoke", request_id="req-bad")
    )
    assert reply.headers["x-fc-status"] == "404"
    (line,) = cloud.instance.lines("req-bad")
    assert line["code"] == reply.json["errorType"]


@pytest.mark.parametrize("path", ["/invoke", "/initialize"])
def test_a_forged_call_is_a_path_that_does_not_exist(plain: Instance, path: str) -> None:
    request_id = f"req-forged{path.replace('/', '-')}"
    usual = platform(request_id=request_id)
    forged: list[dict[str, str]] = [
        {},
        {"x_fc_control_path": path},
        {"X_Fc_Control-Path": path},
        {"X-Fc-Control_Path": path},
        {"Fc-Control-Path": path},
    ]
    for more in forged:
        for added in (usual, platform(None, request_id=request_id)):
            reply = plain.ask(path, "POST", JSON, EVENT, added={**added, **more})
            assert (reply.status, reply.code) == (404, "not_found")
    twice = "".join(f"{name}: {value}\r\n" for name, value in [*usual.items(), ("x-fc-control-path", path)])
    raw = (
        f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(EVENT)}\r\n{twice}\r\n".encode()
    )
    assert plain.send(raw + EVENT).startswith(b"HTTP/1.1 404 ")
    assert plain.ask(path, "POST", JSON, EVENT, added={}).status == 404
    trigger = {**platform(path, request_id=request_id), "X-Forwarded-For": "203.0.113.7"}
    assert plain.ask(path, "POST", JSON, EVENT, added=trigger).code == "not_found"
    lines = plain.lines(request_id)
    assert len(lines) == 2 * len(forged) + 2
    assert all(line["path"] == path and line["status"] == 404 for line in lines)


def test_the_initializer_succeeds_with_a_valid_configuration(plain: Instance) -> None:
    reply = plain.ask("/initialize", "POST", body=b"", added=platform("/initialize"))
    assert (reply.status, reply.body) == (200, b"")


def test_an_invalid_configuration_fails_the_start_and_the_log_says_why(tmp_path: Path) -> None:
    invalid = PLAIN.replace('methods = ["GET"]', 'method = ["GET"]')
    with instance(tmp_path / "invalid", invalid) as running:
        reply = running.ask("/initialize", "POST", body=b"", added=platform("/initialize"))
        assert (reply.status, reply.headers["x-fc-status"]) == (404, "404")
        assert "get-only" not in reply.body.decode()
        (line,) = running.lines(REQUEST_ID)
        assert "method" in line["sentence"]
        assert running.ask("/exampledir/a.txt").code == "bad_configuration"


def test_without_the_tokens_header_the_environments_credentials_sign(plain: Instance) -> None:
    newer = {name: value for name, value in platform().items() if name != "x-fc-security-token"}
    for added in (newer, platform(keys=None)):
        assert signs(plain.ask("/exampledir/a.txt", added=added).headers["location"], OTHER_KEYS)


# --- what is never shown ---------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_log_or_in_a_problem(cloud: Cloud) -> None:
    ask = cloud.instance.ask
    created = ask(
        "/-/shares", "POST", {**JSON, **BEARER}, json.dumps({"path": "/reports/q3.pdf", "allow_missing": True}).encode()
    )
    share = created.json["url"].partition("share=")[2]
    replies: list[Reply] = [
        ask(f"/reports/q3.pdf?share={share}x"),
        ask(f"/reports/q3.pdf?share={share}&format=json"),
        ask("/reports/q3.pdf", headers={"Authorization": f"Bearer {MAKER}x"}),
        ask("/reports/q3.pdf", headers={"X-Api-Key": MAKER}),
        ask("/open/a.txt", headers={"Cookie": "session=hiddencookie"}),
        ask(f"/nothing/?share={share}"),
        ask("/invoke", "POST", body=b'{"events": [{"oss": "hiddenevent"}]}', added=platform("/invoke")),
    ]
    signature = dict(parse_qsl(urlsplit(replies[1].json["url"]).query))["x-oss-signature"]
    secrets = [
        *(TOKEN, KEYS.access_key_id, KEYS.access_key_secret),
        *(MAKER, share.rpartition(".")[2], signature, "hiddencookie", "hiddenevent"),
    ]
    assert all(len(secret) > 8 for secret in secrets)
    problems = "".join(reply.body.decode() for reply in replies if reply.status >= 400)
    for secret in secrets:
        assert secret not in cloud.instance.log
        assert secret not in problems


@pytest.mark.parametrize(
    "head",
    [
        "GET /exampledir/a.txt?share=hiddenshare HTTP/1.1\r\nHost: h\r\nX-Fc-Security-Token hiddentoken\r\n",
        "GET /exampledir/a.txt?share=hiddenshare HTTP/1.1\r\nHost: h\r\nX Y: hiddentoken\r\n",
        "GET /exampledir/a.txt?share=hiddenshare HTTP/1.1\r\nHost: h\r\nContent-Length: hiddentoken\r\n",
        "GET /exampledir/a.txt?share=hiddenshare HTTP/9.9\r\nHost: h\r\n",
        "GET /exampledir/a.txt?share=hiddenshare hiddentoken HTTP/1.1\r\nHost: h\r\n",
        "hiddentoken\r\n",
        f"GET /{'a' * 9000}?share=hiddenshare HTTP/1.1\r\nHost: h\r\n",
        f"GET /?share=hiddenshare HTTP/1.1\r\nHost: h\r\nX-Long: hiddentoken{'a' * 9000}\r\n",
        "POST /-/sign?share=hiddenshare HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nhiddentoken\r\n",
        "POST /-/sign?share=hiddenshare HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nhiddentoken",
    ],
)
def test_an_invalid_request_leaves_no_secret_and_no_traceback(plain: Instance, head: str) -> None:
    response = plain.send(f"{head}\r\n".encode())
    assert response.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in response
    assert "hidden" not in plain.log
    assert "Traceback" not in plain.log
    assert plain.ask("/-/health").status == 200


def test_an_instance_stops_when_it_is_terminated(tmp_path: Path) -> None:
    with instance(tmp_path / "stopping", PLAIN) as running:
        connection = running.connect()
        assert running.ask("/-/health", connection=connection).status == 200
        running.process.terminate()
        assert running.process.wait(20) == 0
        connection.close()
        assert running.log.count("\n") == 1
