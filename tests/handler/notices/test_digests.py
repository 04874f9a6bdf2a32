"""Notices with `every`: queued, and sent as one digest when a timer fires."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from handler.config import Location
from handler.notices import digests
from handler.state import State
from handler.times import Clock
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Receiver,
    created,
    event_function,
    notice,
    receiver,
    respond,
)

STATE = ".links/state/"


@pytest.fixture
def function(tmp_path: Path) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        yield started


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink


def received_keys(hook: Receiver) -> list[list[str]]:
    """The keys in each message."""
    messages = [request.json["data"] for request in hook.received]
    return [[entry["key"] for entry in data.get("notices", [data])] for data in messages]


def pass_time(function: EventFunction, seconds: float = 90) -> None:
    """Makes the last digest so old."""
    for key in function.object_keys(f"{STATE}digests/"):
        if key.endswith("/last"):
            body = function.read(key)
            function.oss_ahead = -seconds
            assert function.client.put(Location("examplebucket", key), body, content_type="application/json").ok
            function.oss_ahead = 0


def test_several_events_become_one_digest(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    function.put("outbox/a.txt", b"a's bytes")
    for key in ("outbox/a.txt", "outbox/b.txt"):
        outcome = function.invoke(created(key, "outbox/c.txt"))
        assert outcome.summary["notices"] == 0
    assert hook.received == []
    assert outcome.summary["queued"] == 1  # c was queued by the first event
    assert function.invoke(TIMER_EVENT).summary["notices"] == 3
    (request,) = hook.received
    payload = Webhook(function.sinks["ops"]["secret"]).verify(request.body, dict(request.headers))
    assert payload["type"] == "notice.digest"
    assert received_keys(hook) == [["outbox/a.txt", "outbox/c.txt", "outbox/b.txt"]]
    # The link is made when the digest is sent; the state never contains a link.
    assert requests.get(payload["data"]["notices"][0]["url"], timeout=10).content == b"a's bytes"
    assert not [key for key in function.object_keys(STATE) if b"x-oss-signature" in function.read(key)]


def test_nothing_is_sent_if_nothing_is_queued(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    assert function.invoke(TIMER_EVENT).counts() == (0, 0, 0, 0)
    assert hook.received == []


def test_the_next_digest_is_sent_when_it_is_due(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="5m")
    function.invoke(created("outbox/a.txt"))
    function.invoke(TIMER_EVENT)
    function.invoke(created("outbox/b.txt"))
    function.invoke(TIMER_EVENT)
    pass_time(function, 200)
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"]]
    pass_time(function, 300)
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"], ["outbox/b.txt"]]


def test_an_event_that_is_repeated_after_its_digest_is_not_queued_again(
    function: EventFunction, hook: Receiver
) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    function.invoke(created())
    function.invoke(TIMER_EVENT)
    assert function.invoke(created()).summary["repeated"] == 1
    pass_time(function)
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"]]


def test_each_sink_and_each_rule_has_its_own_digest(function: EventFunction, hook: Receiver) -> None:
    with receiver(respond(500)) as broken:
        function.add_sink("ops", hook)
        function.add_sink("bad", broken)
        function.toml = notice(["bad", "ops"], every="1m") + notice(["ops"], every="2m", give="share")
        function.invoke(created())
        failed = function.invoke(TIMER_EVENT)
        assert failed.error is not None
        assert failed.error.code == "status_500"
        assert sorted(request.json["data"]["give"] for request in hook.received) == ["link", "share"]
        broken.default = respond(200)
        broken.received.clear()
        assert function.invoke(TIMER_EVENT).summary["notices"] == 1
        assert (len(hook.received), len(broken.received)) == (2, 1)


def test_concurrent_timers_send_one_digest(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    function.invoke(created(*(f"outbox/{number}" for number in range(5))))
    config = function.config()
    outcomes: list[Any] = []
    gate = threading.Barrier(4)

    def tick() -> None:
        gate.wait(20)
        outcomes.append(function.invoke(TIMER_EVENT, config=config))

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert received_keys(hook) == [[f"outbox/{number}" for number in range(5)]]


def test_concurrent_events_lose_nothing_and_repeat_nothing(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    config = function.config()
    gate = threading.Barrier(6)
    outcomes: list[Any] = []

    def land(number: int) -> None:
        gate.wait(20)
        outcomes.append(function.invoke(created(f"outbox/{number}", f"outbox/{number % 3}-shared"), config=config))

    threads = [threading.Thread(target=land, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    function.invoke(TIMER_EVENT, config=config)
    (keys,) = received_keys(hook)
    assert sorted(keys) == sorted([*(f"outbox/{n}" for n in range(6)), *(f"outbox/{n}-shared" for n in range(3))])


def test_an_interrupted_digest_is_sent_again_complete_and_with_the_same_id(
    function: EventFunction, hook: Receiver
) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    function.invoke(created("outbox/a.txt"))
    state = State(function.client, Location("examplebucket", STATE))
    (tail,) = (key for key in function.object_keys(f"{STATE}digests/") if key.endswith("/tail"))
    stream = tail.split("/")[-2]
    # The first instance acquires the lease and stops.
    digest = digests.acquire(state, stream, 60, "gone", Clock())
    assert digest is not None
    function.invoke(created("outbox/b.txt"))
    assert function.invoke(TIMER_EVENT).summary["notices"] == 0
    name = f"digests/{stream}/sent/1/1"
    body = function.read(STATE + name)
    function.oss_ahead = -62
    state.write(name, body)
    function.oss_ahead = 0
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"]]
    pass_time(function)
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"], ["outbox/b.txt"]]
    assert len({request.headers["webhook-id"] for request in hook.received}) == 2


def test_a_digest_in_several_messages_continues_where_it_failed(function: EventFunction) -> None:
    with receiver() as robot:
        ok = json.dumps({"errcode": 0}).encode()
        robot.default = respond(200, ok)
        robot.responses = [respond(200, ok), respond(200, json.dumps({"errcode": 45009}).encode())]
        function.add_sink("chat", robot, "wecom")
        function.toml = notice(["chat"], every="1m", give="share")
        names = [f"{number:02}.txt" for number in range(60)]
        function.invoke(created(*(f"outbox/{name}" for name in names)))
        failed = function.invoke(TIMER_EVENT)
        assert failed.error is not None
        assert failed.error.code == "45009"
        function.invoke(TIMER_EVENT)
        texts = [request.json["markdown"]["content"] for request in robot.received]
        assert files(texts[1]) == files(texts[2])
        delivered = [name for text in (texts[0], *texts[2:]) for name in names if f"{name} (" in text]
        assert delivered == names
        assert all(len(text.encode()) <= 4096 for text in texts)


def files(text: str) -> list[str]:
    """The names in a message; the shares of a retry may be from another second."""
    return [line.split(" (")[0] for line in text.splitlines()]


def test_missing_or_invalid_hints_are_not_needed(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m")
    function.invoke(created("outbox/a.txt"))
    function.invoke(TIMER_EVENT)
    function.invoke(created("outbox/b.txt"))
    for key in function.object_keys(f"{STATE}digests/"):
        if key.endswith(("/last", "/tail")):
            assert function.client.put(Location("examplebucket", key), b"no JSON", content_type="text/plain").ok
    pass_time(function)
    function.invoke(created("outbox/c.txt"))
    function.invoke(TIMER_EVENT)
    assert received_keys(hook) == [["outbox/a.txt"], ["outbox/b.txt", "outbox/c.txt"]]
