"""Sinks that are broken, slow or hostile: real servers on the loopback, and what a delivery makes of each."""

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
from handler.notices.sinks.address import AddressRefused, NameUnknown, checked, is_public
from handler.notices.sinks.client import CAP, CONNECT, READ, Network
from handler.notices.sinks.delivery import Failed, deliver
from tests.handler.notice_fixtures import WHSEC, Receiver, Times, World, created, events_world, notice, receiver, say
from tests.handler.notices.test_messages import told

HOST = "hooks.example.com"


def sink_at(url: str, kind: str = "webhook", *, allow_loopback: bool = True) -> Sink:
    return Sink("ops", kind, url, WHSEC if kind == "webhook" else "secret", allow_loopback)


def attempt(
    url: str, network: Network | None = None, *, kind: str = "webhook", seconds: float = 50, loopback: bool = True
) -> tuple[str, list[float]]:
    """What comes of a delivery within so many seconds, and the pauses that it made (none of them waited for)."""
    times = Times()
    clock = times.clock()
    try:
        deliver(
            KINDS[kind],
            sink_at(url, kind, allow_loopback=loopback),
            "notice_EXAMPLE",
            (told(),),
            network=network or Network(),
            clock=clock,
            deadline=clock.monotonic() + seconds,
        )
    except Failed as error:
        return error.code, times.paused
    return "told", times.paused


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_the_limits_are_five_and_ten_seconds() -> None:
    assert (CONNECT, READ) == (5.0, 10.0)
    assert Network()[3:] == (5.0, 10.0)


class TestRefused:
    def test_a_refused_connection_is_tried_with_backoff_and_then_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        code, paused = attempt(f"http://127.0.0.1:{port}/")
        assert code == "no_connection"
        assert len(paused) == 4
        assert all(least <= pause <= least + 0.5 for least, pause in zip((0.5, 1, 2, 4), paused, strict=True))

    def test_backoff_has_jitter(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        assert len({attempt(f"http://127.0.0.1:{port}/")[1][0] for _ in range(5)}) > 1

    def test_there_is_no_backoff_beyond_the_functions_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        code, paused = attempt(f"http://127.0.0.1:{port}/", seconds=2)
        assert code == "no_connection"
        assert len(paused) <= 2


class TestAnswers:
    def test_500_and_then_200_is_told(self, hook: Receiver) -> None:
        hook.answers = [say(500)]
        code, paused = attempt(hook.url)
        assert (code, len(hook.got), len(paused)) == ("told", 2, 1)
        assert len({got.headers["webhook-id"] for got in hook.got}) == 1

    @pytest.mark.parametrize("after", ["7", "date"])
    def test_429_is_tried_again_after_its_retry_after(self, hook: Receiver, after: str) -> None:
        if after == "date":
            moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)
            after = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
        hook.answers = [say(429, Retry_After=after)]
        code, paused = attempt(hook.url)
        assert (code, len(hook.got)) == ("told", 2)
        assert 6 <= paused[0] <= 8

    def test_429_that_asks_for_more_time_than_there_is_fails_at_once(self, hook: Receiver) -> None:
        hook.last = say(429, Retry_After="3600")
        assert attempt(hook.url) == ("status_429", [])
        assert len(hook.got) == 1

    def test_a_retry_after_that_says_nothing_is_backoff(self, hook: Receiver) -> None:
        hook.answers = [say(503, Retry_After="soon")]
        code, paused = attempt(hook.url)
        assert code == "told"
        assert 0.5 <= paused[0] <= 1

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
    def test_what_no_further_try_can_mend_is_tried_once(self, hook: Receiver, status: int) -> None:
        hook.last = say(status)
        assert attempt(hook.url) == (f"status_{status}", [])
        assert len(hook.got) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, hook: Receiver, status: int) -> None:
        with receiver() as other:
            hook.last = say(status, Location=f"{other.url}/metadata")
            assert attempt(hook.url) == ("redirect", [])
            assert (len(hook.got), other.got) == (1, [])

    def test_a_half_sent_body_is_success_for_a_webhook_and_no_answer_for_a_robot(self, hook: Receiver) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100")
            request.end_headers()
            request.wfile.write(b'{"errcode": 0')
            request.close_connection = True

        hook.last = half
        assert attempt(hook.url) == ("told", [])
        hook.answers = [half]
        hook.last = say(200, b'{"errcode": 0}')
        code, paused = attempt(hook.url, kind="dingtalk")
        assert (code, len(paused)) == ("told", 1)

    @pytest.mark.parametrize(
        "head", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nX: 1\r\n"]
    )
    def test_a_half_sent_head_is_no_answer(self, hook: Receiver, head: bytes) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(head)
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)

        hook.answers = [half]
        code, paused = attempt(hook.url)
        assert (code, len(paused)) == ("told", 1)

    @pytest.mark.parametrize(
        "answer",
        [
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nc;x=y\r\n"errcode":0}\r\n0\r\n\r\n',
            b'HTTP/1.0 200 OK\r\n\r\n{"errcode": 0}',
            b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:14\r\n\r\n{"errcode": 0}',
        ],
    )
    def test_an_answer_of_any_framing_is_read(self, hook: Receiver, answer: bytes) -> None:
        def act(request: BaseHTTPRequestHandler) -> None:
            for byte in range(0, len(answer), 7):
                request.wfile.write(answer[byte : byte + 7])
                request.wfile.flush()

        hook.last = act
        assert attempt(hook.url, kind="dingtalk") == ("told", [])

    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 99 ?\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        ],
    )
    def test_what_is_no_http_is_no_answer(self, hook: Receiver, answer: bytes) -> None:
        def act(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(answer)

        hook.last = act
        assert attempt(hook.url)[0] == "no_answer"

    def test_an_answer_without_end_is_cut(self, hook: Receiver) -> None:
        sent: list[int] = []

        def endless(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            while True:
                sent.append(request.wfile.write(b"x" * 65536))

        hook.last = endless
        assert attempt(hook.url)[0] == "told"
        assert CAP == 65536
        assert sum(sent) < 64 * CAP

    def test_a_robots_rate_is_a_failure_that_can_be_tried_again(self, hook: Receiver) -> None:
        hook.last = say(200, b'{"errcode": 130101, "errmsg": "send too fast"}')
        assert attempt(hook.url, kind="dingtalk") == ("130101", [])
        hook.answers = [say(200, b'{"code": 11232}')]
        hook.last = say(200, b'{"code": 0}')
        code, paused = attempt(hook.url, kind="feishu")
        assert (code, len(paused)) == ("told", 1)


class TestSlow:
    NETWORK = Network(read=0.2)

    def test_an_answer_that_does_not_come_is_not_waited_for(self, hook: Receiver) -> None:
        hook.last = lambda request: time.sleep(0.5)
        began = time.monotonic()
        code = attempt(hook.url, self.NETWORK, seconds=1.2)[0]
        assert code == "too_slow"
        assert time.monotonic() - began < 3

    def test_an_answer_that_drips_is_cut_as_a_whole(self, hook: Receiver) -> None:
        def drip(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(40):
                request.wfile.write(b"X-Drip: 1\r\n")
                request.wfile.flush()
                time.sleep(0.05)

        hook.last = drip
        began = time.monotonic()
        assert attempt(hook.url, self.NETWORK, seconds=0.4)[0] == "too_slow"
        assert time.monotonic() - began < 1.5

    def test_a_body_that_drips_is_success_for_a_webhook_and_cut(self, hook: Receiver) -> None:
        def drip(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100")
            request.end_headers()
            for _ in range(40):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)

        hook.last = drip
        began = time.monotonic()
        assert attempt(hook.url, self.NETWORK) == ("told", [])
        assert time.monotonic() - began < 1.5


# TLS and names: a host of the public Internet stands on the loopback, where a test's network says so.


def authority(folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """A certificate for a host that signs itself, and its key."""
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
    found: Receiver, folder: Path, host: str = HOST, address: str = "127.0.0.1"
) -> Iterator[tuple[int, Callable[[], ssl.SSLContext]]]:
    """Puts TLS before a receiver: its port, and the context of who trusts its certificate."""
    certificate, key = authority(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    upstream = int(found.url.rpartition(":")[2])
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
        # Wakes the one who accepts, so that he sees that it is over.
        with socket.create_connection(listener.getsockname()[:2]):
            pass
        thread.join(10)
        listener.close()


@contextmanager
def trap(address: str, port: int) -> Iterator[list[object]]:
    """Listens where nobody is to come; who came."""
    reached: list[object] = []
    listener = socket.create_server((address, port))
    over = threading.Event()

    def accept() -> None:
        while True:
            plug, who = listener.accept()
            plug.close()
            if over.is_set():
                return
            reached.append(who)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield reached
    finally:
        over.set()
        with socket.create_connection((address, port)):
            thread.join(10)
        listener.close()


def loopback_is_public(address: object) -> bool:
    return True


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


class TestTls:
    def test_a_host_is_reached_under_its_name_at_the_checked_address(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path) as (port, context):
            network = Network(to_loopback, loopback_is_public, context)
            assert attempt(f"https://{HOST}:{port}/x?y=1", network, loopback=False) == ("told", [])
        assert hook.got[0].headers["host"] == f"{HOST}:{port}"
        assert hook.got[0].path == "/x?y=1"

    def test_a_certificate_that_nobody_knows_is_refused(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path) as (port, _):
            network = Network(to_loopback, loopback_is_public)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.got == []

    def test_a_certificate_for_another_host_is_refused(self, hook: Receiver, tmp_path: Path) -> None:
        with with_tls(hook, tmp_path, "other.example.com") as (port, context):
            network = Network(to_loopback, loopback_is_public, context)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.got == []

    def test_a_host_without_tls_is_refused(self, hook: Receiver) -> None:
        port = hook.url.rpartition(":")[2]
        network = Network(to_loopback, loopback_is_public)
        assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("no_tls", [])
        assert hook.got == []


class TestNames:
    def test_a_name_that_changes_between_check_and_use_changes_nothing(self, hook: Receiver, tmp_path: Path) -> None:
        answers = [["127.0.0.2"]]

        def rebinding(host: str, port: int) -> list[str]:
            return answers.pop(0) if answers else ["127.0.0.1"]

        # 127.0.0.2 plays the public host; on the same port of 127.0.0.1 listens what must never be reached.
        with with_tls(hook, tmp_path, address="127.0.0.2") as (port, context), trap("127.0.0.1", port) as reached:
            network = Network(rebinding, lambda address: str(address) == "127.0.0.2", context)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("told", [])
            assert len(hook.got) == 1
            # The next message looks anew, and sees it.
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == ("address_refused", [])
            assert (len(hook.got), reached) == (1, [])

    def test_a_retry_looks_at_the_address_anew(self, hook: Receiver, tmp_path: Path) -> None:
        answers = [["127.0.0.2"]]
        hook.answers = [say(500)]
        with with_tls(hook, tmp_path, address="127.0.0.2") as (port, context), trap("127.0.0.1", port) as reached:
            network = Network(
                lambda host, port: answers.pop() if answers else ["127.0.0.1"],
                lambda address: str(address) == "127.0.0.2",
                context,
            )
            code, paused = attempt(f"https://{HOST}:{port}/", network, loopback=False)
            assert (code, len(paused), len(hook.got), reached) == ("address_refused", 1, 1, [])

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
        for found in ([address], ["8.8.8.8", address], [address, "2001:4860:4860::8888"]):
            with pytest.raises(AddressRefused):
                checked(HOST, 443, lambda host, port, found=found: found, loopback=False, public=is_public)  # type: ignore[misc]

    @pytest.mark.parametrize("address", ["8.8.8.8", "203.119.1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
    def test_a_public_address_is_good(self, address: str) -> None:
        assert is_public(ipaddress.ip_address(address))

    @pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost", "[::1]"])
    def test_a_loopback_by_another_name_is_refused(self, host: str) -> None:
        assert attempt(f"https://{host}/", loopback=True) == ("address_refused", [])

    def test_a_name_that_does_not_resolve_is_tried_again(self) -> None:
        def unknown(host: str, port: int) -> list[str]:
            raise socket.gaierror

        code, paused = attempt(f"https://{HOST}/", Network(unknown), loopback=False)
        assert (code, len(paused)) == ("name_unknown", 4)
        with pytest.raises(NameUnknown):
            checked(HOST, 443, lambda host, port: [], loopback=False, public=is_public)

    def test_the_environments_proxies_have_no_say(self, hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert attempt(hook.url) == ("told", [])


class TestWholeInvocations:
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        with events_world(tmp_path) as found:
            yield found

    def test_a_fault_fails_the_invocation_and_the_next_one_tells(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        hook.last = say(500)
        failed = world.run(created())
        assert failed.error is not None
        assert failed.error.code == "status_500"
        assert failed.line["failed"] == [{"sink": "ops", "code": "status_500"}]
        hook.last = say()
        assert world.run(created()).counts() == (1, 1, 1, 0)
        assert len({got.headers["webhook-id"] for got in hook.got}) == 1

    def test_a_private_address_fails_it_without_a_word_of_the_address(self, world: World) -> None:
        world.sinks["ops"] = {"kind": "slack", "url": "https://localhost/services/SECRET-PATH-EXAMPLE"}
        world.text = notice(["ops"])
        failed = world.run(created())
        assert failed.error is not None
        assert failed.error.code == "address_refused"
        assert "SECRET-PATH" not in str(failed.error) + failed.printed
        assert "localhost" not in str(failed.error) + failed.printed
