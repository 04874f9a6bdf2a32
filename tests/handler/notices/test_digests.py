"""Notices with `every`: gathered, and sent as one digest when a timer comes."""

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
from tests.handler.notice_fixtures import TICK, Receiver, World, created, events_world, notice, receiver, say

STATE = ".links/state/"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with events_world(tmp_path) as found:
        yield found


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def keys_told(hook: Receiver) -> list[list[str]]:
    """The keys in each message."""
    found = []
    for got in hook.got:
        data = got.json["data"]
        found.append([told["key"] for told in data.get("notices", [data])])
    return found


def pass_time(world: World, seconds: float = 90) -> None:
    """The last digest was sent so long ago."""
    store = world.store
    for key in world.keys(f"{STATE}digests/"):
        if key.endswith("/last"):
            body = world.read(key)
            world.ahead = -seconds
            assert store.put(Location("examplebucket", key), body, content_type="application/json").ok
            world.ahead = 0


def test_several_events_become_one_digest(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    world.put("outbox/a.txt", b"a's bytes")
    for key in ("outbox/a.txt", "outbox/b.txt"):
        answered = world.run(created(key, "outbox/c.txt"))
        assert answered.summary["notices"] == 0
    assert hook.got == []
    assert answered.summary["queued"] == 1  # c was there before
    assert world.run(TICK).summary["notices"] == 3
    (got,) = hook.got
    told = Webhook(world.sinks["ops"]["secret"]).verify(got.body, dict(got.headers))
    assert told["type"] == "notice.digest"
    assert keys_told(hook) == [["outbox/a.txt", "outbox/c.txt", "outbox/b.txt"]]
    # The link is made when it is sent, and no link is ever kept in the state.
    assert requests.get(told["data"]["notices"][0]["url"], timeout=10).content == b"a's bytes"
    assert not [key for key in world.keys(STATE) if b"x-oss-signature" in world.read(key)]


def test_nothing_is_sent_where_nothing_waits(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    assert world.run(TICK).counts() == (0, 0, 0, 0)
    assert hook.got == []


def test_the_next_digest_comes_when_it_is_due(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="5m")
    world.run(created("outbox/a.txt"))
    world.run(TICK)
    world.run(created("outbox/b.txt"))
    world.run(TICK)
    pass_time(world, 200)
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"]]
    pass_time(world, 300)
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"], ["outbox/b.txt"]]


def test_an_event_that_comes_again_after_the_digest_waits_for_no_other(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    world.run(created())
    world.run(TICK)
    assert world.run(created()).summary["repeated"] == 1
    pass_time(world)
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"]]


def test_each_sink_and_each_rule_has_its_own(world: World, hook: Receiver) -> None:
    with receiver(say(500)) as broken:
        world.sink("ops", hook)
        world.sink("bad", broken)
        world.text = notice(["bad", "ops"], every="1m") + notice(["ops"], every="2m", give="share")
        world.run(created())
        failed = world.run(TICK)
        assert failed.error is not None
        assert failed.error.code == "status_500"
        assert sorted(got.json["data"]["give"] for got in hook.got) == ["link", "share"]
        broken.last = say(200)
        broken.got.clear()
        assert world.run(TICK).summary["notices"] == 1
        assert (len(hook.got), len(broken.got)) == (2, 1)


def test_timers_at_once_send_one_digest(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    world.run(created(*(f"outbox/{number}" for number in range(5))))
    under = world.policy()
    found: list[Any] = []
    gate = threading.Barrier(4)

    def tick() -> None:
        gate.wait(20)
        found.append(world.run(TICK, under=under))

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answered.error for answered in found] == [None] * 4
    assert keys_told(hook) == [[f"outbox/{number}" for number in range(5)]]


def test_events_at_once_lose_nothing_and_repeat_nothing(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    under = world.policy()
    gate = threading.Barrier(6)
    found: list[Any] = []

    def land(number: int) -> None:
        gate.wait(20)
        found.append(world.run(created(f"outbox/{number}", f"outbox/{number % 3}-shared"), under=under))

    threads = [threading.Thread(target=land, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answered.error for answered in found] == [None] * 6
    world.run(TICK, under=under)
    (keys,) = keys_told(hook)
    assert sorted(keys) == sorted([*(f"outbox/{n}" for n in range(6)), *(f"outbox/{n}-shared" for n in range(3))])


def test_a_digest_that_was_cut_off_comes_again_whole_and_under_its_id(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    world.run(created("outbox/a.txt"))
    kept = State(world.store, Location("examplebucket", STATE))
    (tail,) = (key for key in world.keys(f"{STATE}digests/") if key.endswith("/tail"))
    stream = tail.split("/")[-2]
    # The first instance claims, and is gone.
    digest = digests.take(kept, stream, 60, "gone", Clock())
    assert digest is not None
    world.run(created("outbox/b.txt"))
    assert world.run(TICK).summary["notices"] == 0
    name = f"digests/{stream}/sent/1/1"
    body = world.read(STATE + name)
    world.ahead = -62
    kept.write(name, body)
    world.ahead = 0
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"]]
    pass_time(world)
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"], ["outbox/b.txt"]]
    assert len({got.headers["webhook-id"] for got in hook.got}) == 2


def test_a_digest_in_several_messages_goes_on_where_it_failed(world: World) -> None:
    with receiver() as robot:
        ok = json.dumps({"errcode": 0}).encode()
        robot.last = say(200, ok)
        robot.answers = [say(200, ok), say(200, json.dumps({"errcode": 45009}).encode())]
        world.sink("chat", robot, "wecom")
        world.text = notice(["chat"], every="1m", give="share")
        names = [f"{number:02}.txt" for number in range(60)]
        world.run(created(*(f"outbox/{name}" for name in names)))
        failed = world.run(TICK)
        assert failed.error is not None
        assert failed.error.code == "45009"
        world.run(TICK)
        texts = [got.json["markdown"]["content"] for got in robot.got]
        assert files(texts[1]) == files(texts[2])
        told = [name for text in (texts[0], *texts[2:]) for name in names if f"{name} (" in text]
        assert told == names
        assert all(len(text.encode()) <= 4096 for text in texts)


def files(text: str) -> list[str]:
    """What a message names; the share of a file may have been made in another second."""
    return [line.split(" (")[0] for line in text.splitlines()]


def test_hints_that_are_gone_or_wrong_are_not_needed(world: World, hook: Receiver) -> None:
    world.sink("ops", hook)
    world.text = notice(["ops"], every="1m")
    world.run(created("outbox/a.txt"))
    world.run(TICK)
    world.run(created("outbox/b.txt"))
    for key in world.keys(f"{STATE}digests/"):
        if key.endswith(("/last", "/tail")):
            assert world.store.put(Location("examplebucket", key), b"no JSON", content_type="text/plain").ok
    pass_time(world)
    world.run(created("outbox/c.txt"))
    world.run(TICK)
    assert keys_told(hook) == [["outbox/a.txt"], ["outbox/b.txt", "outbox/c.txt"]]
