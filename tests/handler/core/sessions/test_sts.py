"""STS on the other side of the network: slow, down, throttled, wrong, and honest."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Response

from handler.core.cloud import sts as sts_client
from handler.core.cloud.sts import StsUnavailable, assume_role
from handler.core.config import Config
from signer import Credentials
from signer.emulator.ram import parse_policy
from signer.emulator.sts import StsError
from signer.times import rfc3339
from tests.handler.client import KEYS, NOW, Answered, ask
from tests.handler.core.sessions.opener import ROLE, Issued, LocalSts, config, local_sts

TIMEOUT = 0.15  # seconds, of calls that are to end with it
PATIENT = 20.0  # seconds; a busy machine must not make a test fail
SECRET = "answersecretEXAMPLE"
ANSWER = {
    "AccessKeyId": "STS.NEW",
    "AccessKeySecret": SECRET,
    "SecurityToken": f"CAIS.{SECRET}",
    "Expiration": rfc3339(NOW + 3600),
}


@pytest.fixture
def sts() -> Iterator[LocalSts]:
    with local_sts(Issued()) as running:
        yield running


def configured(sts: LocalSts, duration: str = "1h", **mount: Any) -> Config:
    return config(duration, environ={"LINK_STS_ENDPOINT": sts.url}, **mount)


def ask_link(sts: LocalSts, duration: str = "1h", **mount: Any) -> Answered:
    return ask("/docs/a.txt", query={"format": "json"}, config=configured(sts, duration, **mount))


def warnings(response: Answered) -> list[dict[str, Any]]:
    """The lines of the log before the last one, which is the request's own."""
    return [json.loads(line) for line in response.printed.splitlines()[:-1]]


# --- STS answers --------------------------------------------------------------------------------------------------


def test_a_link_is_signed_by_a_session_with_its_mounts_name_policy_and_duration(
    sts: LocalSts,
) -> None:
    response = ask_link(sts, "2h")
    (principal,) = sts.issued.added
    assert response.signs(keys=principal.credentials._replace(expires_at=None))
    assert response.parameters["x-oss-security-token"] == principal.credentials.security_token
    assert response.line["status"] == 200
    assert principal.arn.startswith(
        "acs:ram::1000000000000001:assumed-role/links-signer/fc-presign-docs-"
    )
    assert principal.expires_at == int(NOW) + 7200
    expected = {
        "Effect": "Allow",
        "Action": ["oss:GetObject"],
        "Resource": ["acs:oss:*:*:examplebucket/docs/*"],
    }
    assert principal.layers[-1] == (parse_policy({"Version": "1", "Statement": [expected]}),)


def test_twelve_hours_are_possible_and_the_end_of_a_link_is_that_of_its_session(
    sts: LocalSts,
) -> None:
    response = ask_link(sts, "12h", max_expires="12h", expires="12h")
    assert (response.json["expires_in"], response.json["clamped_by"]) == (43_200, None)
    (principal,) = sts.issued.added
    assert principal.expires_at is not None
    assert response.json["expires_at"] == rfc3339(principal.expires_at)


def test_a_refused_request_opens_no_session(sts: LocalSts) -> None:
    loaded = configured(sts, access="authenticated")
    assert ask("/docs/a.txt", config=loaded).status == 401
    assert ask("/nowhere/a.txt", config=loaded).status == 404
    assert sts.calls == []


def test_a_mount_may_have_a_role_of_its_own(sts: LocalSts) -> None:
    other = f"{ROLE}-archive"
    sts.roles[other] = sts.roles[ROLE]._replace(arn=other)
    assert ask("/docs/a.txt", config=configured(sts, role=other)).status == 302
    assert "/links-signer-archive/" in sts.issued.added[0].arn


# --- STS does not answer, or answers something else ---------------------------------------------------------------

Break = Callable[[LocalSts, threading.Event], None]


def answering(response: Callable[[], Response]) -> Break:
    def apply(sts: LocalSts, over: threading.Event) -> None:
        sts.before = lambda action: response()

    return apply


def answering_with(changes: dict[str, Any]) -> Break:
    """A 200 with these members of Credentials instead."""
    return answering(lambda: Response(json.dumps({"Credentials": {**ANSWER, **changes}}), 200))


def refusing(code: str) -> Break:
    def apply(sts: LocalSts, over: threading.Event) -> None:
        def before(action: str) -> None:
            raise StsError(code)

        sts.before = before

    return apply


def slow(sts: LocalSts, over: threading.Event) -> None:
    sts_client.TIMEOUT = TIMEOUT

    def wait(action: str) -> None:
        over.wait(30)

    sts.before = wait


def never_ending(sts: LocalSts, over: threading.Event) -> None:
    sts_client.TIMEOUT = TIMEOUT

    def drip() -> Iterator[bytes]:
        yield b'{"Credentials": {'
        while not over.wait(TIMEOUT / 10):
            yield b" "

    sts.before = lambda action: Response(drip(), 200)


def down(sts: LocalSts, over: threading.Event) -> None:
    sts.close()


BROKEN: dict[str, tuple[Break, str]] = {
    "slow": (slow, "TimeoutError"),
    "a body that never ends": (never_ending, "TimeoutError"),
    "a body that is too long": (answering(lambda: Response(b" " * (1 << 17), 200)), "ValueError"),
    "down": (down, "ConnectionRefusedError"),
    "throttled": (refusing("Throttling.User"), "Throttling.User"),
    # tests/signer/common/test_sts.py has every other answer without a session.
    "an error with a strange code": (
        answering(lambda: Response(json.dumps({"Code": f"x y {SECRET}"}), 400)),
        "status_400",
    ),
    "no session": (answering(lambda: Response("{}", 200)), "incomplete_session"),
    "a token that is too long": (answering_with({"SecurityToken": "x" * 9000}), "token_too_long"),
    "a session of a minute": (answering_with({"Expiration": rfc3339(NOW + 59)}), "ended_session"),
}

with_every_fault = pytest.mark.parametrize(("fault", "reason"), BROKEN.values(), ids=BROKEN)


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set when the test is over; those who wait for it end."""
    monkeypatch.setattr(sts_client, "TIMEOUT", PATIENT)
    event = threading.Event()
    yield event
    event.set()


@with_every_fault
def test_without_a_session_the_response_is_a_503_and_the_log_says_why(
    fault: Break, reason: str, sts: LocalSts, over: threading.Event
) -> None:
    fault(sts, over)
    began = time.monotonic()
    response = ask_link(sts)
    assert time.monotonic() - began < PATIENT
    assert (response.status, response.code) == (503, "credentials_unavailable")
    assert 1 <= int(response.headers["Retry-After"]) <= PATIENT
    assert warnings(response) == [
        {"warning": "session_not_renewed", "mount": "/docs/", "why": reason}
    ]
    assert json.loads(response.printed.splitlines()[-1])["cause"] == f"AssumeRole: {reason}"
    for secret in (*KEYS[:3], SECRET, "links-signer"):
        assert str(secret) not in response.printed + response.body + repr(response.headers)


def test_a_name_that_is_looked_up_for_long_does_not_make_a_call_longer(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*arguments: object) -> None:
        over.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sts_client.TIMEOUT = TIMEOUT
    began = time.monotonic()
    with pytest.raises(StsUnavailable) as raised:
        assume_role(
            "https://sts.cn-hangzhou.aliyuncs.com",
            ROLE,
            "fc-presign-docs-0a1b2c",
            "",
            3600,
            KEYS,
            NOW,
        )
    assert raised.value.reason == "TimeoutError"
    assert time.monotonic() - began < PATIENT


def test_a_call_for_which_no_thread_can_be_started_did_not_succeed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(StsUnavailable):
        assume_role(
            "https://sts.cn-hangzhou.aliyuncs.com",
            ROLE,
            "fc-presign-docs-0a1b2c",
            "",
            3600,
            KEYS,
            NOW,
        )


def test_with_invalid_credentials_of_the_function_no_call_is_made() -> None:
    own = Credentials("STS.EXAMPLE ", "secretEXAMPLE", "token")
    with pytest.raises(StsUnavailable) as raised:
        assume_role("http://127.0.0.1:9", ROLE, "fc-presign-docs-0a1b2c", "", 3600, own, NOW)
    assert (raised.value.reason, raised.value.is_general) == ("no_credentials", False)
