"""Deliveries to sinks that are broken, slow or hostile: real servers on the loopback."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from handler.notices.sinks import KINDS, Sink
from handler.notices.sinks.client import (
    CONNECT_TIMEOUT,
    MAX_HEAD,
    MAX_RESPONSE,
    RESPONSE_TIMEOUT,
    Network,
    NoResponse,
    is_public,
    public_addresses,
)
from handler.notices.sinks.delivery import DeliveryFailed, deliver
from tests.handler.notice_fixtures import (
    WHSEC,
    EventFunction,
    FakeClock,
    Receiver,
    Responder,
    created,
    event_function,
    notice,
    receiver,
    respond,
)
from tests.handler.notices.test_messages import notification

HOST = "hooks.example.com"


def sink_at(url: str, kind: str = "webhook", *, allow_loopback: bool = True) -> Sink:
    return Sink("ops", kind, url, WHSEC if kind == "webhook" else "secret", allow_loopback)


def attempt(
    url: str, network: Network | None = None, *, kind: str = "webhook", seconds: float = 50, loopback: bool = True
) -> tuple[str, list[float]]:
    """The code of a delivery within so many seconds ("delivered" for success), and its pauses, which only the clock
    makes.
    """
    fake_clock = FakeClock()
    clock = fake_clock.clock()
    try:
        deliver(
            KINDS[kind],
            sink_at(url, kind, allow_loopback=loopback),
            "notice_EXAMPLE",
            (notification(),),
            network=network or Network(),
            clock=clock,
            deadline=clock.monotonic() + seconds,
        )
    except DeliveryFailed as error:
        return error.code, fake_clock.pauses
    return "delivered", fake_clock.pauses


def raw(response: bytes, size: int = 100_000) -> Responder:
    """A responder that writes these bytes, `size` at a time, and closes the connection."""

    def responder(request: BaseHTTPRequestHandler) -> None:
        for start in range(0, len(response), size):
            request.wfile.write(response[start : start + size])
            request.wfile.flush()

    return responder


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_the_timeouts_are_five_and_ten_seconds() -> None:
    assert (CONNECT_TIMEOUT, RESPONSE_TIMEOUT) == (5.0, 10.0)
    assert Network()[3:] == (5.0, 10.0)


class TestRefused:
    def test_a_refused_connection_is_retried_with_backoff(self, closed_port: int) -> None:
        code, pauses = attempt(f"http://127.0.0.1:{closed_port}/")
        assert code == "no_connection"
        assert len(pauses) == 4
        assert all(minimum <= pause <= minimum + 0.5 for minimum, pause in zip((0.5, 1, 2, 4), pauses, strict=True))

    def test_backoff_has_jitter(self, closed_port: int) -> None:
        assert len({attempt(f"http://127.0.0.1:{closed_port}/")[1][0] for _ in range(5)}) > 1

    def test_there_is_no_backoff_beyond_the_functions_time(self, closed_port: int) -> None:
        code, pauses = attempt(f"http://127.0.0.1:{closed_port}/", seconds=2)
        assert code == "no_connection"
        assert len(pauses) <= 2


class TestResponses:
    def test_500_and_then_200_is_delivered(self, hook: Receiver) -> None:
        hook.responses = [respond(500)]
        code, pauses = attempt(hook.url)
        assert (code, len(hook.received), len(pauses)) == ("delivered", 2, 1)
        assert len({request.headers["webhook-id"] for request in hook.received}) == 1

    @pytest.mark.parametrize("after", ["7", "date"])
    def test_429_is_retried_after_its_retry_after(self, hook: Receiver, after: str) -> None:
        if after == "date":
            date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)
            after = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
        hook.responses = [respond(429, Retry_After=after)]
        code, pauses = attempt(hook.url)
        assert (code, len(hook.received)) == ("delivered", 2)
        assert 6 <= pauses[0] <= 8

    def test_429_with_a_retry_after_beyond_the_deadline_fails_at_once(self, hook: Receiver) -> None:
        hook.default = respond(429, Retry_After="3600")
        assert attempt(hook.url) == ("status_429", [])
        assert len(hook.received) == 1

    def test_an_invalid_retry_after_means_backoff(self, hook: Receiver) -> None:
        hook.responses = [respond(503, Retry_After="soon")]
        code, pauses = attempt(hook.url)
        assert code == "delivered"
        assert 0.5 <= pauses[0] <= 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
    def test_a_permanent_error_is_not_retried(self, hook: Receiver, status: int) -> None:
        hook.default = respond(status)
        assert attempt(hook.url) == (f"status_{status}", [])
        assert len(hook.received) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, hook: Receiver, status: int) -> None:
        with receiver() as other:
            hook.default = respond(status, Location=f"{other.url}/metadata")
            assert attempt(hook.url) == ("redirect", [])
            assert (len(hook.received), other.received) == (1, [])

    def test_an_incomplete_body_is_success_for_a_webhook_and_no_answer_for_a_robot(self, hook: Receiver) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100")
            request.end_headers()
            request.wfile.write(b'{"errcode": 0')
            request.close_connection = True

        hook.default = half
        assert attempt(hook.url) == ("delivered", [])
        hook.responses = [half]
        hook.default = respond(200, b'{"errcode": 0}')
        code, pauses = attempt(hook.url, kind="dingtalk")
        assert (code, len(pauses)) == ("delivered", 1)

    @pytest.mark.parametrize(
        "head", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nX: 1\r\n"]
    )
    def test_an_incomplete_head_is_no_answer(self, hook: Receiver, head: bytes) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(head)
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)

        hook.responses = [half]
        code, pauses = attempt(hook.url)
        assert (code, len(pauses)) == ("delivered", 1)

    @pytest.mark.parametrize(
        "response",
        [
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nc;x=y\r\n"errcode":0}\r\n0\r\n\r\n',
            b'HTTP/1.0 200 OK\r\n\r\n{"errcode": 0}',
            b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:14\r\n\r\n{"errcode": 0}',
        ],
    )
    def test_a_body_of_any_framing_is_read(self, hook: Receiver, response: bytes) -> None:
        hook.default = raw(response, 7)
        assert attempt(hook.url, kind="dingtalk") == ("delivered", [])

    @pytest.mark.parametrize(
        "response",
        [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1 99 ?\r\n\r\n",
            b"HTTP/1.1 099 ?\r\n\r\n",
            b"HTTP/1.1 600 ?\r\n\r\n",
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 OK\r\nX: 1\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        ],
    )
    def test_a_response_that_is_not_valid_http_1_is_no_answer(self, hook: Receiver, response: bytes) -> None:
        hook.default = raw(response)
        assert attempt(hook.url)[0] == "no_answer"

    @pytest.mark.parametrize(
        "body",
        [
            b'c\r\n{"errcode":0}\r\n',
            b'c\r\n{"errcode":0}\r\n0\r\n',
            b'c\r\n{"errcode":0}XX0\r\n\r\n',
            b'c\n{"errcode":0}\n0\n\n',
        ],
    )
    def test_chunks_that_are_incomplete_or_invalid_are_an_incomplete_body(self, hook: Receiver, body: bytes) -> None:
        response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        hook.default = raw(response)
        assert attempt(hook.url) == ("delivered", [])
        assert attempt(hook.url, kind="dingtalk")[0] == "no_answer"

    def test_an_endless_response_is_cut(self, hook: Receiver) -> None:
        sent: list[int] = []

        def endless(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            while True:
                sent.append(request.wfile.write(b"x" * 65536))

        hook.default = endless
        assert attempt(hook.url)[0] == "delivered"
        assert MAX_RESPONSE == 65536
        assert sum(sent) < 64 * MAX_RESPONSE

    def test_the_rate_limit_of_a_robot_is_a_failure_and_for_feishu_retried(self, hook: Receiver) -> None:
        hook.default = respond(200, b'{"errcode": 130101, "errmsg": "send too fast"}')
        assert attempt(hook.url, kind="dingtalk") == ("130101", [])
        hook.responses = [respond(200, b'{"code": 11232}')]
        hook.default = respond(200, b'{"code": 0}')
        code, pauses = attempt(hook.url, kind="feishu")
        assert (code, len(pauses)) == ("delivered", 1)


class TestSlow:
    NETWORK = Network(response_timeout=0.2)

    def test_a_response_that_does_not_arrive_is_not_waited_for(self, hook: Receiver) -> None:
        hook.default = lambda request: time.sleep(0.5)
        started = time.monotonic()
        code = attempt(hook.url, self.NETWORK, seconds=1.2)[0]
        assert code == "too_slow"
        assert time.monotonic() - started < 3

    def test_a_dripping_head_is_cut_at_the_total_timeout(self, hook: Receiver) -> None:
        def drip(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(40):
                request.wfile.write(b"X-Drip: 1\r\n")
                request.wfile.flush()
                time.sleep(0.05)

        hook.default = drip
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK, seconds=0.4)[0] == "too_slow"
        assert time.monotonic() - started < 1.5

    def test_a_dripping_body_is_cut_and_success_for_a_webhook(self, hook: Receiver) -> None:
        def drip(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100")
            request.end_headers()
            for _ in range(40):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)

        hook.default = drip
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK) == ("delivered", [])
        assert time.monotonic() - started < 1.5


# TLS and names: the network of a test may resolve a public host to the loopback.


def self_signed(folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """A self-signed certificate for a host, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{host}.pem", folder / f"{host}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@contextmanager
def with_tls(
    sink: Receiver, folder: Path, host: str = HOST, address: str = "127.0.0.1"
) -> Iterator[tuple[int, Callable[[], ssl.SSLContext]]]:
    """Puts TLS before a receiver: the port, and the context of a client that trusts its certificate."""
    certificate, key = self_signed(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    upstream = int(sink.url.rpartition(":")[2])
    listener = socket.create_server((address, 0))
    closed = threading.Event()

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept() -> None:
        while not closed.is_set():
            try:
                plain, _ = listener.accept()
                secure = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            inner = socket.create_connection(("127.0.0.1", upstream))
            back = threading.Thread(target=copy, args=(inner, secure), daemon=True)
            back.start()
            copy(secure, inner)
            back.join()
            secure.close()
            inner.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], lambda: ssl.create_default_context(cafile=str(certificate))
    finally:
        closed.set()
        # Wakes the accepting thread, so that it ends.
        with socket.create_connection(listener.getsockname()[:2]):
            pass
        thread.join(10)
        listener.close()


@contextmanager
def trap(address: str, port: int) -> Iterator[list[object]]:
    """Listens where nobody must connect, and collects who did."""
    reached: list[object] = []
    listener = socket.create_server((address, port))
    closed = threading.Event()

    def accept() -> None:
        while True:
            connection, peer = listener.accept()
            connection.close()
            if closed.is_set():
                return
            reached.append(peer)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield reached
    finally:
        closed.set()
        with socket.create_connection((address, port)):
            thread.join(10)
        listener.close()


def loopback_is_public(address: object) -> bool:
    return True


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


class TestTls:
    def test_a_host_is_reached_by_name_at_the_checked_address(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path) as (port, context):
            network = Network(to_loopback, loopback_is_public, context)
            assert attempt(f"https://{HOST}:{port}/x?y=1", network, loopback=False) == ("delivered", [])
        assert hook.received[0].headers["host"] == f"{HOST}:{port}"
        assert hook.received[0].path == "/x?y=1"

    def test_an_untrusted_certificate_is_refused(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path) as (port, _):
            network = Network(to_loopback, loopback_is_public)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.received == []

    def test_a_certificate_for_another_host_is_refused(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path, "other.example.com") as (port, context):
            network = Network(to_loopback, loopback_is_public, context)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.received == []

    def test_a_host_without_tls_is_refused(self, hook: Receiver) -> None:
        port = hook.url.rpartition(":")[2]
        network = Network(to_loopback, loopback_is_public)
        assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.received == []


class TestNames:
    def test_a_name_that_changes_between_check_and_use_has_no_effect(self, hook: Receiver, tmp_path: Path) -> None:
        results = [["127.0.0.2"]]

        def rebinding(host: str, port: int) -> list[str]:
            return results.pop(0) if results else ["127.0.0.1"]

        # 127.0.0.2 plays the public host; what must never be reached listens on the same port of 127.0.0.1.
        with with_tls(hook, tmp_path, address="127.0.0.2") as (port, context), trap("127.0.0.1", port) as reached:
            network = Network(rebinding, lambda address: str(address) == "127.0.0.2", context)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("delivered", [])
            assert len(hook.received) == 1
            # The next message resolves the name again.
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("address_refused", [])
            assert (len(hook.received), reached) == (1, [])

    def test_a_retry_checks_the_address_again(self, hook: Receiver, tmp_path: Path) -> None:
        results = [["127.0.0.2"]]
        hook.responses = [respond(500)]
        with with_tls(hook, tmp_path, address="127.0.0.2") as (port, context), trap("127.0.0.1", port) as reached:
            network = Network(
                lambda host, port: results.pop() if results else ["127.0.0.1"],
                lambda address: str(address) == "127.0.0.2",
                context,
            )
            code, pauses = attempt(f"https://{HOST}:{port}/", network, loopback=False)
            assert (code, len(pauses), len(hook.received), reached) == ("address_refused", 1, 1, [])

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "fe80::1%eth0",
        ],
    )
    def test_an_address_that_is_not_public_is_refused_among_others_too(self, address: str) -> None:
        for addresses in ([address], ["8.8.8.8", address], [address, "2001:4860:4860::8888"]):
            network = Network(lambda host, port, addresses=addresses: addresses)  # type: ignore[misc]
            with pytest.raises(NoResponse, match="address_refused"):
                public_addresses(HOST, 443, network)

    @pytest.mark.parametrize("address", ["8.8.8.8", "203.119.1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
    def test_a_public_address_is_accepted(self, address: str) -> None:
        assert is_public(ipaddress.ip_address(address))

    @pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "[::1]"])
    def test_a_loopback_by_another_name_is_refused(self, host: str) -> None:
        assert attempt(f"https://{host}/", loopback=True) == ("address_refused", [])

    def test_a_name_that_does_not_resolve_is_retried(self) -> None:
        def unknown(host: str, port: int) -> list[str]:
            raise socket.gaierror

        code, pauses = attempt(f"https://{HOST}/", Network(unknown), loopback=False)
        assert (code, len(pauses)) == ("name_unknown", 4)
        with pytest.raises(NoResponse, match="name_unknown"):
            public_addresses(HOST, 443, Network(lambda host, port: []))

    def test_the_environments_proxies_are_ignored(self, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert attempt(hook.url) == ("delivered", [])


class TestInvocations:
    @pytest.fixture
    def function(self, tmp_path: Path) -> Iterator[EventFunction]:
        with event_function(tmp_path) as created_function:
            yield created_function

    def test_an_error_fails_the_invocation_and_the_next_one_delivers(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        hook.default = respond(500)
        failed = function.invoke(created())
        assert failed.error is not None
        assert failed.error.code == "status_500"
        assert failed.line["failed"] == [{"sink": "ops", "code": "status_500"}]
        hook.default = respond()
        assert function.invoke(created()).counts() == (1, 1, 1, 0)
        assert len({request.headers["webhook-id"] for request in hook.received}) == 1

    def test_a_private_address_fails_the_invocation_without_showing_the_url(self, function: EventFunction) -> None:
        function.sinks["ops"] = {"kind": "slack", "url": "https://localhost/services/SECRET-PATH-EXAMPLE"}
        function.toml = notice(["ops"])
        failed = function.invoke(created())
        assert failed.error is not None
        assert failed.error.code == "address_refused"
        assert "SECRET-PATH" not in str(failed.error) + failed.printed
        assert "localhost" not in str(failed.error) + failed.printed
