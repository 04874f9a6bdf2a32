"""What keeps one notice, document or request from hurting others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.errors import Problem
from handler.keys import cache
from handler.state import State
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created,
    event_function,
    notice,
    received_keys,
    receiver,
    respond,
)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink


@pytest.fixture
def function(tmp_path: Path, hook: Receiver) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        started.add_sink("ops", hook)
        started.toml = notice(["ops"])
        yield started


@pytest.mark.long
def test_refused_notices_before_all_others_do_not_hide_them(function: EventFunction, hook: Receiver) -> None:
    bad = 130  # more than one step
    good = [f"outbox/good-{number:03}.txt" for number in range(40)]

    hook.default = respond(503)
    function.invoke(created(*(f"outbox/bad-{number:03}.txt" for number in range(bad)), *good))
    hook.received.clear()

    def by_key(request: BaseHTTPRequestHandler) -> None:
        key = json.loads(request.body)["data"]["key"]  # type: ignore[attr-defined]
        respond(422 if "/bad-" in key else 200)(request)

    hook.default = by_key
    for _ in range(10):
        function.pass_time(60)
        function.tick()
    told = received_keys(hook)
    assert {key: told[key] for key in good} == dict.fromkeys(good, 1)
    assert len(function.state_names("dead/")) == bad
    assert function.state_names("outbox/") == []


def test_what_was_sent_before_takes_no_more_than_the_time_of_the_function(
    function: EventFunction, hook: Receiver
) -> None:
    function.toml = notice(["ops"], every="1m")
    function.invoke(created(*(f"outbox/{number}.txt" for number in range(300))))
    for name in function.state_names("outbox/"):
        function.state().write(f"done/{name[-32:]}", b"")
    read = State.read

    def slowly(state: State, name: str) -> object:
        function.pass_time(0.1)
        return read(state, name)

    with patch.object(State, "read", slowly):
        started = time.time()
        outcome = function.tick(timeout=40)
    assert outcome.error is None
    assert time.time() - started < 40
    assert 0 < outcome.summary["repeated"] < 300
    for _ in range(4):
        function.pass_time(60)
        function.tick()
    assert function.state_names("outbox/") == []
    assert hook.received == []


def test_marks_that_fail_for_good_end_with_a_dead_notice(function: EventFunction, hook: Receiver) -> None:
    function.sinks["ops"]["retry_for"] = "1h"
    write = State.write

    def refuse(state: State, name: str, body: bytes, *, retry: bool = True) -> None:
        if name.startswith("done/"):
            raise Problem("state_unavailable", cause="PutObject: 403 AccessDenied (a missing permission)")
        write(state, name, body, retry=retry)

    with patch.object(State, "write", refuse):
        function.invoke(created("outbox/a.txt"))
        function.pass_time(60)
        waiting = function.tick().summary["waiting"]
        assert waiting["ops"]["notices"] == 1
        for _ in range(7):
            function.pass_time(600)
            function.tick()
    assert len(function.state_names("dead/")) == 1
    posts = len(hook.received)
    function.pass_time(600)
    function.tick()
    assert len(hook.received) == posts


def test_a_notice_whose_entry_cannot_be_deleted_was_sent_and_marked(function: EventFunction, hook: Receiver) -> None:
    def refuse(state: State, name: str, *, retry: bool = True) -> None:
        raise Problem("state_unavailable", cause="DeleteObject: 403 AccessDenied (a missing permission)")

    with patch.object(State, "delete", refuse):
        outcome = function.invoke(created("outbox/a.txt"))
        assert outcome.summary["notices"] == 1
        assert "not_marked" not in outcome.summary
    function.pass_time(60)
    function.tick()
    assert len(hook.received) == 1
    assert function.state_names("outbox/") == []


def test_an_id_that_is_too_long_is_a_malformed_event(function: EventFunction) -> None:
    function.toml = notice(["ops"], on="message", mount="/exampledir/")
    message = {
        "TopicName": "links",
        "MessageId": "M" * 20_000,
        "Message": '{"path": "/exampledir/a.txt"}',
        "PublishTime": 1772347480040,
    }
    outcome = function.invoke(json.dumps(message).encode())
    assert outcome.error is not None
    assert outcome.error.code == "bad_event"
    assert function.state_names("outbox/") == []


def test_what_goes_wrong_after_everything_was_written_fails_no_invocation(function: EventFunction) -> None:
    def breaks(invocation: object) -> object:
        raise RuntimeError("can't start new thread")

    config = function.config()
    with patch.object(cache, "current_keys", breaks):
        outcome = function.invoke(created("outbox/a.txt"), config=config)
    assert outcome.error is None
    assert outcome.summary["failed"] == [{"sink": "outbox", "code": "internal_error"}]
    assert outcome.summary["queued"] == 1


def test_folders_that_are_no_names_of_sinks_are_left_alone(function: EventFunction, hook: Receiver) -> None:
    for folder in ("odd name", "x" * 70):
        function.state().write(f"outbox/{folder}/entry", b"{}")
    function.invoke(created("outbox/a.txt"))
    assert list(function.tick().summary["waiting"]) == []
    assert len(hook.received) == 1
