"""An object lands, and people are told: once, and of the right object."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import requests
from standardwebhooks import Webhook

from handler.config import Location
from handler.notices import leases
from handler.notices.leases import Lease
from handler.state import State
from handler.times import Clock
from tests.handler.client import KEYS, context, event, invoke
from tests.handler.notice_fixtures import (
    EVENTS,
    Receiver,
    World,
    created,
    events_world,
    links,
    notice,
    receiver,
    record,
    say,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with events_world(tmp_path) as found:
        yield found


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def kept(world: World) -> State:
    return State(world.store, Location("examplebucket", ".links/state/"))


class TestOneObject:
    def test_it_is_told_to_a_webhook_that_can_verify_it(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"], give="link", expires="30m")
        world.put("outbox/a.txt", b"the bytes")
        assert world.run(created("outbox/a.txt")).counts() == (1, 1, 1, 0)
        (got,) = hook.got
        told = Webhook(world.sinks["ops"]["secret"]).verify(got.body, dict(got.headers))
        assert told["type"] == "notice.created"
        assert {name: told["data"][name] for name in ("key", "path", "size", "mount", "give")} == {
            "key": "outbox/a.txt",
            "path": "/outbox/a.txt",
            "size": 1234,
            "mount": "/outbox/",
            "give": "link",
        }
        assert requests.get(told["data"]["url"], timeout=10).content == b"the bytes"
        assert got.path == "/hook"
        assert got.headers["webhook-id"] == f"notice_{told['data']['id']}"

    def test_a_share_opens_through_the_service(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"], give="share", expires="7d")
        world.put("outbox/报告 1.txt")
        assert world.run(created("outbox/报告 1.txt")).counts() == (1, 1, 1, 0)
        url = hook.got[0].json["data"]["url"]
        assert url.startswith("https://links.example.com/outbox/%E6%8A%A5%E5%91%8A%201.txt?share=")
        parts = urlsplit(url)
        share = parts.query.removeprefix("share=")
        opened = invoke(
            json.dumps(event(parts.path, query={"share": share})),
            under=world.policy(),
            now=time.time(),
        )
        assert opened.status == 302, opened
        assert requests.get(opened.headers["Location"], timeout=10).content == b"content"

    def test_it_is_written_to_oss_without_keys_or_state(self, world: World) -> None:
        world.text = notice(["manifest"])
        under = world.policy()._replace(keys=None, state=None)
        assert world.run(created("outbox/a.txt"), under=under).counts() == (1, 1, 1, 0)
        (key,) = world.keys(".links/notices/")
        assert key.startswith(".links/notices/2026/03/01/")
        assert key.endswith(".jsonl")
        (line,) = world.written()
        assert (line["key"], line["on"], line["size"]) == ("outbox/a.txt", "created", 1234)

    def test_its_key_is_taken_as_it_is(self, world: World) -> None:
        world.text = notice(["manifest"])
        world.put("outbox/a 100%+b%20.png", b"odd")
        world.run(created("outbox/a 100%+b%20.png"))
        (line,) = world.written()
        assert line["key"] == "outbox/a 100%+b%20.png"
        assert unquote(urlsplit(line["url"]).path) == "/examplebucket/outbox/a 100%+b%20.png"
        assert requests.get(line["url"], timeout=10).content == b"odd"

    def test_the_link_ends_when_the_notice_says(self, world: World) -> None:
        world.text = notice(["manifest"], expires="20m")
        world.run(created())
        assert "x-oss-expires=1200" in world.written()[0]["url"]

    def test_a_message_shortens_the_link_and_never_lengthens_it(self, world: World) -> None:
        world.text = notice(["manifest"], on="message", expires="20m")
        for expires in ("5m", "1h"):
            world.run(json.dumps({"path": "/outbox/a.txt", "expires": expires}).encode(), request_id=expires)
        assert sorted(line["url"].partition("x-oss-expires=")[2][:4] for line in world.written()) == ["1200", "300&"]


class TestOnlyWhatIsMeant:
    @pytest.mark.parametrize(
        "key",
        ["other/a.txt", "outbox", "outbox/", "outboxes/a.txt", ".links/state/x", ".links/notices/x.jsonl", "a.txt"],
    )
    def test_an_object_outside_of_the_mount_makes_no_link(self, world: World, key: str) -> None:
        world.text = notice(["manifest"])
        assert world.run(created(key)).counts() == (1, 0, 0, 1)
        assert world.keys(".links/notices/") == []

    def test_an_object_of_another_bucket_makes_no_link(self, world: World) -> None:
        world.text = notice(["manifest"])
        found = record("outbox/a.txt")
        found["oss"]["bucket"]["name"] = "otherbucket"
        assert world.run(json.dumps({"events": [found]}).encode()).counts() == (1, 0, 0, 1)

    def test_an_object_that_a_longer_mount_takes_makes_no_link(self, world: World) -> None:
        world.text = notice(["manifest"]) + '[[mount]]\npath = "/outbox/in/"\ntarget = "oss://examplebucket/in/"\n'
        answered = world.run(created("outbox/in/a.txt", "outbox/a.txt"))
        assert answered.counts() == (2, 1, 1, 1)
        assert [line["key"] for line in world.written()] == ["outbox/a.txt"]

    def test_an_own_object_is_skipped_even_where_a_mount_would_cover_it(self, world: World) -> None:
        world.text = notice(["manifest"])
        rules = world.policy()
        everything = rules.notices[0].mount._replace(target=Location("examplebucket", ""))
        under = rules._replace(mounts=(everything,), notices=(rules.notices[0]._replace(mount=everything),))
        answered = world.run(created(".links/state/a", ".links/notices/b", "c"), under=under)
        assert answered.counts() == (3, 1, 1, 2)
        assert answered.summary["reasons"] == {"own_object": 2}

    def test_deletions_and_unknown_events_are_counted(self, world: World) -> None:
        world.text = notice(["manifest"])
        names = [
            "ObjectRemoved:DeleteObject",
            "ObjectCreated:UploadPart",
            "ObjectReplication:X",
            "ObjectCreated:PutObject",
        ]
        records = [record(eventName=name) for name in names]
        answered = world.run(json.dumps({"events": records}).encode())
        assert answered.counts() == (4, 1, 1, 3)
        assert answered.summary["reasons"] == {"deletion": 1, "other_event": 2}

    @pytest.mark.parametrize(
        "key", ["outbox//a", "outbox/../a", "outbox/a\n.txt", "outbox/\x7f", "outbox/" + "a" * 1020]
    )
    def test_a_key_that_no_link_can_carry_is_counted(self, world: World, hook: Receiver, key: str) -> None:
        world.sink("ops", hook)
        world.text = notice(["manifest", "ops"]) + notice(["ops"], give="share")
        answered = world.run(created(key, "outbox/b.txt"))
        assert answered.counts()[0] == 2
        assert {line["key"] for line in world.written()} == {"outbox/b.txt"}
        assert {got.json["data"]["key"] for got in hook.got} == {"outbox/b.txt"}
        assert answered.summary["reasons"] == {"unlinkable": 2}

    def test_a_message_for_a_path_of_another_mount_makes_no_link(self, world: World) -> None:
        world.text = notice(["manifest"], on="message", mount="/exampledir/")
        event = links("/outbox/a.txt", "/exampledir/a.txt", "/nowhere/a.txt", "/exampledir/")
        assert world.run(event).counts() == (4, 1, 1, 3)
        assert [line["path"] for line in world.written()] == ["/exampledir/a.txt"]

    @pytest.mark.parametrize("name", ["mns-topic", "mns-queue", "kafka", "rocketmq"])
    def test_each_message_source_is_told_of_once(self, world: World, name: str) -> None:
        world.text = notice(["manifest"], on="message", mount="/exampledir/")
        event = (EVENTS / f"{name}.json").read_bytes()
        assert world.run(event, request_id="one").counts() == (1, 1, 1, 0)
        assert world.run(event, request_id="two").summary["repeated"] == 1
        assert [line["path"] for line in world.written()] == ["/exampledir/exampleobject.txt"]

    def test_a_timer_tells_of_the_path_in_its_payload(self, world: World) -> None:
        world.text = notice(["manifest"], on="timer", mount="/exampledir/")
        tick = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": '{"path": "/exampledir/a.txt"}'}
        assert world.run(json.dumps(tick).encode()).counts() == (1, 1, 1, 0)
        assert world.run(json.dumps({**tick, "triggerTime": "2026-03-01T07:50:00Z"}).encode()).counts() == (1, 1, 1, 0)


class TestOnce:
    def test_the_same_event_ten_times_is_told_once(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops", "manifest"])
        for number in range(10):
            answered = world.run(created(), request_id=f"r{number}")
            assert answered.summary["repeated"] == (0 if number == 0 else 2)
        assert (len(hook.got), len(world.written())) == (1, 1)

    def test_a_record_twice_in_one_event_is_told_once(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops", "manifest"])
        assert world.run(created("outbox/a.txt", "outbox/a.txt")).counts() == (2, 1, 2, 0)
        assert (len(hook.got), len(world.written())) == (1, 1)

    def test_two_events_that_share_a_record_tell_of_it_once(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook, "slack")
        world.text = notice(["ops"])
        world.run(created("outbox/a.txt", "outbox/b.txt"))
        world.run(created("outbox/b.txt", "outbox/c.txt"))
        texts = [got.body.decode() for got in hook.got]
        assert ["b.txt" in text for text in texts] == [True, False]

    def test_another_version_of_an_object_is_told_again(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        ids = set()
        for etag in ("ETAG1", "ETAG2", "ETAG1"):
            world.run(created(etag=etag))
            ids |= {got.headers["webhook-id"] for got in hook.got}
        assert (len(hook.got), len(ids)) == (2, 2)

    def test_two_instances_at_once_tell_it_once(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        under = world.policy()
        found = []
        # The receiver keeps the first until all others wait for its lease.
        waiting = threading.Semaphore(0)

        def slow(request: object) -> None:
            for _ in range(3):
                assert waiting.acquire(timeout=20)
            say()(request)  # type: ignore[arg-type]

        hook.last = slow

        def patient() -> Clock:
            base = Clock()

            def sleep(seconds: float) -> None:
                waiting.release()
                base.sleep(0.02)

            return base._replace(sleep=sleep)

        threads = [
            threading.Thread(target=lambda: found.append(world.run(created(), under=under, clock=patient())))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [answered.error for answered in found] == [None] * 4
        assert sorted(answered.summary["notices"] for answered in found) == [0, 0, 0, 1]
        assert len(hook.got) == 1

    def test_who_was_cut_off_is_followed_after_a_minute_under_the_same_id(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        under = world.policy()
        world.run(created(), under=under)
        (key,) = (key for key in world.keys(".links/state/notices/"))
        name = key.removeprefix(".links/state/")
        # As it was while the first was sending, a moment ago and a minute ago.
        kept(world).write(name, b"sending somebody\n")
        early = world.run(created(), under=under, timeout=20)
        assert early.error is not None
        assert early.error.code == "notice_in_flight"
        assert len(hook.got) == 1
        world.ahead = -62
        kept(world).write(name, b"sending somebody\n")
        world.ahead = 0
        assert world.run(created(), under=under).counts() == (1, 1, 1, 0)
        assert len({got.headers["webhook-id"] for got in hook.got}) == 1
        assert len(hook.got) == 2
        assert world.run(created(), under=under).summary["repeated"] == 1
        assert len(hook.got) == 2

    def test_an_event_that_comes_again_another_day_finds_its_object(self, world: World) -> None:
        world.text = notice(["manifest"])
        world.run(created())
        (key,) = world.keys(".links/notices/")
        assert "/2026/03/01/" in key  # the record's own day, not today's
        assert world.run(created()).summary["repeated"] == 1


class TestRobots:
    def robot(self, world: World, hook: Receiver, kind: str = "wecom", **more: str) -> list[str]:
        hook.last = say(200, b'{"errcode": 0, "code": 0}')
        world.sink("chat", hook, kind)
        world.text = notice(["chat"], give="share", **more)
        return [f"outbox/{number:02}.txt" for number in range(60)]

    def test_many_objects_in_one_event_are_one_message(self, world: World, hook: Receiver) -> None:
        keys = self.robot(world, hook, "dingtalk")
        assert world.run(created(*keys)).counts() == (60, 60, 60, 0)
        (got,) = hook.got
        text = got.json["markdown"]["text"]
        assert [f"{number:02}.txt" in text for number in range(60)] == [True] * 60
        assert "60 new files" in text

    @pytest.mark.parametrize(("kind", "pace"), [("wecom", 3.0), ("feishu", 0.6)])
    def test_several_messages_come_at_the_services_pace(
        self, world: World, hook: Receiver, kind: str, pace: float
    ) -> None:
        keys = self.robot(world, hook, kind)
        assert world.run(created(*keys)).summary["notices"] == 60
        assert len(world.times.paused) == len(hook.got) - 1 > 0
        assert all(pace - 0.5 < pause <= pace for pause in world.times.paused)

    def test_what_there_is_no_time_for_is_told_by_the_next_try(self, world: World, hook: Receiver) -> None:
        keys = self.robot(world, hook)
        short = world.run(created(*keys), timeout=8)
        assert short.error is not None
        assert short.error.code == "out_of_time"
        first = len(hook.got)
        assert world.run(created(*keys)).error is None
        texts = "\n".join(got.json["markdown"]["content"] for got in hook.got)
        assert 0 < first < len(hook.got)
        assert [texts.count(f"\n{number:02}.txt (") for number in range(60)] == [1] * 60

    def test_what_was_told_is_left_out_of_the_next_message(self, world: World, hook: Receiver) -> None:
        keys = self.robot(world, hook, "feishu")
        world.run(created(*keys[:3]))
        assert world.run(created(*keys[1:5])).summary["repeated"] == 2
        told = [[element["text"]["content"][:6] for element in got.json["card"]["elements"]] for got in hook.got]
        assert told == [["00.txt", "01.txt", "02.txt"], ["03.txt", "04.txt"]]

    def test_nothing_is_waited_for_where_all_was_told(self, world: World, hook: Receiver) -> None:
        keys = self.robot(world, hook)
        world.run(created(*keys))
        world.times.paused.clear()
        assert world.run(created(*keys)).summary["repeated"] == 60
        assert world.times.paused == []


class TestFailures:
    def test_one_sink_fails_the_others_are_told_and_not_told_again(self, world: World, hook: Receiver) -> None:
        with receiver(say(400, b"no")) as broken:
            world.sink("ops", hook)
            world.sink("bad", broken)
            world.text = notice(["bad", "ops", "manifest"])
            first = world.run(created())
            assert first.error is not None
            assert first.error.code == "status_400"
            assert "bad (status_400)" in first.error.sentence
            assert (len(hook.got), len(world.written())) == (1, 1)
            broken.last = say(204, b"")
            # Nothing is waited for: the attempt that failed was marked so.
            second = world.run(created())
            assert second.counts() == (1, 1, 1, 0)
            assert second.summary["repeated"] == 2
            assert (len(hook.got), len(broken.got)) == (1, 2)
            assert len({got.headers["webhook-id"] for got in broken.got}) == 1

    def test_a_message_that_a_webhook_refuses_holds_up_no_other(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])

        def picky(request: object) -> None:
            say(422 if hook.got[-1].json["data"]["key"] == "outbox/b.txt" else 200)(request)  # type: ignore[arg-type]

        hook.last = picky
        for key in ("outbox/a.txt", "outbox/b.txt", "outbox/c.txt"):
            world.run(created(key))
        failed = world.run(created("outbox/b.txt"))
        assert failed.error is not None
        assert failed.error.code == "status_422"
        told = {got.json["data"]["key"] for got in hook.got}
        assert told == {"outbox/a.txt", "outbox/b.txt", "outbox/c.txt"}

    def test_a_sink_that_is_gone_is_not_asked_for_each_object(self, world: World, hook: Receiver) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        hook.last = say(410)
        answered = world.run(created(*(f"outbox/{number}" for number in range(60))))
        assert answered.error is not None
        assert answered.error.code == "status_410"
        assert len(hook.got) <= 16
        hook.last = say()
        assert world.run(created(*(f"outbox/{number}" for number in range(60)))).summary["notices"] == 60

    @pytest.mark.parametrize("status", ["Enabled", "Suspended"])
    def test_a_versioned_state_bucket_refuses_notices(self, world: World, hook: Receiver, status: str) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])
        world.keep_versions("Enabled")
        world.keep_versions(status)
        answered = world.run(created())
        assert answered.error is not None
        assert answered.error.code == "state_bucket_versioned"
        assert hook.got == []

    @pytest.mark.parametrize(
        ("sink", "code"),
        [
            ({}, "unknown_sink"),
            ({"kind": "pager", "url": "https://x.example"}, "invalid_sink"),
            ({"kind": "webhook", "url": "https://x.example", "secret": "whsec_c2hvcnQ="}, "invalid_sink"),
        ],
    )
    def test_a_sink_that_is_not_there_or_not_good_fails_the_invocation(
        self, world: World, sink: dict[str, object], code: str
    ) -> None:
        if sink:
            world.sinks["ops"] = sink
        world.text = notice(["ops", "manifest"])
        answered = world.run(created())
        assert answered.error is not None
        assert answered.error.code == code
        assert len(world.written()) == 1

    def test_an_attempt_whose_mark_is_lost_is_not_sent_again_at_once(
        self, world: World, hook: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.sink("ops", hook)
        world.text = notice(["ops"])

        def lost(kept: State, lease: Lease) -> bool:
            return False

        monkeypatch.setattr(leases, "finish", lost)
        answered = world.run(created())
        assert answered.error is None
        assert answered.summary["not_marked"] == 1

    def test_credentials_that_are_missing_fail_it_all(self, world: World) -> None:
        world.text = notice(["manifest"])
        from handler import events
        from handler.errors import HandlerError
        from handler.notices.sinks.client import Network

        under = world.policy()
        with pytest.raises(HandlerError, match=r"manifest \(no_credentials\)"):
            events.answer(created(), context(None), lambda: under, network=Network(), clock=Clock())


def test_a_claim_of_ours_is_found_again_after_a_lost_answer(world: World) -> None:
    held = kept(world)
    first = leases.take(held, "notices/x", "nonce", Clock(), 0)
    again = leases.take(held, "notices/x", "nonce", Clock(), 0)
    assert first == again == Lease("notices/x", 1, b"")
    assert leases.finish(held, Lease("notices/x", 1, b""))
    assert isinstance(leases.take(held, "notices/x", "other", Clock(), 0), leases.Done)


def test_credentials_are_those_of_the_invocation(world: World) -> None:
    world.text = notice(["manifest"])
    world.run(created())
    assert KEYS.access_key_id in unquote(world.written()[0]["url"])
