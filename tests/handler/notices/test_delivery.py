"""Deliveries to sinks that fail: what is tried again, when, and when no more."""

from __future__ import annotations

import datetime
import socket
import time
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.context import Clock
from handler.notices.sinks import KINDS, Sink
from handler.notices.sinks.client import CONNECT_TIMEOUT, TRY, Network
from handler.notices.sinks.delivery import MAX_PAUSE, DeliveryFailed, OutOfTime, deliver, read_retry_after
from tests.handler.notice_fixtures import WHSEC, Receiver, Responder, receiver, respond
from tests.handler.notices.test_messages import notification


def sink_at(url: str, kind: str = "webhook", *, allow_loopback: bool = True) -> Sink:
    return Sink("ops", kind, url, WHSEC if kind == "webhook" else "secret", allow_loopback)


def attempt(
    url: str, network: Network | None = None, *, kind: str = "webhook", loopback: bool = True, tries: int = 100
) -> tuple[str, list[float]]:
    """The code of a delivery ("delivered" for success, with " refused" for a refused message), and the pauses that it
    asked for before each of its tries but the first. It may try so many times.
    """
    pauses: list[float] = []

    def may_try(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) <= tries

    try:
        deliver(
            KINDS[kind],
            sink_at(url, kind, allow_loopback=loopback),
            "notice_EXAMPLE",
            (notification(),),
            network=network or Network(),
            clock=Clock(),
            may_try=may_try,
        )
    except DeliveryFailed as error:
        return error.code + " refused" * error.is_refused, pauses[1:]
    return "delivered", pauses[1:]


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


class TestBackoff:
    def test_a_refused_connection_is_retried_with_backoff(self, closed_port: int) -> None:
        code, pauses = attempt(f"http://127.0.0.1:{closed_port}/")
        assert code == "no_connection"
        assert len(pauses) == 4
        assert all(minimum <= pause <= minimum + 0.5 for minimum, pause in zip((0.5, 1, 2, 4), pauses, strict=True))

    def test_backoff_has_jitter(self, closed_port: int) -> None:
        assert len({attempt(f"http://127.0.0.1:{closed_port}/")[1][0] for _ in range(5)}) > 1

    @pytest.mark.parametrize("tries", [1, 2, 4])
    def test_a_try_that_would_not_end_in_time_is_not_begun(self, hook: Receiver, tries: int) -> None:
        hook.default = respond(500)
        code, pauses = attempt(hook.url, tries=tries)
        assert (code, len(pauses), len(hook.received)) == ("status_500", tries, tries)

    def test_without_time_for_a_single_try_the_sink_has_not_failed(self, hook: Receiver) -> None:
        with pytest.raises(OutOfTime) as stopped:
            attempt(hook.url, tries=0)
        assert stopped.value.code == "out_of_time"
        assert not isinstance(stopped.value, DeliveryFailed)
        assert hook.received == []


class TestStatuses:
    def test_500_and_then_200_is_delivered(self, hook: Receiver) -> None:
        hook.responses = [respond(500)]
        code, pauses = attempt(hook.url)
        assert (code, len(hook.received), len(pauses)) == ("delivered", 2, 1)
        assert len({request.headers["webhook-id"] for request in hook.received}) == 1

    @pytest.mark.parametrize("kind", ["webhook", "feishu"])
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 506, 507, 520, 522, 530, 599])
    def test_a_temporary_status_is_retried(self, hook: Receiver, kind: str, status: int) -> None:
        hook.responses = [respond(status, b'{"code": 19021}')]
        hook.default = respond(200, b'{"code": 0}')
        code, pauses = attempt(hook.url, kind=kind)
        assert (code, len(pauses)) == ("delivered", 1)

    @pytest.mark.parametrize("status", [401, 403, 404, 410, 501, 505])
    def test_a_status_of_the_sink_is_not_retried(self, hook: Receiver, status: int) -> None:
        hook.default = respond(status)
        assert attempt(hook.url) == (f"status_{status}", [])
        assert len(hook.received) == 1

    @pytest.mark.parametrize("kind", ["webhook", "dingtalk", "slack"])
    @pytest.mark.parametrize("status", [400, 405, 413, 422])
    def test_a_status_of_the_message_refuses_it(self, hook: Receiver, kind: str, status: int) -> None:
        hook.default = respond(status, b"<h1>Bad</h1>")
        assert attempt(hook.url, kind=kind) == (f"status_{status} refused", [])
        assert len(hook.received) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, hook: Receiver, status: int) -> None:
        with receiver() as other:
            hook.default = respond(status, Location=f"{other.url}/metadata")
            assert attempt(hook.url) == ("redirect", [])
            assert (len(hook.received), other.received) == (1, [])


class TestRetryAfter:
    @pytest.mark.parametrize("after", ["7", "date"])
    def test_429_is_retried_after_its_retry_after(self, hook: Receiver, after: str) -> None:
        if after == "date":
            date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)
            after = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
        hook.responses = [respond(429, Retry_After=after)]
        code, pauses = attempt(hook.url)
        assert (code, len(hook.received)) == ("delivered", 2)
        assert 6 <= pauses[0] <= 8

    @pytest.mark.parametrize("after", ["16", "3600", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_a_longer_pause_than_fifteen_seconds_is_left_to_the_lease(self, hook: Receiver, after: str) -> None:
        assert MAX_PAUSE == 15
        hook.default = respond(429, Retry_After=after)
        assert attempt(hook.url) == ("status_429", [])
        assert len(hook.received) == 1

    BROKEN = (
        "soon",
        "9" * 5000,
        "9" * 10,
        "-1",
        "1.5",
        "",
        "\u0661",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        f"Fri, 31 Dec {'9' * 30} 23:59:59 GMT",
        f"Fri, 31 Dec {'9' * 5000} 23:59:59 GMT",
        "Fri, 31 Dec 2026 99:99:99 GMT",
        "Fri, 99 Foo 2026 23:59:59 GMT",
        "Fri, 31 Dec 2026 23:59:59 +99999999",
        "Sat, 01 Jan 0001 00:00:00 +2359",
    )

    @pytest.mark.parametrize("after", BROKEN, ids=range(len(BROKEN)))
    def test_a_broken_retry_after_is_as_if_there_was_none(self, hook: Receiver, after: str) -> None:
        hook.responses = [raw(b"HTTP/1.1 503 Busy\r\nRetry-After: " + after.encode() + b"\r\n\r\n")]
        code, pauses = attempt(hook.url)
        assert code == "delivered"
        assert len(pauses) == 1
        assert 0.5 <= pauses[0] <= 1

    @given(
        st.text(max_size=60)
        | st.from_regex(
            r"[A-Z][a-z]{2}, [0-9]{1,2} Dec [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{1,9}", fullmatch=True
        )
    )
    def test_any_retry_after_is_a_number_of_seconds(self, value: str) -> None:
        assert read_retry_after(value, 1_772_347_271.0) >= 0


class TestRobots:
    @pytest.mark.parametrize("status", [200, 400])
    def test_a_robot_that_is_busy_is_tried_again(self, hook: Receiver, status: int) -> None:
        hook.responses = [respond(status, b'{"code": 11232}')]
        hook.default = respond(200, b'{"code": 0}')
        code, pauses = attempt(hook.url, kind="feishu")
        assert (code, len(pauses)) == ("delivered", 1)

    @pytest.mark.parametrize(
        ("kind", "status", "body", "code"),
        [
            ("slack", 200, b"<!DOCTYPE html><title>Gateway</title>", "no_answer"),
            ("wecom", 200, b'{"errcode": 0', "no_answer"),
            # Quick retries would prolong the limit.
            ("dingtalk", 200, b'{"errcode": 130101, "errmsg": "send too fast"}', "130101"),
            ("dingtalk", 200, b'{"errcode": %s}' % (b"9" * 4299), "no_code"),
            ("dingtalk", 403, b'{"errcode": 0}', "status_403"),
        ],
    )
    def test_what_is_no_success_is_posted_once(
        self, hook: Receiver, kind: str, status: int, body: bytes, code: str
    ) -> None:
        hook.default = respond(status, body)
        assert attempt(hook.url, kind=kind) == (code, [])
        assert len(hook.received) == 1


class TestSlow:
    NETWORK = Network(try_timeout=0.2)

    def test_a_try_has_fifteen_seconds_and_an_address_five_of_them(self) -> None:
        assert (CONNECT_TIMEOUT, TRY) == (5.0, 15.0)
        assert Network()[3:] == (5.0, 15.0)

    def test_a_response_that_does_not_arrive_is_not_waited_for(self, hook: Receiver) -> None:
        hook.default = lambda request: time.sleep(0.5)
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK, tries=2)[0] == "too_slow"
        assert time.monotonic() - started < 1.5

    def test_a_dripping_head_is_cut_at_the_end_of_the_try(self, hook: Receiver) -> None:
        def drip(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(40):
                request.wfile.write(b"X-Drip: 1\r\n")
                request.wfile.flush()
                time.sleep(0.05)

        hook.default = drip
        started = time.monotonic()
        assert attempt(hook.url, self.NETWORK, tries=1)[0] == "too_slow"
        assert time.monotonic() - started < 1

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
        assert time.monotonic() - started < 1


class TestSecrecy:
    def test_a_failure_shows_nothing_of_the_url(self) -> None:
        with pytest.raises(DeliveryFailed) as failed:
            deliver(
                KINDS["slack"],
                sink_at("https://localhost/services/SECRET-PATH-EXAMPLE", "slack"),
                "notice_EXAMPLE",
                (notification(),),
                network=Network(),
                clock=Clock(),
                may_try=lambda pause: True,
            )
        assert failed.value.code == "address_refused"
        assert "SECRET-PATH" not in repr(failed.value)
        assert "localhost" not in repr(failed.value)
