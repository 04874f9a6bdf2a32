"""A new object is notified once, with a link to that object."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import pytest
import requests
from standardwebhooks import Webhook

from handler import events
from handler.core import outbox
from handler.core.cloud.concurrency import THREADS
from handler.core.cloud.oss import REFUSED, UNREACHABLE, OssClient, OssResponse, StoreError
from handler.core.cloud.store import Store
from handler.core.config import Location, Mounts
from handler.core.context import Clock, Instance
from handler.core.errors import HandlerError
from handler.core.outbox import Delivery
from handler.notices.sinks.client import Network
from tests.handler.client import KEYS, context
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    Responder,
    created,
    links,
    notice,
    received_keys,
    receiver,
    record,
    respond,
)
from tests.system import STATE


class TestOneObject:
    def test_a_webhook_receives_it_and_can_verify_it(
        self, wired: EventFunction, hook: Receiver
    ) -> None:
        wired.add_sink("ops", hook)
        wired.toml = notice(["ops"], give="link", expires="30m")
        wired.put("outbox/a.txt", b"the bytes")
        assert wired.invoke(created("outbox/a.txt")).counts() == (1, 1, 1, 0)
        (request,) = hook.received
        payload = Webhook(wired.sinks["ops"]["secret"]).verify(request.body, dict(request.headers))
        assert payload["type"] == "notice.created"
        assert {
            name: payload["data"][name] for name in ("key", "path", "size", "mount", "give")
        } == {
            "key": "outbox/a.txt",
            "path": "/outbox/a.txt",
            "size": 1234,
            "mount": "/outbox/",
            "give": "link",
        }
        assert requests.get(payload["data"]["url"], timeout=10).content == b"the bytes"
        assert request.path == "/hook"
        assert request.headers["webhook-id"] == f"notice_{payload['data']['id']}"

    def test_it_is_written_to_oss_without_keys_or_state(self, function: EventFunction) -> None:
        function.toml = notice(["manifest"])
        config = function.config._replace(keys_document=None, state=None)
        assert function.invoke(created("outbox/a.txt"), config=config).counts() == (1, 1, 1, 0)
        (key,) = function.object_keys(".links/notices/")
        assert key.startswith(".links/notices/2026/03/01/")
        assert key.endswith(".jsonl")
        (line,) = function.manifest_lines()
        assert (line["key"], line["on"], line["size"]) == ("outbox/a.txt", "created", 1234)

    def test_its_key_is_not_decoded(self, wired: EventFunction) -> None:
        wired.toml = notice(["manifest"])
        wired.put("outbox/a 100%+b%20.png", b"the bytes")
        wired.invoke(created("outbox/a 100%+b%20.png"))
        (line,) = wired.manifest_lines()
        assert line["key"] == "outbox/a 100%+b%20.png"
        assert unquote(urlsplit(line["url"]).path) == "/examplebucket/outbox/a 100%+b%20.png"
        assert requests.get(line["url"], timeout=10).content == b"the bytes"

    def test_a_message_shortens_the_link_and_never_lengthens_it(
        self, function: EventFunction
    ) -> None:
        function.toml = notice(["manifest"], on="message", expires="20m")
        for expires in ("5m", "1h"):
            function.invoke(
                json.dumps({"path": "/outbox/a.txt", "expires": expires}).encode(),
                request_id=expires,
            )
        assert sorted(
            line["url"].partition("x-oss-expires=")[2][:4] for line in function.manifest_lines()
        ) == [
            "1200",
            "300&",
        ]

    @pytest.mark.parametrize("ahead", [3600, -3600])
    def test_it_is_signed_at_the_time_of_oss(
        self, notified: EventFunction, hook: Receiver, ahead: float
    ) -> None:
        now = time.time()
        notified.with_clock(
            notified.clock.clock()._replace(now=lambda: time.time() + ahead)
        ).invoke(created())
        (request,) = hook.received
        assert abs(int(request.headers["webhook-timestamp"]) - now) < 3


ELSEWHERE = record("outbox/a.txt")
ELSEWHERE["oss"] = {**ELSEWHERE["oss"], "bucket": {"name": "otherbucket"}}
OTHER = '[[mount]]\npath = "/other/"\ntarget = "oss://examplebucket/exampledir/"\n'
NAMES = ("Removed:DeleteObject", "Created:UploadPart", "Created:PutObject")


class TestWhichObjects:
    @pytest.mark.parametrize(
        ("toml", "event", "sent", "skipped"),
        [
            (
                notice(["manifest"]),
                created(
                    "other/a.txt",
                    "outbox",
                    "outbox/",
                    "outboxes/a.txt",
                    ".links/state/x",
                    "outbox/a.txt",
                ),
                ["outbox/a.txt"],
                5,
            ),
            (notice(["manifest"]), json.dumps({"events": [ELSEWHERE]}).encode(), [], 1),
            (
                notice(["manifest"]) + OTHER.replace("/other/", "/outbox/in/"),
                created("outbox/in/a.txt", "outbox/a.txt"),
                ["outbox/a.txt"],
                1,
            ),
            (
                notice(["manifest"], on="message", mount="/exampledir/"),
                links("/outbox/a.txt", "/exampledir/a.txt", "/nowhere/a.txt", "/exampledir/"),
                ["exampledir/a.txt"],
                3,
            ),
            (
                OTHER + notice(["manifest"], on="message", mount="/other/"),
                links("/exampledir/a.txt", "/other/b.txt"),
                ["exampledir/b.txt"],
                1,
            ),
        ],
        ids=[
            "outside of the mount",
            "another bucket",
            "a longer path",
            "another mount",
            "one of two for a prefix",
        ],
    )
    def test_only_those_of_the_mount_make_a_link(
        self, function: EventFunction, toml: str, event: bytes, sent: list[str], skipped: int
    ) -> None:
        function.toml = toml
        assert function.invoke(event).counts() == (
            len(sent) + skipped,
            len(sent),
            len(sent),
            skipped,
        )
        assert [line["key"] for line in function.manifest_lines()] == sent

    def test_an_object_of_the_service_is_skipped_even_if_a_mount_covers_it(
        self, function: EventFunction
    ) -> None:
        function.toml = notice(["manifest"])
        config = function.config
        everything = config.notices[0].mount._replace(target=Location("examplebucket", ""))
        notices = (config.notices[0]._replace(mount=everything),)
        config = config._replace(
            mounts=Mounts([everything], config.mounts.reserved), notices=notices
        )
        outcome = function.invoke(created(".links/state/a", ".links/notices/b", "c"), config=config)
        assert outcome.counts() == (3, 1, 1, 2)
        assert outcome.summary["reasons"] == {"own_object": 2}

    def test_deletions_and_unknown_events_are_counted(self, function: EventFunction) -> None:
        function.toml = notice(["manifest"])
        records = [record(eventName=f"Object{name}") for name in NAMES]
        outcome = function.invoke(json.dumps({"events": records}).encode())
        assert outcome.counts() == (3, 1, 1, 2)
        assert outcome.summary["reasons"] == {"deletion": 1, "other_event": 1}

    @pytest.mark.parametrize("key", ["outbox/../a", "outbox/a\n.txt", "outbox/" + "a" * 1020])
    def test_a_key_that_no_link_can_carry_is_counted(
        self, function: EventFunction, hook: Receiver, key: str
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["manifest", "ops"]) + notice(["ops"], give="share")
        outcome = function.invoke(created(key, "outbox/b.txt"))
        assert outcome.counts()[0] == 2
        assert {line["key"] for line in function.manifest_lines()} == {"outbox/b.txt"}
        assert {request.json["data"]["key"] for request in hook.received} == {"outbox/b.txt"}
        assert outcome.summary["reasons"] == {"unlinkable": 2}

    def test_a_timer_makes_a_link_for_the_path_in_its_payload_each_time(
        self, function: EventFunction
    ) -> None:
        function.toml = notice(["manifest"], on="timer", mount="/exampledir/")
        tick = {"triggerName": "t", "payload": '{"path": "/exampledir/a.txt"}'}
        for time_ in ("2026-03-01T07:49:00Z", "2026-03-01T07:50:00Z"):
            outcome = function.invoke(json.dumps({**tick, "triggerTime": time_}).encode())
            assert outcome.counts() == (1, 1, 1, 0)


CHECKED = '\n[[mount]]\npath = "/cold/"\ntarget = "oss://examplebucket/cold/"\ncheck = true\n'


class TestOneOfThreeWithoutALink:
    """Of three new objects, OSS answers this to a look at the second."""

    def look_at_second(self, monkeypatch: pytest.MonkeyPatch, answer: OssResponse) -> None:
        head = OssClient.head

        def look(client: OssClient, location: Location, *query: Any) -> OssResponse:
            is_second = location.key == "cold/b.txt"
            return answer if is_second else head(client, location, *query)

        monkeypatch.setattr(OssClient, "head", look)

    @pytest.fixture
    def event(self, function: EventFunction, hook: Receiver) -> bytes:
        keys = [f"cold/{letter}.txt" for letter in "abc"]
        function.add_sink("ops", hook)
        function.toml = CHECKED + notice(["ops", "manifest"], mount="/cold/")
        function.fill(dict.fromkeys(keys, b"content"))
        return created(*keys)

    def test_that_of_an_archived_object_is_a_line_without_url_in_oss(
        self,
        function: EventFunction,
        hook: Receiver,
        event: bytes,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        archived = OssResponse(200, {"x-oss-storage-class": "Archive"}, b"", "")
        self.look_at_second(monkeypatch, archived)
        outcome = function.invoke(event)
        codes = {entry["sink"]: entry["code"] for entry in outcome.summary["failed"]}
        assert codes == {"manifest": "object_archived", "ops": "object_archived"}
        first, second, third = function.manifest_lines()
        assert (second["key"], second["path"]) == ("cold/b.txt", "/cold/b.txt")
        assert (second["url"], second["expires_at"]) == (None, None)
        assert None not in (first["url"], third["url"])
        assert sorted(received_keys(hook)) == ["cold/a.txt", "cold/c.txt"]
        function.invoke(event)
        assert len(function.manifest_lines()) == 3

    def test_while_oss_cannot_be_asked_nothing_is_written_and_the_event_fails(
        self, function: EventFunction, event: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.look_at_second(monkeypatch, OssResponse(503, {}, b"", "ServiceUnavailable"))
        outcome = function.invoke(event)
        assert outcome.error is not None
        assert function.manifest_lines() == []


class TestOnce:
    def test_the_same_event_again_and_a_record_twice_in_it_are_notified_once(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops", "manifest"])
        for number in range(3):
            outcome = function.invoke(
                created("outbox/a.txt", "outbox/a.txt"), request_id=f"r{number}"
            )
            assert outcome.summary["repeated"] == (0 if number == 0 else 2)
        assert (len(hook.received), len(function.manifest_lines())) == (1, 1)

    def test_another_version_of_an_object_is_notified_again(
        self, notified: EventFunction, hook: Receiver
    ) -> None:
        ids = set()
        for etag in ("ETAG1", "ETAG2", "ETAG1"):
            notified.invoke(created(etag=etag))
            ids |= {request.headers["webhook-id"] for request in hook.received}
        assert (len(hook.received), len(ids)) == (2, 2)


class TestFailures:
    def test_if_one_sink_fails_the_others_are_notified_once(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        with receiver(respond(401, b"no")) as broken:
            function.add_sink("ops", hook)
            function.add_sink("bad", broken)
            function.toml = notice(["bad", "ops", "manifest"])
            first = function.invoke(created())
            assert first.error is None
            assert first.summary["failed"] == [{"sink": "bad", "code": "status_401"}]
            assert (first.summary["notices"], first.summary["queued"]) == (2, 1)
            assert (len(hook.received), len(function.manifest_lines())) == (1, 1)
            broken.default = respond(204, b"")
            # The pause of the sink lasts.
            assert function.tick().summary["notices"] == 0
            function.pass_time(60)
            assert function.tick().summary["notices"] == 1
            assert (len(hook.received), len(broken.received)) == (1, 2)
            assert len({request.headers["webhook-id"] for request in broken.received}) == 1

    @pytest.mark.parametrize(
        ("response", "seconds"),
        [
            (respond(503, Retry_After="20"), 30),
            (respond(503, Retry_After="300"), 300),
            (respond(429, Retry_After="99999"), 3600),
        ],
    )
    def test_a_sink_that_is_down_gets_nothing_for_a_while_and_then_all(
        self, notified: EventFunction, hook: Receiver, response: Responder, seconds: int
    ) -> None:
        hook.default = response
        keys = [f"outbox/{number}" for number in range(20)]
        outcome = notified.invoke(created(*keys[:18]))
        assert [entry["sink"] for entry in outcome.summary["failed"]] == ["ops"]
        posts = len(hook.received)
        assert 0 < posts <= THREADS
        for key in keys[18:]:
            notified.pass_time((seconds - 3) / 2)
            assert "failed" not in notified.tick().summary
            assert notified.invoke(created(key)).summary["queued"] == 1
        assert len(hook.received) == posts
        hook.received.clear()
        hook.default = respond()
        notified.pass_time(5)
        notified.tick()
        assert received_keys(hook) == dict.fromkeys(keys, 1)
        assert notified.state_names("pause/") + notified.state_names("dead/") == []

    @pytest.mark.parametrize(
        "damage", [{"failures": 0}, {"failures": True}, {"until": 0.5}, {"until": None}]
    )
    def test_a_pause_that_was_damaged_is_none(
        self, function: EventFunction, damage: dict[str, object]
    ) -> None:
        function.fill(
            {f"{STATE}pause/ops": json.dumps({"until": 1, "failures": 1, **damage}).encode()}
        )
        assert function.queue().pause() is None

    def test_while_marks_are_refused_a_sink_gets_no_more_than_was_under_way(
        self, notified: EventFunction, hook: Receiver
    ) -> None:
        write, keys = Store.replace, [f"outbox/{number}" for number in range(30)]

        def refused(state: Store, name: str, body: bytes, **options: Any) -> None:
            if name.startswith("done/"):
                raise StoreError("PutObject", 403, REFUSED, "AccessDenied")
            write(state, name, body, **options)

        with patch.object(Store, "replace", refused):
            notified.invoke(created(*keys))
            sent = received_keys(hook)
            for _ in range(5):
                notified.pass_time(600)
                assert notified.tick().summary["failed"] == [
                    {"sink": "ops", "code": "state_unavailable"}
                ]
        assert received_keys(hook) == sent
        assert len(sent) <= 2 * THREADS
        notified.pass_time(600)
        notified.tick()
        assert received_keys(hook) == Counter(keys) + sent

    @pytest.mark.parametrize("status", ["Enabled", "Suspended"])
    def test_in_a_versioned_bucket_notices_wait(
        self, wired: EventFunction, hook: Receiver, status: str
    ) -> None:
        wired.add_sink("ops", hook)
        wired.toml = notice(["ops"])
        for each in ("Enabled", status):
            wired.oss.bucket().change(versioning=each)
        outcome = wired.invoke(created())
        assert outcome.summary["failed"] == [{"sink": "ops", "code": "state_bucket_versioned"}]
        assert outcome.summary["queued"] == 1
        assert hook.received == []

    @pytest.mark.parametrize(
        ("sink", "code"),
        [
            ({}, "unknown_sink"),
            (
                {"kind": "webhook", "url": "https://x.example", "secret": "whsec_c2hvcnQ="},
                "invalid_sink",
            ),
        ],
    )
    def test_notices_for_a_missing_or_invalid_sink_wait_until_it_is_repaired(
        self, function: EventFunction, hook: Receiver, sink: dict[str, object], code: str
    ) -> None:
        if sink:
            function.sinks["ops"] = sink
        function.toml = notice(["ops", "manifest"])
        outcome = function.invoke(created())
        assert outcome.summary["failed"] == [{"sink": "ops", "code": code}]
        assert len(function.manifest_lines()) == 1
        function.add_sink("ops", hook)
        function.pass_time(60)
        assert function.tick().summary["notices"] == 1

    @pytest.mark.parametrize(("failures", "posts"), [(2, 1), (3, 2)])
    def test_a_notice_whose_mark_fails_three_times_is_sent_again_once(
        self, notified: EventFunction, hook: Receiver, failures: int, posts: int
    ) -> None:
        write, left = Store.replace, [failures]

        def lost(state: Store, name: str, body: bytes, *, retry: bool = True) -> None:
            if name.startswith("done/") and left[0]:
                left[0] -= 1
                raise StoreError("PutObject", 503, UNREACHABLE, "ServiceUnavailable")
            write(state, name, body, retry=retry)

        with patch.object(Store, "replace", lost):
            outcome = notified.invoke(created())
        assert outcome.error is None
        assert outcome.summary.get("not_marked", 0) == posts - 1
        assert outcome.line.get("cause") == (
            "PutObject: 503 ServiceUnavailable" if posts == 2 else None
        )
        for _ in range(3):
            notified.pass_time(60)
            notified.tick()
        assert len(hook.received) == posts

    def test_what_cannot_be_written_fails_the_invocation_and_no_other_is_tried(
        self, notified: EventFunction
    ) -> None:
        tried: list[str] = []

        def refused(state: object, delivery: Delivery) -> None:
            tried.append(delivery.name)
            raise StoreError("PutObject", 403, REFUSED, "AccessDenied (a missing permission)")

        with patch.object(outbox, "write", refused):
            outcome = notified.invoke(created(*(f"outbox/{number}" for number in range(100))))
        assert outcome.error is not None
        assert outcome.error.code == "state_unavailable"
        assert outcome.line["cause"] == "PutObject: 403 AccessDenied (a missing permission)"
        assert 0 < len(tried) <= THREADS
        assert notified.invoke(created()).counts() == (1, 1, 1, 0)

    @pytest.mark.parametrize(("status", "tries"), [(503, 3), (429, 3), (403, 1)])
    def test_a_sink_in_oss_is_asked_again_where_it_may_help(
        self, function: EventFunction, status: int, tries: int
    ) -> None:
        function.toml = notice(["manifest"])
        with patch.object(
            OssClient, "request", return_value=OssResponse(status, {}, b"", "Refused")
        ) as asked:
            outcome = function.invoke(created())
        assert outcome.error is not None
        assert (outcome.error.code, asked.call_count) == ("Refused", tries)

    def test_missing_credentials_fail_the_invocation(self, function: EventFunction) -> None:
        function.toml = notice(["manifest"])
        config = function.config
        with pytest.raises(HandlerError, match=r"manifest \(no_credentials\)"):
            events.answer(
                created(), context(None), lambda: Instance(config, Clock()), network=Network()
            )


def test_credentials_are_those_of_the_invocation(function: EventFunction) -> None:
    function.toml = notice(["manifest"])
    function.invoke(created())
    assert KEYS.access_key_id in unquote(function.manifest_lines()[0]["url"])
