"""Deliveries to sinks that fail: what each failure says of the message, and of the sink.

Answers that are incomplete, invalid or hostile are a verdict on their own message, and never anything else.
"""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.cloud.http_client import MAX_STRICT_HEAD as MAX_HEAD
from handler.notices.sinks import KINDS, Post, Sink
from handler.notices.sinks.base import DeliveryFailed
from handler.notices.sinks.client import MAX_RESPONSE, Network, NoResponse, send
from handler.notices.sinks.delivery import deliver, read_retry_after
from handler.notices.timing import CONNECT_TIMEOUT, TRY
from tests.handler.notice_fixtures import WHSEC, Receiver, Responder, receiver, respond
from tests.handler.notices.test_messages import NOW, delivery


def sink_at(url: str, kind: str = "webhook", *, allow_loopback: bool = True) -> Sink:
    return Sink("ops", kind, url, WHSEC if kind == "webhook" else "secret", allow_loopback)


def attempt(
    url: str, network: Network | None = None, *, kind: str = "webhook", loopback: bool = True
) -> str:
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

    @pytest.mark.parametrize(
        ("statuses", "says"),
        [
            ((408, 425, 500, 504, 599), ""),  # it may be of the message or of the sink
            ((401, 403, 404, 410, 429, 501, 505), " down"),
            ((400, 422), " refused"),
        ],
        ids=["neither", "the sink", "the message"],
    )
    @pytest.mark.parametrize("kind", ["webhook", "dingtalk", "slack"])
    def test_a_status_says_whether_the_message_or_the_sink_is_to_blame(
        self, hook: Receiver, kind: str, statuses: tuple[int, ...], says: str
    ) -> None:
        for status in statuses:
            hook.default = respond(status, b'{"errcode": 0}')
            assert attempt(hook.url, kind=kind) == f"status_{status}{says}"
        assert len(hook.received) == len(statuses)

    @pytest.mark.parametrize(("status", "says"), [(429, "status_429 down"), (500, "status_500")])
    def test_such_a_status_counts_more_than_a_code(
        self, hook: Receiver, status: int, says: str
    ) -> None:
        hook.default = respond(status, b'{"code": 99991400}')
        assert attempt(hook.url, kind="feishu") == says

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

    @given(
        st.text(max_size=60)
        | DATES.map(lambda numbers: "Fri, {} Dec {} 23:59:59 {:+}".format(*numbers))
    )
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
        [
            (b"", b"X-Drip: 1\r\n", "too_slow down"),
            (b"Content-Length: 100\r\n\r\n", b"x", "delivered"),
        ],
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


class TestFraming:
    def test_an_incomplete_body_is_success_for_a_webhook_and_no_answer_for_a_robot(
        self, hook: Receiver
    ) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100")
            request.end_headers()
            request.wfile.write(b'{"errcode": 0')
            request.close_connection = True

        hook.default = half
        assert attempt(hook.url) == "delivered"
        assert attempt(hook.url, kind="dingtalk") == "no_answer down"

    @pytest.mark.parametrize(
        "head",
        [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nX: 1\r\n"],
    )
    def test_an_incomplete_head_is_no_answer(self, hook: Receiver, head: bytes) -> None:
        def half(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(head)
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)

        hook.default = half
        assert attempt(hook.url) == "no_answer down"

    @pytest.mark.parametrize(
        "response",
        [
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nc;x=y\r\n"errcode":0}\r\n0\r\n\r\n',
            b'HTTP/1.0 200 OK\r\n\r\n{"errcode": 0}',
            b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:14\r\n\r\n{"errcode": 0}',
            b'HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{"errcode": 0}',
            b'HTTP/1.1 200\r\nContent-Length: 14 , 14\r\nContent-Length: 14\r\n\r\n{"errcode": 0} and more',
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n"
            b'e;x\r\n{"errcode": 0}\r\n0\r\nX: 1\r\n\r\n',
        ],
    )
    def test_a_body_of_any_framing_is_read(self, hook: Receiver, response: bytes) -> None:
        hook.default = raw(response, 7)
        assert attempt(hook.url, kind="dingtalk") == "delivered"

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1 099 ?\r\n\r\n",
            b"HTTP/1.1 600 ?\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"http/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/1.1 +20 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n X: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nFrom x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        ],
    )
    def test_a_response_that_is_not_valid_http_1_is_no_answer(
        self, hook: Receiver, response: bytes
    ) -> None:
        hook.default = raw(response)
        assert attempt(hook.url) == "no_answer down"

    @pytest.mark.parametrize(
        "body",
        [
            b'c\r\n{"errcode":0}\r\n0\r\n',
            b'c\n{"errcode":0}\n0\n\n',
            b'+c\r\n{"errcode":0}\r\n0\r\n\r\n',
            b'0xc\r\n{"errcode":0}\r\n0\r\n\r\n',
            b'c\r\n{"errcode":0}\r\n0\r\nno trailer\r\n\r\n',
        ],
    )
    def test_chunks_that_are_incomplete_or_invalid_are_an_incomplete_body(
        self, hook: Receiver, body: bytes
    ) -> None:
        response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        hook.default = raw(response)
        assert attempt(hook.url) == "delivered"
        assert attempt(hook.url, kind="dingtalk") == "no_answer down"

    def test_an_endless_response_is_cut(self, hook: Receiver) -> None:
        sent: list[int] = []

        def endless(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            while True:
                sent.append(request.wfile.write(b"x" * 65536))

        hook.default = endless
        assert attempt(hook.url) == "delivered"
        assert MAX_RESPONSE == 65536
        # What the two sockets hold is the system's affair: some megabytes.
        assert sum(sent) < 1024 * MAX_RESPONSE


class TestHostileAnswers:
    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\nx",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 1200,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 6000 + b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9000 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nRetry-After: \xff\xfe\r\n\r\n",
        ],
    )
    def test_a_hostile_answer_is_a_verdict(self, hook: Receiver, response: bytes) -> None:
        hook.default = raw(response)
        assert attempt(hook.url) in ("delivered", "no_answer down")
        assert attempt(hook.url, kind="dingtalk") == "no_answer down"

    def test_a_thousand_interim_answers_are_read_past(self, hook: Receiver) -> None:
        hook.default = raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1200 + b"HTTP/1.1 200 OK\r\n\r\n")
        assert attempt(hook.url) == "delivered"

    def test_whatever_reading_an_answer_raises_is_no_answer(self, hook: Receiver) -> None:
        with (
            patch(
                "handler.core.cloud.http_client.StrictResponse.begin", side_effect=AssertionError
            ),
            pytest.raises(NoResponse, match="no_answer"),
        ):
            send(Post(hook.url, {}, b"{}"), Network(), allow_loopback=True)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("kind", "status", "body", "outcome", "code"),
        [
            ("webhook", 200, b"anything", "delivered", ""),
            ("webhook", 204, b"", "delivered", ""),
            ("dingtalk", 200, b'{"errcode": 0, "errmsg": "ok"}', "delivered", ""),
            ("dingtalk", 200, b'{"errcode": -1}', "sink_refused", "-1"),
            (
                "dingtalk",
                200,
                b'{"errcode": 130101, "errmsg": "send too fast"}',
                "sink_refused",
                "130101",
            ),
            (
                "dingtalk",
                200,
                b'{"errcode": 300005, "errmsg": "token is not exist"}',
                "sink_refused",
                "300005",
            ),
            # A wrong signature, a wrong address, or a keyword that the name lacks.
            (
                "dingtalk",
                200,
                b'{"errcode": 310000, "errmsg": "sign not match"}',
                "message_refused",
                "310000",
            ),
            ("dingtalk", 200, b'{"errcode": 999999999}', "message_refused", "999999999"),
            ("dingtalk", 200, b'{"errcode": 1000000000}', "sink_refused", "no_code"),
            ("dingtalk", 200, b'{"errcode": "0"}', "sink_refused", "no_code"),
            ("dingtalk", 200, b'{"errcode": false}', "sink_refused", "no_code"),
            ("dingtalk", 200, b'{"code": 0}', "sink_refused", "no_code"),
            ("dingtalk", 200, b"[0]", "sink_refused", "no_code"),
            ("dingtalk", 200, b"", "sink_refused", "no_answer"),
            ("dingtalk", 200, b'{"errco', "sink_refused", "no_answer"),
            ("dingtalk", 200, b'{"errcode": ' + b"9" * 5000 + b"}", "sink_refused", "no_answer"),
            ("dingtalk", 200, b"[" * 60_000, "sink_refused", "no_answer"),
            ("dingtalk", 200, b"\xff\xfe\xfd", "sink_refused", "no_answer"),
            ("wecom", 200, b'{"errcode": 0}', "delivered", ""),
            ("wecom", 200, b'{"errcode": -1}', "sink_refused", "-1"),
            ("wecom", 200, b'{"errcode": 45009}', "sink_refused", "45009"),
            ("wecom", 200, b'{"errcode": 40058}', "message_refused", "40058"),
            ("feishu", 200, b'{"code": 0, "msg": "success"}', "delivered", ""),
            ("feishu", 200, b'{"StatusCode": 0, "StatusMessage": "success"}', "delivered", ""),
            ("feishu", 200, b'{"code": 11232}', "sink_refused", "11232"),
            ("feishu", 400, b'{"code": 11232}', "sink_refused", "11232"),
            ("feishu", 200, b'{"code": 19021, "StatusCode": 0}', "sink_refused", "19021"),
            (
                "feishu",
                200,
                b'{"code": 19024, "msg": "Key Words Not Found"}',
                "message_refused",
                "19024",
            ),
            ("slack", 200, b"ok", "delivered", ""),
            ("slack", 200, b"ok\n", "delivered", ""),
            ("slack", 200, b"some_new_word", "message_refused", "not_ok"),
            ("slack", 200, b"", "sink_refused", "no_answer"),
            ("slack", 200, b"<html>", "sink_refused", "no_answer"),
            ("slack", 400, b"invalid_payload", "message_refused", "invalid_payload"),
            ("slack", 403, b"invalid_token", "sink_refused", "invalid_token"),
            ("slack", 400, b"no_team", "sink_refused", "no_team"),
        ],
    )
    def test_a_response_means(
        self, kind: str, status: int, body: bytes, outcome: str, code: str
    ) -> None:
        verdict = KINDS[kind].verdict(status, body)
        shown = (
            (verdict.is_down, verdict.is_refused, verdict.code)
            if verdict is not None
            else (False, False, "")
        )
        assert shown == (outcome == "sink_refused", outcome == "message_refused", code)

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("webhook", b"anything"),
            ("dingtalk", b'{"errcode": 7}'),
            ("wecom", b"<html>"),
            ("slack", b"some_new_word"),
        ],
    )
    @pytest.mark.parametrize("status", [400, 403])
    def test_without_a_known_code_the_status_of_an_error_decides(
        self, kind: str, body: bytes, status: int
    ) -> None:
        verdict = KINDS[kind].verdict(status, body)
        assert verdict is not None
        assert (verdict.code, verdict.is_down) == (f"status_{status}", status == 403)

    @given(st.sampled_from(list(KINDS)), st.sampled_from([200, 204, 299]), st.binary(max_size=60))
    def test_any_2xx_is_a_verdict_with_a_short_code(
        self, kind: str, status: int, body: bytes
    ) -> None:
        verdict = KINDS[kind].verdict(status, body)
        assert verdict is None or len(verdict.code) <= 40


class TestSecrecy:
    def test_a_failure_shows_nothing_of_the_url(self) -> None:
        sink = sink_at("https://localhost/services/SECRET-PATH-EXAMPLE", "slack")
        with pytest.raises(DeliveryFailed) as failed:
            deliver(KINDS["slack"], sink, (delivery(),), Network(), NOW)
        assert failed.value.code == "address_refused"
        assert "SECRET-PATH" not in repr(failed.value)
        assert "localhost" not in repr(failed.value)
