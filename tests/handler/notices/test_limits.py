"""What keeps one notice, document or request from hurting others."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from unittest.mock import patch

import pytest

from handler.cloud.oss import REFUSED, StoreError
from handler.cloud.store import Store
from handler.keys import current
from handler.notices.outbox import Outbox, Pause
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created,
    notice,
    received_keys,
    respond,
)


@pytest.mark.parametrize("bad", [20, pytest.param(130, marks=pytest.mark.long)])  # more than one step
def test_refused_notices_before_all_others_delay_none_and_die_after_an_hour(
    notified: EventFunction, hook: Receiver, bad: int
) -> None:
    def by_key(request: BaseHTTPRequestHandler) -> None:
        key = json.loads(request.body)["data"]["key"]  # type: ignore[attr-defined]
        respond(422 if "/bad-" in key else 200)(request)

    def write(*keys: str) -> None:
        notified.sinks = {}
        notified.invoke(created(*keys))
        notified.sinks = sinks
        notified.pass_time(60)

    hook.default, sinks = by_key, notified.sinks
    write(*(f"outbox/bad-{number:03}.txt" for number in range(bad)))
    outbox = Outbox(notified.state())
    for entry in outbox.entries("ops"):
        outbox.postpone(entry)
    good = [f"outbox/good-{number:03}.txt" for number in range(80)]
    for number, key in enumerate(good):
        write(key)
        outbox.put_pause("ops", Pause(1, 1, 200))  # the sink was down: one notice is tried alone
        notified.tick()
        told = received_keys(hook)
        assert [told[each] for each in good] == [1] * (number + 1) + [0] * (79 - number)
        if number < 55:
            assert notified.state_names("dead/") == []
    assert len(notified.state_names("dead/")) == bad
    assert notified.state_names("outbox/") == []


def test_what_was_sent_before_takes_no_more_than_the_time_of_the_function(
    notified: EventFunction, hook: Receiver
) -> None:
    notified.toml = notice(["ops"], every="1m")
    notified.invoke(created(*(f"outbox/{number}.txt" for number in range(300))))
    for name in notified.state_names("outbox/"):
        notified.state().replace(f"done/{name[-32:]}", b"")
    read = Store.read

    def slowly(state: Store, name: str) -> object:
        notified.pass_time(0.1)
        return read(state, name)

    with patch.object(Store, "read", slowly):
        started = time.time()
        outcome = notified.tick(timeout=40)
    assert outcome.error is None
    assert time.time() - started < 40
    assert 0 < outcome.summary["repeated"] < 300
    for _ in range(4):
        notified.pass_time(60)
        notified.tick()
    assert notified.state_names("outbox/") == []
    assert hook.received == []


def test_while_marks_fail_one_message_is_sent_and_everything_waits(notified: EventFunction, hook: Receiver) -> None:
    notified.sinks["ops"]["retry_for"] = "1h"
    write = Store.replace

    def refuse(state: Store, name: str, body: bytes, *, retry: bool = True) -> None:
        if name.startswith("done/"):
            raise StoreError("PutObject", 403, REFUSED, "AccessDenied (a missing permission)")
        write(state, name, body, retry=retry)

    with patch.object(Store, "replace", refuse):
        notified.invoke(created("outbox/a.txt"))
        notified.pass_time(60)
        outcome = notified.tick()
        assert outcome.summary["waiting"]["ops"]["notices"] == 1
        assert outcome.summary["failed"] == [{"sink": "ops", "code": "state_unavailable"}]
        for _ in range(70):
            notified.pass_time(60)
            notified.tick()
    assert (len(hook.received), notified.state_names("dead/")) == (1, [])
    notified.tick()
    assert len(hook.received) == 2
    assert notified.state_names("outbox/") == notified.state_names("pause/") == []


def test_a_notice_whose_entry_cannot_be_deleted_was_sent_and_marked(notified: EventFunction, hook: Receiver) -> None:
    def refuse(state: Store, name: str, *, retry: bool = True) -> None:
        raise StoreError("DeleteObject", 403, REFUSED, "AccessDenied (a missing permission)")

    with patch.object(Store, "delete", refuse):
        outcome = notified.invoke(created("outbox/a.txt"))
        assert outcome.summary["notices"] == 1
        assert "not_marked" not in outcome.summary
    notified.pass_time(60)
    notified.tick()
    assert len(hook.received) == 1
    assert notified.state_names("outbox/") == []


def test_an_id_that_is_too_long_is_a_malformed_event(notified: EventFunction) -> None:
    notified.toml = notice(["ops"], on="message", mount="/exampledir/")
    message = {
        "TopicName": "links",
        "MessageId": "M" * 20_000,
        "Message": '{"path": "/exampledir/a.txt"}',
        "PublishTime": 1772347480040,
    }
    outcome = notified.invoke(json.dumps(message).encode())
    assert outcome.error is not None
    assert outcome.error.code == "bad_event"
    assert notified.state_names("outbox/") == []


def test_what_goes_wrong_after_everything_was_written_fails_no_invocation(notified: EventFunction) -> None:
    def breaks(invocation: object) -> object:
        raise RuntimeError("can't start new thread")

    config = notified.config()
    with patch.object(current, "current_keys", breaks):
        outcome = notified.invoke(created("outbox/a.txt"), config=config)
    assert outcome.error is None
    assert outcome.summary["failed"] == [{"sink": "outbox", "code": "internal_error"}]
    assert outcome.summary["queued"] == 1


def test_folders_that_are_no_names_of_sinks_are_left_alone(notified: EventFunction, hook: Receiver) -> None:
    for folder in ("odd name", "x" * 70):
        notified.state().replace(f"outbox/{folder}/entry", b"{}")
    notified.invoke(created("outbox/a.txt"))
    assert list(notified.tick().summary["waiting"]) == []
    assert len(hook.received) == 1


@pytest.mark.parametrize("wrong", [None, "soon", {"until": 9.5}, {"failures": -1}, {"maximum": 0}, {"maximum": True}])
def test_a_pause_that_cannot_be_read_is_none(notified: EventFunction, hook: Receiver, wrong: object) -> None:
    pause = {"until": 4_102_444_800, "failures": 1, "maximum": 1}
    document = {**pause, **wrong} if isinstance(wrong, dict) else wrong
    notified.state().replace("pause/ops", json.dumps(document).encode())
    hook.responses = [respond(429)]
    assert notified.invoke(created()).summary["failed"] == [{"sink": "ops", "code": "status_429"}]
    assert json.loads(notified.read(".links/state/pause/ops"))["failures"] == 1
    notified.pass_time(60)
    assert notified.tick().summary["notices"] == 1


def test_notices_of_a_sink_that_refuses_all_wait_until_retry_for(notified: EventFunction, hook: Receiver) -> None:
    hook.default = respond(422)
    notified.invoke(created("outbox/a.txt", "outbox/b.txt", "outbox/c.txt"))
    for _ in range(20):
        notified.pass_time(900)
        notified.tick()
    assert notified.state_names("dead/") == []
    notified.pass_time(3 * 86_400)
    assert notified.tick().summary["dead"] == [{"sink": "ops", "code": "status_422", "notices": 3}]
    assert notified.state_names("outbox/") == []
