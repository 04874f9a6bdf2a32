"""How a message reaches a sink: names, addresses, TLS, and the time that they take of a try."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from handler.notices.sinks import Post
from handler.notices.sinks.client import Network, NoResponse, is_public, public_addresses, send
from tests.handler.notice_fixtures import Receiver
from tests.handler.notices.test_delivery import attempt
from tests.http_server import Handler, http_server

HOST = "hooks.example.com"


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
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextmanager
def with_tls(
    sink: Receiver, folder: Path, host: str = HOST, address: str = "127.0.0.1"
) -> Iterator[tuple[int, Callable[[], ssl.SSLContext]]]:
    """A receiver behind TLS: the port, and the context of a client that trusts its certificate."""
    certificate, key = self_signed(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Hook(Handler):
        def do_POST(self) -> None:
            sink.answer(self)

    with http_server(Hook, address, context) as url:
        yield (
            int(url.rpartition(":")[2]),
            lambda: ssl.create_default_context(cafile=str(certificate)),
        )


@contextmanager
def listening(
    serve: Callable[[socket.socket, threading.Event], object],
    address: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[int]:
    """The port of a server that handles one connection at a time until the event is set."""
    ended = threading.Event()
    listener = socket.create_server((address, port))

    def accept() -> None:
        while not ended.is_set():
            connection, _ = listener.accept()
            with connection:
                try:
                    serve(connection, ended)
                except OSError:
                    continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        with socket.create_connection(listener.getsockname()[:2]):
            thread.join(10)
        listener.close()


@contextmanager
def trap(address: str, port: int) -> Iterator[list[object]]:
    """Listens where nobody must connect, and collects who did."""
    reached: list[object] = []

    def note(connection: socket.socket, ended: threading.Event) -> None:
        if not ended.is_set():
            reached.append(connection.getpeername())

    with listening(note, address, port):
        yield reached


def loopback_is_public(address: object) -> bool:
    return True


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


class TestTls:
    def test_a_host_is_reached_by_name_at_the_checked_address(
        self, hook: Receiver, tmp_path: Path
    ) -> None:
        with with_tls(hook, tmp_path) as (port, context):
            network = Network(to_loopback, loopback_is_public, context)
            assert attempt(f"https://{HOST}:{port}/x?y=1", network, loopback=False) == "delivered"
        assert hook.received[0].headers["host"] == f"{HOST}:{port}"
        assert hook.received[0].path == "/x?y=1"

    @pytest.mark.parametrize(("host", "is_trusted"), [(HOST, False), ("other.example.com", True)])
    def test_a_certificate_that_is_untrusted_or_for_another_host_is_refused(
        self, hook: Receiver, tmp_path: Path, host: str, is_trusted: bool
    ) -> None:
        with with_tls(hook, tmp_path, host) as (port, context):
            network = Network(to_loopback, loopback_is_public, *((context,) if is_trusted else ()))
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == "no_tls down"
        assert hook.received == []

    def test_a_host_without_tls_is_refused(self, hook: Receiver) -> None:
        port = hook.url.rpartition(":")[2]
        network = Network(to_loopback, loopback_is_public)
        assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == "no_tls down"
        assert hook.received == []


class TestNames:
    def test_a_name_that_changes_between_check_and_use_has_no_effect(
        self, hook: Receiver, tmp_path: Path
    ) -> None:
        results = [["127.0.0.2"]]

        def rebinding(host: str, port: int) -> list[str]:
            return results.pop(0) if results else ["127.0.0.1"]

        # 127.0.0.2 plays the public host; what must never be reached listens on the same port of 127.0.0.1.
        with (
            with_tls(hook, tmp_path, address="127.0.0.2") as (port, context),
            trap("127.0.0.1", port) as reached,
        ):
            network = Network(rebinding, lambda address: str(address) == "127.0.0.2", context)
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == "delivered"
            assert len(hook.received) == 1
            # The next message resolves the name again.
            assert (
                attempt(f"https://{HOST}:{port}/", network, loopback=False)
                == "address_refused down"
            )
            assert (len(hook.received), reached) == (1, [])

    # Of each network that is special the first or the last address, and IPv4 in IPv6.
    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",  # noqa: S104
            "10.0.0.1",
            "100.100.100.200",
            "127.8.8.8",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "100::1",
            "2001:0:7f00:1::",
            "2001:1f::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%eth0",
            "feff::1",
            "ff02::1",
        ],
    )
    def test_an_address_that_is_not_public_is_refused_among_others_too(self, address: str) -> None:
        for addresses in ([address], ["8.8.8.8", address], [address, "2001:4860:4860::8888"]):
            network = Network(lambda host, port, addresses=addresses: addresses)  # type: ignore[misc]
            with pytest.raises(NoResponse, match="address_refused"):
                public_addresses(HOST, 443, network)

    @pytest.mark.parametrize(
        "address",
        [
            "8.8.8.8",
            "192.0.1.1",
            "223.255.255.255",
            "2001:200::1",
            "2400:3200::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
        ],
    )
    def test_a_public_address_is_accepted(self, address: str) -> None:
        assert is_public(ipaddress.ip_address(address))

    @pytest.mark.parametrize("host", ["127.1", "2130706433", "localhost", "[::1]"])
    def test_a_loopback_by_another_name_is_refused(self, host: str) -> None:
        assert attempt(f"https://{host}/", loopback=True) == "address_refused down"

    def test_a_name_that_does_not_resolve_says_that_the_sink_is_down(self) -> None:
        def unknown(host: str, port: int) -> list[str]:
            raise socket.gaierror

        assert attempt(f"https://{HOST}/", Network(unknown), loopback=False) == "name_unknown down"
        with pytest.raises(NoResponse, match="name_unknown"):
            public_addresses(HOST, 443, Network(lambda host, port: []))

    def test_the_environments_proxies_are_ignored(
        self, hook: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert attempt(hook.url) == "delivered"


@contextmanager
def dropping_syns(addresses: list[str], port: int = 0) -> Iterator[int]:
    """A port where each of these addresses drops what would open a connection, because its queue is full."""
    with ExitStack() as ends:
        for address in addresses:
            listener = ends.enter_context(socket.socket())
            listener.bind((address, port))
            listener.listen(0)
            port = listener.getsockname()[1]
            for _ in range(3):
                waiting = ends.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((address, port))
        yield port


def failure(post: Post, network: Network) -> tuple[str, float]:
    """The code of one try, and the seconds it took."""
    started = time.monotonic()
    with pytest.raises(NoResponse) as failed:
        send(post, network, allow_loopback=False)
    return failed.value.code, time.monotonic() - started


class TestTimeOfATry:
    def test_addresses_that_drop_syns_end_within_the_time(self) -> None:
        addresses = [f"127.0.0.{number}" for number in range(2, 6)]
        with dropping_syns(addresses) as port:
            network = Network(
                lambda host, port: addresses,
                loopback_is_public,
                connect_timeout=0.2,
                try_timeout=0.5,
            )
            code, seconds = failure(Post(f"https://{HOST}:{port}/", {}, b"{}"), network)
        assert code == "no_connection"
        assert seconds < 1

    def test_an_address_that_drops_syns_leaves_time_for_the_next_one(
        self, hook: Receiver, tmp_path: Path
    ) -> None:
        with with_tls(hook, tmp_path) as (port, context), dropping_syns(["127.0.0.2"], port):
            network = Network(
                lambda host, port: ["127.0.0.2", "127.0.0.1"],
                loopback_is_public,
                context,
                connect_timeout=0.2,
            )
            assert attempt(f"https://{HOST}:{port}/", network, loopback=False) == "delivered"

    def test_a_look_up_that_hangs_ends_within_the_time_and_gets_nothing_after_it(
        self, hook: Receiver, tmp_path: Path
    ) -> None:
        released = threading.Event()

        def hang(host: str, port: int) -> list[str]:
            threads.append(threading.current_thread())
            released.wait(10)
            return ["127.0.0.1"]

        threads: list[threading.Thread] = []
        with with_tls(hook, tmp_path) as (port, context):
            network = Network(hang, loopback_is_public, context, try_timeout=0.2)
            code, seconds = failure(Post(f"https://{HOST}:{port}/", {}, b"{}"), network)
            # So that the exit does not wait for it.
            assert (code, threads[0].daemon) == (
                "name_unknown",
                True,
            )
            assert seconds < 0.7
            released.set()
            threads[0].join(10)
        assert (threads[0].is_alive(), hook.received) == (False, [])

    def test_a_tls_handshake_that_drips_ends_within_the_time(self) -> None:
        def drip(connection: socket.socket, ended: threading.Event) -> None:
            connection.sendall(b"\x16\x03\x03\x40\x00")
            while not ended.wait(0.03):
                connection.sendall(b"\x02")

        with listening(drip) as port:
            network = Network(to_loopback, loopback_is_public, try_timeout=0.3)
            code, seconds = failure(Post(f"https://{HOST}:{port}/", {}, b"{}"), network)
        assert code == "too_slow"
        assert seconds < 0.8

    def test_a_peer_that_reads_the_request_slowly_ends_within_the_time(
        self, tmp_path: Path
    ) -> None:
        certificate, key = self_signed(tmp_path)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)

        def sip(connection: socket.socket, ended: threading.Event) -> None:
            with server.wrap_socket(connection, server_side=True) as secure:
                while not ended.wait(0.03):
                    secure.recv(20_000)

        with listening(sip) as port:
            network = Network(
                to_loopback,
                loopback_is_public,
                lambda: ssl.create_default_context(cafile=str(certificate)),
                try_timeout=0.4,
            )
            code, seconds = failure(Post(f"https://{HOST}:{port}/", {}, b"x" * 30_000_000), network)
        assert code == "too_slow"
        assert seconds < 1.2
