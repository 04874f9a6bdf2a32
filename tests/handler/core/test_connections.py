"""Connections to OSS: which are kept and used again, that nothing logs a link, and that a deletion is sent once."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from unittest.mock import Mock

import pytest

from handler.core.cloud import http_client, oss
from handler.core.cloud.http_client import Bound, Connections, HttpResponse, within
from handler.core.cloud.lease import Lease
from handler.core.cloud.oss import OssClient, OssUnavailable, StoreError
from handler.core.cloud.store import Store, store_at
from handler.core.config import Location
from handler.core.context import Clock
from signer import Credentials, Endpoint
from signer.cli import listing
from tests.handler.client import KEYS
from tests.handler.notices.test_addresses import self_signed

OBJECT = Location("examplebucket", "exampledir/a.txt")
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ROUNDS = 2


@contextmanager
def answering(
    *conversations: Sequence[bytes], tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """The address of a server that accepts a connection for each conversation, with `tls` (certificate and key).

    It sends one answer for each request, and closes the connection after the last one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls is not None:
        context.load_cert_chain(*tls)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for answers in conversations:
                plain, _ = server.accept()
                with plain, suppress(ConnectionError, ssl.SSLError):
                    connection = (
                        plain if tls is None else context.wrap_socket(plain, server_side=True)
                    )
                    for response in answers:
                        connection.recv(65536)
                        connection.sendall(response)

        # A test that fails must not wait for it.
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"{'http' if tls is None else 'https'}://localhost:{server.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


def get(
    opened: Connections, address: str, *, method: str = "GET", max_body: int = 1000
) -> HttpResponse:
    return opened.send(method, f"{address}/a", {}, None, timeout=(5.0, 5.0), max_body=max_body)


def malformed(body: bytes) -> bytes:
    """A response with a header without a colon, which urllib3 reports together with the URL."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno colon here\r\nConnection: close\r\n\r\n%s"
        % (len(body), body)
    )


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of a new process whose root logger takes everything."""
    caplog.set_level(logging.DEBUG)
    urllib3 = logging.getLogger("urllib3")
    level = urllib3.level
    urllib3.setLevel(logging.NOTSET)
    yield caplog
    urllib3.setLevel(level)


def test_a_malformed_header_does_not_log_the_link(log: pytest.LogCaptureFixture) -> None:
    with answering([malformed(b"ok")]) as address:
        client = OssClient(KEYS, Endpoint.path_style(address, "cn-hangzhou"), Connections())
        assert client.get(OBJECT).status == 200
    assert log.records == []


def test_nor_does_it_when_the_command_line_lists_objects(log: pytest.LogCaptureFixture) -> None:
    credentials = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    with answering([malformed(LISTED)]) as address:
        endpoint = Endpoint.path_style(address, "cn-hangzhou")
        assert (
            list(listing.objects("examplebucket", "", credentials=credentials, endpoint=endpoint))
            == []
        )
    assert not [record for record in log.records if record.name.startswith("urllib3")]


@pytest.mark.parametrize("seconds", [31.0, -3600.0])
def test_after_half_a_minute_or_a_changed_clock_a_connection_is_not_used_again(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, start = Connections(), time.time()
    monkeypatch.setattr("handler.core.cloud.http_client.time.time", lambda: start)
    with answering([OK, OK, OK.replace(b"ok", b"no")], [OK]) as address:
        get(opened, address)
        get(opened, address)
        monkeypatch.setattr("handler.core.cloud.http_client.time.time", lambda: start + seconds)
        assert get(opened, address).body == b"ok"


@pytest.mark.parametrize("last", [b"HTTP/1.1 200 OK\r\nConnection: Close", b"HTTP/1.0 200 OK"])
def test_a_connection_is_closed_after_the_answer_that_says_it_is_the_last(last: bytes) -> None:
    """The server itself leaves it open for now."""
    opened = Connections()
    with answering(
        [last + b"\r\nContent-Length: 2\r\n\r\nok", OK.replace(b"ok", b"no")], [OK]
    ) as address:
        assert [get(opened, address).body for _ in range(2)] == [b"ok"] * 2


def test_chunks_count_and_not_a_length_beside_them() -> None:
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with answering([both]) as address:
        assert get(Connections(), address).body == b"ok"


# The server closes the connection.
@pytest.mark.parametrize("more", [b"", b", and more than announced"])
def test_after_an_answer_that_ends_or_spoils_its_connection_another_one_is_opened(
    more: bytes,
) -> None:
    opened = Connections()
    with answering([OK + more], [OK]) as address:
        assert get(opened, address).body == b"ok"
        _await(lambda: not _is_idle(opened))
        assert get(opened, address).body == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nETag: x\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 20\xff OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
        + b"1\r\nx\r\n" * 60_000,
    ],
)
def test_an_answer_that_is_cut_or_no_http_is_a_connection_error(answer: bytes) -> None:
    with (
        answering([answer]) as address,
        pytest.raises((ConnectionError, http.client.HTTPException)),
    ):
        get(Connections(), address, max_body=100_000)


@pytest.mark.parametrize(
    "chunks", [b"2\r\nok\r\n0\r\n\r\n", b"1;x=y\r\no\r\n1 \r\nk\r\n00\r\nX: 1\r\n\r\n"]
)
def test_chunks_are_read_up_to_the_limit_and_all_of_them_keep_the_connection(chunks: bytes) -> None:
    opened = Connections()
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with answering([answer, answer], [OK]) as address:
        assert [get(opened, address, max_body=limit).body for limit in (2, 1, 2)] == [
            b"ok",
            b"o",
            b"ok",
        ]


def test_a_header_that_comes_twice_has_both_values() -> None:
    answer = b"HTTP/1.1 204 No Content\r\nVary: Origin\r\nConnection: close\r\nvary: Accept\r\nConnection: TE\r\n\r\n"
    opened = Connections()
    with answering([answer], [OK]) as address:
        assert get(opened, address).headers == {"vary": "Origin, Accept", "connection": "close, TE"}
        assert get(opened, address).body == b"ok"


def test_a_head_that_is_cut_is_a_connection_error_also_without_a_body() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"
    with answering([cut]) as address, pytest.raises(http.client.IncompleteRead):
        get(Connections(), address, method="HEAD")


def test_a_longer_body_is_read_up_to_the_limit_and_its_connection_closed() -> None:
    opened = Connections()
    with answering([OK], [OK]) as address:
        assert get(opened, address, max_body=1).body == b"o"
        assert get(opened, address).body == b"ok"


@pytest.mark.parametrize("length", ["Content-Length: 700", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("DELETE", 204)])
def test_an_answer_without_a_body_keeps_its_connection_whatever_length_it_names(
    method: str, status: int, length: str
) -> None:
    opened = Connections()
    with answering([f"HTTP/1.1 {status} X\r\n{length}\r\nETag: x\r\n\r\n".encode(), OK]) as address:
        response = get(opened, address, method=method)
        assert (response.body, response.headers["etag"]) == (b"", "x")
        assert get(opened, address).body == b"ok"


def test_a_response_that_follows_early_hints_is_not_that_of_the_next_request() -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
    opened = Connections()
    # As if the response came after the next request was sent, on the connection of the first.
    with answering([b"HTTP/1.1 103 Early Hints\r\n\r\n", late], [OK]) as address:
        assert get(opened, address).status == 103
        assert get(opened, address).body == b"ok"


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that is trusted, and its key."""
    certificate, key = self_signed(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http_client, "tls_context", lambda: trusting)
    return certificate, key


def test_what_tls_has_received_too_much_is_not_the_answer_of_the_next_request(
    trusted: tuple[Path, Path],
) -> None:
    head, body = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ", b"\r\n\r\nok"
    # A first answer as long as what is read at a time, so that the second stays in the TLS record.
    both = (
        head
        + b"a" * (io.DEFAULT_BUFFER_SIZE - len(head) - len(body))
        + body
        + OK.replace(b"ok", b"no")
    )
    opened = Connections()
    with answering([both, OK], [OK], tls=trusted) as address:
        assert [get(opened, address).body for _ in range(2)] == [b"ok"] * 2


def test_connections_to_other_hosts_are_closed_once_they_are_too_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, start = Connections(), time.time()
    monkeypatch.setattr("handler.core.cloud.http_client.time.time", lambda: start)
    with answering([OK]) as first, answering([OK]) as second:
        get(opened, first)
        monkeypatch.setattr("handler.core.cloud.http_client.time.time", lambda: start + 31)
        get(opened, second)
        assert len(opened._idle) == 1


def test_after_a_kept_connection_failed_a_request_is_sent_again_on_a_new_one() -> None:
    opened = Connections()
    with answering([OK], [OK]) as address:
        host = address.removeprefix("http://")
        with socket.create_server(("127.0.0.1", 0)) as restarted:
            # Two kept connections that are open until a request arrives.
            for _ in range(2):
                old = http.client.HTTPConnection("127.0.0.1", restarted.getsockname()[1])
                old.connect()
                opened._keep("http", host, old)
            accepted = [restarted.accept()[0] for _ in range(2)]

            def end() -> None:
                for connection in reversed(accepted):  # the one kept last is used first
                    with connection:
                        connection.recv(65536)

            ending = threading.Thread(target=end, daemon=True)
            ending.start()
            client = OssClient(KEYS, Endpoint.path_style(address, "cn-hangzhou"), opened)
            assert client.get(OBJECT).status == 200
            ending.join(10)
        assert get(Connections(), address).body == b"ok"


# OSS keeps 8 KB of metadata.
def test_an_object_may_have_more_headers_than_http_client_reads_by_default() -> None:
    entries = b"".join(b"x-oss-meta-%d: 1\r\n" % number for number in range(2048))
    with answering([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + entries + b"\r\nok"]) as address:
        assert len(get(Connections(), address).headers) == 2049


def test_a_server_that_is_silent_is_a_timeout_and_one_that_is_absent_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Connections().send("GET", f"{address}/a", {}, None, timeout=(5.0, 0.05), max_body=10)
        assert time.monotonic() - began < 4
    with pytest.raises(ConnectionRefusedError):
        get(Connections(), address)


def test_a_server_that_does_not_accept_in_time_is_no_timeout_of_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "connect", Mock(side_effect=TimeoutError))
    with pytest.raises(ConnectionError):
        get(Connections(), "http://localhost:1")


def test_a_connection_serves_its_own_host_alone() -> None:
    opened = Connections()
    other = OK.replace(b"ok", b"no")
    with answering([OK, OK]) as first, answering([other, other]) as second:
        addresses = (first, second, first, second)
        assert [get(opened, address).body for address in addresses] == [b"ok", b"no"] * 2


def test_only_so_many_connections_are_kept_as_there_may_be_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "MAX_THREADS", 1)
    opened = Connections()
    reused = OK.replace(b"ok", b"no")
    with answering([OK, reused], [OK]) as first, answering([OK]) as second:
        assert [get(opened, address).body for address in (first, second, first)] == [b"ok"] * 3


def test_a_write_that_forbids_to_overwrite_is_sent_once_and_others_twice() -> None:
    for write, expected in ((OssClient.claim, 1), (OssClient.put, 2)):
        broken = Mock(send=Mock(side_effect=ConnectionResetError))
        client = OssClient(KEYS, Endpoint.public("cn-hangzhou"), broken)
        with pytest.raises(OssUnavailable):
            write(client, OBJECT, b"", content_type="text/plain")
        assert broken.send.call_count == expected


def test_every_thread_keeps_its_connection() -> None:
    opened, count = Connections(), 24
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        addresses = [stack.enter_context(answering([OK] * ROUNDS)) for _ in range(count)]
        for _ in range(ROUNDS):
            assert [*pool.map(lambda address: get(opened, address).body, addresses)] == [
                b"ok"
            ] * count


def test_tls_trusts_the_authorities_of_the_package_and_checks_the_name_of_the_host() -> None:
    context = http_client.tls_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) > 100


def test_over_tls_a_connection_is_kept_too(trusted: tuple[Path, Path]) -> None:
    opened = Connections()
    with answering([OK, OK], tls=trusted) as address:
        assert [get(opened, address).body for _ in range(2)] == [b"ok"] * 2


def test_a_certificate_that_no_authority_signed_is_refused(tmp_path: Path) -> None:
    tls = self_signed(tmp_path, "localhost")
    with answering([OK], tls=tls) as address, pytest.raises(ssl.SSLCertVerificationError):
        get(Connections(), address)


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with answering([OK]) as address:
        assert get(Connections(), address).body == b"ok"


def test_within_its_time_a_call_returns_or_raises_what_it_would_alone() -> None:
    assert within(10, lambda bound: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(10, lambda bound: 1 // 0)


def test_a_call_whose_time_is_over_ends_although_bytes_trickle_in() -> None:
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def call(bound: Bound) -> None:
            threads.append(threading.current_thread())
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            Connections(bound).send("GET", url, {}, None, timeout=(5.0, 60.0), max_body=10)

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while True:
                    time.sleep(0.01)
                    connection.sendall(b"x")

        threading.Thread(target=trickle, daemon=True).start()
        with pytest.raises(TimeoutError):
            within(0.1, call)
        threads[0].join(5)
        assert not threads[0].is_alive()


def test_after_its_time_a_call_sends_nothing() -> None:
    is_over, outcomes = threading.Event(), SimpleQueue[Exception]()

    def call(bound: Bound) -> None:
        is_over.wait(10)  # as if the name was looked up for so long
        try:
            Connections(bound).send(
                "POST", f"{address}/", {}, b"late", timeout=(5.0, 5.0), max_body=10
            )
        except Exception as error:
            outcomes.put(error)

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            within(0.05, call)
        is_over.set()
        server.settimeout(10)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(100) == b""
    assert isinstance(outcomes.get(timeout=10), TimeoutError)


def test_an_answer_shows_neither_values_nor_body() -> None:
    shown = repr(HttpResponse(200, {"etag": "secret-1"}, b"secret-2"))
    assert "secret" not in shown
    assert "etag" in shown


def _is_idle(opened: Connections) -> bool:
    return any(not http_client._is_readable(each.connection) for each in opened._idle)


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


# --- a lock or a lease is deleted by one request at most: a second one could delete that of the next holder ---

DATE = b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
CREATED, DELETED = b"HTTP/1.1 200 OK\r\n" + DATE, b"HTTP/1.1 204 No Content\r\n" + DATE


class Server:
    """It carries out every request, but answers only the first ones of each connection, and then closes it."""

    def __init__(self) -> None:
        self.received: list[tuple[int, str]] = []  # the number of the connection, and the method
        self.answered: dict[
            int, int
        ] = {}  # how many requests of a connection are answered, always without an entry

    def serve(self, listening: socket.socket) -> None:
        number = 0
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection, number), daemon=True).start()
            number += 1

    def _converse(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as file, suppress(ConnectionError):
            left = self.answered.get(number, 100)
            while line := file.readline():
                method = line.partition(b" ")[0].decode()
                file.read(int(http.client.parse_headers(file).get("Content-Length", "0")))
                self.received.append((number, method))
                if not left:
                    return
                left -= 1
                connection.sendall(DELETED if method == "DELETE" else CREATED)


@contextmanager
def serving(server: Server) -> Iterator[Store]:
    """A store at this server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=server.serve, args=[listening], daemon=True).start()
        endpoint = Endpoint.path_style(
            f"http://127.0.0.1:{listening.getsockname()[1]}", "cn-hangzhou"
        )
        connections = Connections()
        yield store_at(
            OssClient(KEYS, endpoint, connections),
            Location("examplebucket", ".links/keys.json"),
            Clock(),
        )
        connections.close()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answered", [1, 0])
def test_it_never_uses_a_connection_that_may_be_stale_and_is_not_sent_again(answered: int) -> None:
    server = Server()
    server.answered = {0: 1, 1: answered}
    with serving(server) as store:
        store.ask_time("")
        if answered:
            store.delete(".lock.1", retry=False)
        else:
            with pytest.raises(StoreError):
                store.delete(".lock.1", retry=False)
    assert server.received == [(0, "HEAD"), (1, "DELETE")]


@pytest.mark.parametrize("answered", [100, 0])
def test_a_lease_is_released_by_one_request_for_each_slot(answered: int) -> None:
    server = Server()
    server.answered = {1: answered, 2: answered}
    with serving(server) as store:
        store.ask_time("")
        lease = Lease(store, ".lock.", 120, 121.0, b"ours")
        assert lease.acquire()
        assert lease.has_time()
        assert lease.release() is bool(answered)
    assert [method for _, method in server.received] == ["HEAD", "PUT", "PUT", "DELETE", "DELETE"]


def test_a_document_that_the_service_did_not_write_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oss, "MAX_BODY", 2)
    longer = OK.replace(b"2", b"3").replace(b"ok", b"not")
    with answering([OK, longer]) as url:
        client = OssClient(KEYS, Endpoint.path_style(url, "cn-hangzhou"), Connections())
        assert client.get(OBJECT).body == b"ok"
        with pytest.raises(OssUnavailable, match="exceeds 2 bytes"):
            client.get(OBJECT)
