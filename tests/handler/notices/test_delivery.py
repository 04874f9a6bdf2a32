"""Deliveries to sinks that fail: what each failure says of the message, and of the sink."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.notices.sinks import KINDS, Sink
from handler.notices.sinks.base import DeliveryFailed
from handler.notices.sinks.client import Network
from handler.notices.sinks.delivery import deliver, read_retry_after
from handler.notices.timing import CONNECT_TIMEOUT, TRY
from tests.handler.notice_fixtures import WHSEC, Receiver, Responder, receiver, respond
from tests.handler.notices.test_messages import NOW, delivery


def sink_at(url: str, kind: str = "webhook", *, allow_loopback: bool = True) -> Sink:
    return Sink("ops", kind, url, WHSEC if kind == "webhook" else "secret", allow_loopback)


def attempt(url: str, network: Network | None = None, *, kind: str = "webhook", loopback: bool = True) -> str:
    """What one delivery says: "delivered", or the code of its failure, with " refused" where it refuses the message,
    and " down" where the sink takes no other either, with the seconds that it asked for.
    """
    sink = sink_at(url, kind, allow_loopback=loopback)
    try:
        deliver(KINDS[kind], sink, (delivery(),), network or Network(), NOW)
    except DeliveryFailed as error:
        after = f" for {error.retry_after:.0f} s" if error.retry_after else ""
        return error.code + " refused" * error.is_refused + f" down{after}" * error.is_down
    return "delivered"


def raw(response: bytes, size: int = 100_000) -> Responder:
    """A responder that writes these bytes, `size` at a time, and closes the connection."""

    def responder(request: BaseHTTPRequestHandler) -> None:
        for start in range(0, len(response), size):
            request.wfile.write(response[start : start + size])
            request.wfile.flush()

    return responder


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class TestStatuses:
    def test_a_refused_connection_says_that_the_sink_is_down(self, closed_port: int) -> None:
        assert attempt(f"http://127.0.0.1:{closed_port}/") == "no_connection down"

    @pytest.mark.parametrize("kind", ["webhook", "feishu"])
    @pytest.mark.parametrize("status", [408, 425, 500, 504, 599])
    def test_a_status_that_may_be_of_the_message_or_of_the_sink_says_neither(
        self, hook: Receiver, kind: str, status: int
    ) -> None:
        hook.default = respond(status, b'{"code": 19021}')
        assert attempt(hook.url, kind=kind) == f"status_{status}"
        assert len(hook.received) == 1

    @pytest.mark.parametrize("kind", ["webhook", "dingtalk"])
    @pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 501, 505])
    def test_a_status_of_the_sink_says_that_it_is_down(self, hook: Receiver, kind: str, status: int) -> None:
        hook.default = respond(status, b'{"errcode": 0}')
        assert attempt(hook.url, kind=kind) == f"status_{status} down"
        assert len(hook.received) == 1

    def test_a_status_that_asks_for_a_pause_counts_more_than_a_code(self, hook: Receiver) -> None:
        hook.default = respond(429, b'{"code": 99991400}')
        assert attempt(hook.url, kind="feishu") == "status_429 down"

    @pytest.mark.parametrize("kind", ["webhook", "dingtalk", "slack"])
    @pytest.mark.parametrize("status", [400, 422])
    def test_a_status_of_the_message_refuses_it(self, hook: Receiver, kind: str, status: int) -> None:
        hook.default = respond(status, b"<h1>Bad</h1>")
        assert attempt(hook.url, kind=kind) == f"status_{status} refused"
        assert len(hook.received) == 1

    @pytest.mark.parametrize("status", [301, 307, 399])
    def test_a_redirect_is_not_followed(self, hook: Receiver, status: int) -> None:
        with receiver() as other:
            hook.default = respond(status, Location=f"{other.url}/metadata")
            assert attempt(hook.url) == "redirect down"
            assert (len(hook.received), other.received) == (1, [])


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("status", "code"), [(429, "status_429"), (503, "status_503"), (400, "status_400 refused")]
    )
    @pytest.mark.parametrize(
        ("after", "seconds"),
        [("7", 7), ("999999999", 999_999_999), (formatdate(int(NOW) + 61, usegmt=True), 60)],
        ids=["seconds", "many seconds", "date"],
    )
    def test_a_sink_that_asks_for_a_pause_is_down_for_so_long(
        self, hook: Receiver, status: int, code: str, after: str, seconds: int
    ) -> None:
        hook.default = respond(status, Retry_After=after)
        assert attempt(hook.url) == f"{code} down for {seconds} s"

    def test_a_broken_retry_after_is_as_if_there_was_none(self, hook: Receiver) -> None:
        hook.default = raw("HTTP/1.1 503 Busy\r\nRetry-After: \u0661\r\n\r\n".encode())
        assert attempt(hook.url) == "status_503"
        dates = [f"Fri, 31 Dec {year} 23:59:59 GMT" for year in ("99999", "9" * 30, "9" * 5000)]
        dates += [
            "Fri, 31 Dec 2026 99:99:99 GMT",
            "Fri, 31 Dec 2026 23:59:59 +99999999",
            "Sat, 01 Jan 0001 00:00:00 +2359",
        ]
        for after in ("soon", "9" * 5000, "9" * 10, "-1", "1.5", "", *dates):
            assert read_retry_after(after, NOW) == 0, after

    DATES = st.tuples(st.integers(0, 99), st.integers(0, 999_999), st.integers(-(10**9), 10**9))

    @given(st.text(max_size=60) | DATES.map(lambda numbers: "Fri, {} Dec {} 23:59:59 {:+}".format(*numbers)))
    def test_any_retry_after_is_a_number_of_seconds(self, value: str) -> None:
        assert read_retry_after(value, 1_772_347_271.0) >= 0


class TestSlow:
    NETWORK = Network(try_timeout=0.2)

    def test_a_try_has_fifteen_seconds_and_an_address_five_of_them(self) -> None:
        assert (CONNECT_TIMEOUT, TRY) == (5.0, 15.0)
        assert Network()[3:] == (5.0, 15.0)

    def test_a_response_that_does_not_arrive_is_not_waited_for(self, hook: Receiver) -> None:
        hook.default = lambda request: time.sleep(0.5)
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK) == "too_slow down"
        assert time.monotonic() - started < 1

    @pytest.mark.parametrize(
        ("head", "drop", "says"),
        [(b"", b"X-Drip: 1\r\n", "too_slow down"), (b"Content-Length: 100\r\n\r\n", b"x", "delivered")],
        ids=["head", "body"],
    )
    def test_a_dripping_response_is_cut_at_the_end_of_the_try(
        self, hook: Receiver, head: bytes, drop: bytes, says: str
    ) -> None:
        """For a webhook, a body that is cut is success."""

        def drip(request: BaseHTTPRequestHandler) -> None:
            for part in (b"HTTP/1.1 200 OK\r\n" + head, *[drop] * 40):
                request.wfile.write(part)
                request.wfile.flush()
                time.sleep(0.05)

        hook.default = drip
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK) == says
        assert time.monotonic() - started < 1


class TestSecrecy:
    def test_a_failure_shows_nothing_of_the_url(self) -> None:
        sink = sink_at("https://localhost/services/SECRET-PATH-EXAMPLE", "slack")
        with pytest.raises(DeliveryFailed) as failed:
            deliver(KINDS["slack"], sink, (delivery(),), Network(), NOW)
        assert failed.value.code == "address_refused"
        assert "SECRET-PATH" not in repr(failed.value)
        assert "localhost" not in repr(failed.value)
