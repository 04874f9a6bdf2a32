"""The event function as Function Compute calls it: a summary in JSON, or a failure that it tries again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import handler
from handler import events, startup
from handler.config import InvalidConfig
from handler.events import InvocationFailed
from tests.handler.client import KEYS, TOKEN, context
from tests.handler.notice_fixtures import EVENTS, Receiver, World, created, events_world, links, notice, receiver, say


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with events_world(tmp_path) as found:
        yield found


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_it_is_an_attribute_of_the_package() -> None:
    assert handler.on_event is events.on_event


def test_it_answers_with_a_summary(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.text = notice(["manifest"])
    rules = world.policy()
    monkeypatch.setattr(startup, "config", lambda: rules)
    summary = handler.on_event(created("outbox/a.txt", "elsewhere/b.txt"), context())
    assert json.loads(json.dumps(summary)) == {
        "items": 2,
        "links": 1,
        "notices": 1,
        "skipped": 1,
        "reasons": {"no_notice": 1},
        "repeated": 0,
        "queued": 0,
    }
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["request_id"], line["code"], line["notices"]) == ("oss", "req-EXAMPLE", None, 1)


@pytest.mark.parametrize("event", [b"", b"null", b"{}", b"[]", b"hello", (EVENTS / "http-get.json").read_bytes()])
def test_an_event_that_nobody_knows_fails_and_names_what_was_seen(world: World, event: bytes) -> None:
    answered = world.run(event)
    assert answered.error is not None
    assert answered.error.code == "bad_event"
    assert len(answered.error.sentence) > 20
    assert answered.line["code"] == "bad_event"


def test_what_is_good_in_an_event_is_told_before_the_rest_fails_it(world: World) -> None:
    world.text = notice(["manifest"])
    document = json.loads(created("outbox/a.txt", "outbox/b.txt"))
    document["events"][0]["oss"]["object"]["key"] = 7
    answered = world.run(json.dumps(document).encode())
    assert answered.error is not None
    assert "record 1: oss.object.key is a number, where a text is needed" in answered.error.sentence
    assert [line["key"] for line in world.written()] == ["outbox/b.txt"]
    assert (answered.line["items"], answered.line["notices"]) == (1, 1)


def test_many_bad_records_are_one_sentence_of_bounded_length(world: World) -> None:
    world.text = notice(["manifest"])
    answered = world.run(json.dumps({"events": [{}] * 1000}).encode())
    assert answered.error is not None
    assert len(answered.error.sentence) < 1500
    assert "995 more entries" in answered.error.sentence


@pytest.mark.parametrize(
    "link",
    [
        {"path": "/outbox/a.txt", "expires": "soon"},
        {"path": "/outbox/a.txt", "download": "a/b"},
        {"path": "/outbox/../a.txt"},
    ],
)
def test_a_wish_that_cannot_be_followed_fails_it(world: World, link: dict[str, str]) -> None:
    world.text = notice(["manifest"], on="message")
    answered = world.run(json.dumps({"links": [link]}).encode())
    assert answered.error is not None
    assert answered.error.code == "bad_event"
    assert world.written() == []


def test_a_policy_that_cannot_be_followed_fails_it_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise InvalidConfig("links.toml: notice 1: on is missing.")

    from handler.notices.sinks.client import Network
    from handler.times import Clock

    with pytest.raises(InvocationFailed, match="notice 1: on is missing"):
        events.answer(created(), context(), broken, network=Network(), clock=Clock())  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out)["code"] == "invalid_policy"


def test_a_fault_of_our_own_fails_it_without_a_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*arguments: object) -> None:
        raise RuntimeError(f"a secret: {TOKEN}")

    monkeypatch.setattr("handler.events.sources.read", fault)
    answered = world.run(created())
    assert answered.error is not None
    assert answered.error.code == "internal_error"
    assert "secret" not in str(answered.error) + answered.printed
    assert answered.line["fault"]["error"] == "RuntimeError"
    assert answered.error.__cause__ is None
    assert answered.error.__context__ is None


def test_a_fault_with_one_sink_is_none_of_the_others(
    world: World, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*arguments: object) -> None:
        raise RuntimeError(f"a secret: {TOKEN}")

    monkeypatch.setattr("handler.notices.sender.objects.write", fault)
    world.sink("ops", hook)
    world.text = notice(["manifest", "ops"])
    answered = world.run(created())
    assert answered.error is not None
    assert answered.error.code == "internal_error"
    assert len(hook.got) == 1
    assert "secret" not in str(answered.error) + answered.printed


@pytest.mark.parametrize("request_id", ["", None])
def test_an_invocation_without_an_id_is_taken_for_another_each_time(world: World, request_id: str | None) -> None:
    world.text = notice(["manifest"], on="message")
    for _ in range(2):
        world.run(links("/outbox/a.txt"), request_id=request_id)  # type: ignore[arg-type]
    assert len(world.written()) == 2


def test_the_retry_of_an_invocation_is_the_same_one(world: World) -> None:
    world.text = notice(["manifest"], on="message")
    for _ in range(2):
        world.run(links("/outbox/a.txt", "/outbox/b.txt"), request_id="req-1")
    assert len(world.written()) == 2


def test_nothing_secret_is_printed_answered_or_raised(world: World, hook: Receiver) -> None:
    with receiver(say(400, b"your secret is EXAMPLE-ECHO")) as broken:
        world.sink("ops", hook)
        world.sink("bad", broken, "dingtalk")
        world.sinks["bad"]["url"] += "?access_token=ACCESS-EXAMPLE"
        world.text = notice(["ops", "bad", "manifest"]) + notice(["ops"], give="share")
        answered = world.run(created("outbox/a.txt"))
        assert answered.error is not None
        seen = json.dumps(answered.summary) + answered.printed + str(answered.error) + repr(answered.error)
        secrets = [
            world.sinks["ops"]["secret"],
            world.sinks["bad"]["secret"],
            "ACCESS-EXAMPLE",
            "EXAMPLE-ECHO",
            KEYS.access_key_secret,
            TOKEN,
            "signature",
            "share=",
            broken.url,
            hook.url,
        ]
        assert [secret for secret in secrets if secret in seen] == []


def test_the_line_of_audit_is_one_line_under_16_kb(world: World) -> None:
    world.text = notice(["manifest"])
    answered = world.run(created(*(f"outbox/{number}" for number in range(300))))
    assert answered.printed.count("\n") == 1
    assert len(answered.printed) < 16 * 1024
    assert answered.line["notices"] == 300


def test_nothing_of_an_invocation_stays_behind(world: World) -> None:
    import gc
    import tracemalloc

    world.text = notice(["manifest"])
    under = world.policy()
    event = created(*(f"outbox/{number}" for number in range(300)))
    for _ in range(2):
        world.run(event, under=under)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        world.run(event, under=under)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000
