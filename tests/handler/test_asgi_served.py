"""The custom runtime as the platform starts it: what only the running server can show."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from handler.asgi import MAX_HEAD
from handler.startup import THREADS
from signer import Credentials, verify
from tests.handler.client import KEYS, TOKEN
from tests.handler.custom_runtime import (
    REQUEST_ID,
    ROOT,
    Instance,
    command,
    instance,
    platform,
    received,
)
from tests.local_oss import local_oss
from tests.system import LINKS, MAKER, keys, secret_of

JSON = {"Content-Type": "application/json"}
GET = b"GET /-/health HTTP/1.1\r\n"
SIGN = b"POST /-/sign HTTP/1.1\r\nContent-Type: application/json\r\n"
UPGRADE = b"Upgrade: h2c\r\nConnection: upgrade\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# A call of the platform, which nothing that clients send may become.
FIELDS = "".join(
    f"{name}: {value}\r\n" for name, value in platform("/invoke", request_id="smuggled").items()
)
CALL = f"POST /invoke HTTP/1.1\r\n{FIELDS}Content-Length: 2\r\n\r\n{{}}".encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("running")
    with local_oss(folder / "oss") as oss:
        oss.put_keys(keys())
        with instance(folder / "instance", LINKS, {"LINK_OSS_ENDPOINT": oss.url}) as running:
            yield running


def statuses(responses: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", responses)]


def is_quick(running: Instance) -> bool:
    """Whether others are answered, as fast as a health check must be."""
    started = time.monotonic()
    assert running.ask("/-/health").status == 200
    assert running.ask("/open/a.txt").status == 302
    return time.monotonic() - started < 3


def test_events_are_processed_one_of_32_mb_too_and_one_that_fails_has_the_platforms_header(
    running: Instance,
) -> None:
    event = (ROOT / "tests/data/events/oss-trigger.json").read_bytes()
    for number, body in enumerate((event, event.ljust(32 * 1024**2), b'{"events": 7}')):
        added = platform("/invoke", request_id=f"req-event-{number}")
        reply = running.ask("/invoke", "POST", body=body, added=added)
        (line,) = running.lines(f"req-event-{number}")
        assert (line["code"], reply.json.get("items")) == (
            (None, 1) if number < 2 else (reply.json["errorType"], None)
        )
        assert reply.headers.get("X-Fc-Status") == (None if number < 2 else "404")


def test_no_secret_is_in_the_log_or_in_a_problem(running: Instance) -> None:
    ask, bearer = running.ask, {"Authorization": f"Bearer {MAKER}"}
    params = json.dumps({"path": "/reports/q3.pdf", "allow_missing": True}).encode()
    share = secret_of(ask("/-/shares", "POST", {**JSON, **bearer}, params).json["url"])
    link = ask(f"/-/s/q3.pdf?share={share}&format=json").json["url"]
    replies = [
        ask(f"/-/s/q3.pdf?share={share}x"),
        ask("/reports/q3.pdf", headers={"Authorization": f"Bearer {MAKER}x"}),
        ask("/reports/q3.pdf?format=xml", headers={"Authorization": f"Bearer {MAKER}"}),
        ask("/open/a.txt?format=xml", headers={"Cookie": "session=hiddencookie"}),
        ask(f"/nothing/?share={share}"),
        ask(
            "/invoke",
            "POST",
            body=b'{"events": [{"oss": "hiddenevent"}]}',
            added=platform("/invoke"),
        ),
    ]
    assert all(reply.status >= 400 for reply in replies)
    shown = running.log + "".join(reply.body for reply in replies)
    secrets = [TOKEN, KEYS.access_key_id, KEYS.access_key_secret, MAKER, share, "hiddencookie"]
    for secret in (
        *secrets,
        dict(parse_qsl(urlsplit(link).query))["x-oss-signature"],
        "hiddenevent",
    ):
        assert secret not in shown


def test_a_connection_stays_open_after_any_request(running: Instance) -> None:
    connection = running.connect()
    connection.connect()
    first = connection.sock
    for target, method, body, status in [
        ("/open/a.txt", "GET", None, 302),
        ("/open/a.txt", "HEAD", None, 302),
        ("/-/health", "HEAD", b"x", 200),
        ("/-/health", "OPTIONS", None, 204),
        ("/nothing", "GET", b"unread" * 20_000, 404),
        ("/nothing", "POST", b"x" * 100_000, 404),
        ("/open/a.txt", "DELETE", None, 405),
    ] * 3:
        reply = running.ask(target, method, JSON if body else None, body, connection=connection)
        assert (reply.status, reply.headers.get("Connection")) == (status, None)
        assert connection.sock is first
    connection.close()


def test_requests_in_a_pipeline_are_answered_in_their_order(running: Instance) -> None:
    targets = ["/-/health", "/nothing", "/open/%ff", "/reports/x"] * 10
    raw = "".join(f"GET {target} HTTP/1.1\r\n\r\n" for target in targets).encode()
    responses = running.send(raw + SIGN + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert statuses(responses) == [200, 404, 400, 401] * 10 + [400]


def test_concurrent_requests_share_nothing(running: Instance) -> None:
    def send_requests(number: int) -> None:
        keys = Credentials(
            f"STS.EXAMPLE{number}", f"secret{number}EXAMPLE", f"CAIS+token/{number}EXAMPLE=="
        )
        connection = running.connect()
        for turn in range(15):
            name = f"concurrent-{number}-{turn}"
            added = platform(keys=keys, request_id=name)
            url = running.ask(f"/open/{name}.txt", added=added, connection=connection).headers[
                "Location"
            ]
            assert urlsplit(url).path.endswith(f"/open/{name}.txt")
            assert verify("GET", url, credentials=keys).ok
            assert (
                running.ask(f"/nothing/{name}", added=added, connection=connection).json[
                    "request_id"
                ]
                == name
            )
        connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send_requests, range(16)))
    redirect, problem = running.lines("concurrent-7-14")
    assert (redirect["key"], problem["status"]) == ("open/concurrent-7-14.txt", 404)


WAITING = [
    (b"", GET + b"\r\n"),
    (GET + b"X: ", b"\r\n\r\n"),
    (SIGN + b"Content-Length: 9\r\n\r\n", b" " * 9),
]


@pytest.mark.parametrize(("sent", "rest"), WAITING)
def test_others_are_answered_while_200_connections_wait(
    running: Instance, sent: bytes, rest: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(running.open(sent)) for _ in range(200)]
        assert is_quick(running)
        for connection in waiting:
            connection.sendall(rest)
            assert statuses(connection.recv(65536)) == [400 if sent.startswith(SIGN) else 200]


def test_clients_that_do_not_read_large_responses_delay_nobody_and_are_not_kept_twice(
    tmp_path: Path,
) -> None:
    links = [{"path": f"/open/{'你' * 300}{number}"} for number in range(300)]
    body = json.dumps({"links": links}, ensure_ascii=False).encode()
    with contextlib.ExitStack() as stack:
        # Its log has a line for each link.
        running = stack.enter_context(instance(tmp_path / "unread", LINKS))
        size = len(running.ask("/-/sign", "POST", JSON, body).body)
        status = Path(f"/proc/{running.process.pid}/status")
        before = int(re.findall(r"VmRSS:\s*(\d+)", status.read_text())[0])
        for _ in range(26):
            head = FIELDS.encode() + b"Content-Length: %d\r\n\r\n" % len(body)
            connection = stack.enter_context(running.open(SIGN + head + body))
            assert connection.recv(1) == b"H"  # the response is complete when it begins
        started = time.monotonic()
        assert running.ask("/-/health").status == 200
        assert time.monotonic() - started < 1
        assert is_quick(running)
        after = int(re.findall(r"VmRSS:\s*(\d+)", status.read_text())[0])  # KB
        assert after - before < 1.5 * 26 * size / 1024


def test_a_length_above_1_mb_is_refused_before_the_body_arrives_and_no_byte_of_it_is_a_request(
    running: Instance,
) -> None:
    with contextlib.ExitStack() as stack:
        started, head = time.monotonic(), SIGN + b"Content-Length: 1048577\r\n"
        connections = [stack.enter_context(running.open(head + b"\r\n"))]
        connections.append(
            stack.enter_context(running.open(head + b"Expect: 100-continue\r\n\r\n"))
        )
        for connection in connections:
            head = connection.recv(65536)
            assert time.monotonic() - started < 1.5
            assert (statuses(head), b"\r\nconnection: close\r\n" in head) == ([413], True)
            connection.sendall(CALL)
        for connection in connections:
            assert b"HTTP/1.1" not in received(connection)
    assert running.lines("smuggled") == []


def test_a_client_that_sends_a_large_body_at_once_reads_why_it_is_refused(
    running: Instance,
) -> None:
    reply = running.ask("/-/sign", "POST", JSON, b" " * 8_000_000)
    assert (reply.status, reply.code, reply.headers["Connection"]) == (
        413,
        "body_too_large",
        "close",
    )


def test_a_body_is_awaited_that_a_client_sends_only_when_asked(running: Instance) -> None:
    with running.open(
        SIGN + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
    ) as connection:
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert statuses(received(connection)) == [400]


# What is sent before CALL, by the statuses of all responses.
INVALID = {
    (400,): [
        # Two lengths, or an invalid one.
        SIGN + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        SIGN + CHUNKED + b"Content-Length: 2\r\n\r\n0\r\n\r\n",
        SIGN + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
        SIGN + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        *(
            SIGN + b"Content-Length:%b\r\n\r\n" % value
            for value in (b" -1", b" +2", b" 2, 2", b" 0x2", b"")
        ),
        *(
            SIGN + b"Transfer-Encoding: %b\r\n\r\n" % value
            for value in (b"gzip", b"chunked, gzip", b"identity")
        ),
        # Invalid chunks.
        *(
            SIGN + CHUNKED + b"\r\n" + chunk
            for chunk in (b"zz\r\n", b"2\r\n{}x\r\n", b"-2\r\n", b"2\n{}\n0\n\n")
        ),
        # After Upgrade, nothing is parsed.
        SIGN + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(CALL),
        SIGN + UPGRADE + CHUNKED + b"\r\n0\r\n\r\n",
        # An invalid head.
        *(
            b"%b HTTP/1.1\r\n\r\n" % line
            for line in (b"GET /\xe4", b"GET /a b", b"GET a", b"CONNECT a:443", b"get /")
        ),
        *(
            GET + line + b"\r\n\r\n"
            for line in (b"X: a\r\n x-fc-control-path: /invoke", b"X hiddentoken", b"X: \0")
        ),
        *(
            line + b"\r\n\r\n"
            for line in (b"GET /?share=hiddenshare HTTP/9.9", b"hiddentoken", GET + b"X Y: hidden")
        ),
    ],
    (200,): [GET + UPGRADE + b"\r\n", GET + b"\r\n" + GET + b"X: a\r\n" * MAX_HEAD],
    # A head that is too large, also without an end, and trailers that are: the connection is closed.
    (): [
        GET + b"X: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        b"GET /" + b"a" * 10 * MAX_HEAD,
        SIGN + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + b"X: a\r\n" * MAX_HEAD,
    ],
}


@pytest.mark.parametrize("expected", INVALID, ids=str)
def test_an_invalid_request_smuggles_none_and_leaves_no_secret(
    running: Instance, expected: tuple[int, ...]
) -> None:
    for raw in INVALID[expected]:
        with contextlib.suppress(ConnectionError):  # the server closes without reading the rest
            assert statuses(running.send(raw + CALL)) == [*expected], raw[:200]
        assert running.lines("smuggled") == [], raw[:200]
    assert is_quick(running)
    assert "hidden" not in running.log


def test_an_invalid_configuration_fails_the_start_and_the_log_says_why(tmp_path: Path) -> None:
    with instance(tmp_path / "invalid", LINKS.replace("methods = ", "method = ")) as running:
        reply = running.ask("/initialize", "POST", body=b"", added=platform("/initialize"))
        assert (reply.status, reply.headers["X-Fc-Status"]) == (404, "404")
        assert "method" not in reply.body
        (line,) = running.lines(REQUEST_ID)
        assert "method" in line["sentence"]
        assert running.ask("/open/a.txt").code == "bad_configuration"


def test_a_frozen_instance_goes_on_when_it_is_thawed(running: Instance) -> None:
    head = b"HEAD /-/health HTTP/1.1\r\n\r\n"
    with (
        running.open(head) as connection,
        running.open(SIGN + b"Content-Length: 2\r\n\r\n") as late,
    ):
        assert statuses(connection.recv(65536)) == [200]
        running.process.send_signal(signal.SIGSTOP)
        late.sendall(b"{}")
        connection.sendall(head)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGCONT)
        assert statuses(connection.recv(65536)) == [200]
        assert statuses(late.recv(65536)) == [400]


def test_a_terminated_instance_answers_what_is_in_flight(tmp_path: Path) -> None:
    with (
        instance(tmp_path / "stopping", LINKS) as running,
        running.open(SIGN + b"Content-Length: 2\r\n\r\n") as late,
    ):
        connection = running.connect()
        assert running.ask("/-/health", connection=connection).status == 200
        running.process.terminate()
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            running.open(GET + b"\r\n")
        late.sendall(b"{}")
        assert statuses(received(late)) == [400]
        assert running.process.wait(5) == 0
        assert len(running.lines(REQUEST_ID)) == 1
        connection.close()


@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.long), THREADS + 1])
def test_a_terminated_instance_ends_within_5_seconds_although_threads_hang(
    tmp_path: Path, number: int
) -> None:
    with contextlib.ExitStack() as stack:
        silent_oss = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        variables = {"LINK_OSS_ENDPOINT": f"http://127.0.0.1:{silent_oss.getsockname()[1]}"}
        running = stack.enter_context(instance(tmp_path / "hanging", LINKS, variables))
        for _ in range(number):
            stack.enter_context(
                running.open(
                    GET[:5]
                    + f"reports/a HTTP/1.1\r\nAuthorization: Bearer {MAKER}\r\n{FIELDS}\r\n".encode()
                )
            )
        silent_oss.settimeout(60)
        silent_oss.accept()
        started = time.monotonic()
        running.process.terminate()
        assert running.process.wait(10) == 0
        assert time.monotonic() - started < 5
        assert "Traceback" not in running.log


def test_a_port_in_use_is_named_in_one_line(running: Instance) -> None:
    variables = {"PATH": os.environ["PATH"], "LINK_CONFIG": str(running.folder / "links.toml")}
    process = subprocess.run(
        command(running.port), cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 1
    assert re.fullmatch(
        rf"The server cannot start: .*{running.port}.* already in use\n",
        process.stdout + process.stderr,
    )
