"""A failure is remembered where it happened: a sink or a notice that fails keeps no other waiting, and costs little."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from handler.core.cloud.oss import UNREACHABLE, OssClient, OssResponse, OssUnavailable, StoreError
from handler.core.cloud.store import Store
from handler.core.config import Location
from handler.notices import timing
from handler.notices.sinks import Post
from handler.notices.sinks.client import NoResponse, WebhookResponse
from handler.notices.timing import TRY
from tests.handler.notice_fixtures import STATE, TIMER_EVENT, notice, record
from tests.handler.simulation import (
    HOUR,
    MINUTE,
    Inbox,
    Simulation,
    Trouble,
    answers,
    fails,
    files_in,
    hangs,
    refuses,
    simulation,
    use_pages_of,
)
from tests.virtual_time import Process

IDLE_TICK = 2  # requests to OSS
FAR = '\n[[mount]]\npath = "/far/"\ntarget = "oss://examplebucket/far/"\ncheck = true\n'


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Simulation]:
    with simulation(tmp_path) as started:
        started.toml = notice(["ops"], give="share")
        yield started


def dead(function: Simulation) -> list[str]:
    return function.state_names("dead/")


class TestReceivers:
    def test_a_digest_reaches_a_receiver_that_takes_six_seconds_for_each_notice(self, function: Simulation) -> None:
        function.toml = notice(["ops"], every="1m")
        inbox = function.inbox("ops", "webhook")

        def slowly(inbox: Inbox, post: Post) -> None:
            taken = 6.0 * len(files_in(post.body))
            function.pass_time(min(taken, TRY))
            if taken > TRY:
                raise NoResponse("too_slow")

        inbox.trouble = slowly
        config = function.config()
        function.succeed(function.upload(30), config)
        function.pass_minutes(40, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded
        assert dead(function) == []

    def test_a_healthy_sink_is_notified_while_three_others_hang(self, function: Simulation) -> None:
        names = ["a", "b", "ops", "z"]
        function.toml = notice(names)
        inboxes = {name: function.inbox(name, "webhook") for name in names}
        for name in {*names} - {"ops"}:
            inboxes[name].trouble = hangs
        began = time.time()
        outcome = function.succeed(function.upload(), function.config())
        assert [failure["sink"] for failure in outcome.summary["failed"]] == ["a", "b", "z"]
        assert [message.at - began < 1 for message in inboxes["ops"].accepted] == [True]

    def test_a_page_of_notices_that_it_refuses_hides_no_other(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_pages_of(50, monkeypatch)
        inbox, config = function.inbox("ops", "webhook"), function.config()
        refused = function.upload(55)
        inbox.trouble = answers(422, *function.uploaded)
        function.succeed(refused, config)
        function.pass_minutes(10, config)
        assert sorted(inbox.files().elements()) == function.uploaded[55:]

    def test_a_holder_that_stalled_past_its_lease_pauses_no_sink(self, function: Simulation) -> None:
        inbox = function.inbox("ops", "webhook")
        config = function.config()

        def stall(inbox: Inbox, post: Post) -> WebhookResponse:
            inbox.trouble = None
            function.pass_time(MINUTE)
            function.answer(TIMER_EVENT, config)
            raise NoResponse("too_slow")

        inbox.trouble = stall
        function.invoke(function.upload(), config=config)
        assert list(inbox.files().elements()) == function.uploaded
        assert function.state_names("pause/") == []


class TestRequests:
    @pytest.mark.parametrize(("trouble", "uploads", "at_most"), [(refuses, False, 220), (fails, True, 340)])
    def test_a_sink_that_is_down_costs_few_requests_an_hour(
        self, function: Simulation, trouble: Trouble, uploads: bool, at_most: int
    ) -> None:
        inbox = function.inbox("ops", "webhook")
        inbox.trouble = trouble
        config = function.config()
        function.pass_minutes(HOUR // MINUTE, config)
        function.oss.calls.clear()
        function.pass_minutes(HOUR // MINUTE, config, uploads=uploads)
        assert function.oss.calls.total() <= at_most + IDLE_TICK * 60


class TestMounts:
    @pytest.mark.parametrize("number", [1, 125])
    def test_a_region_that_cannot_be_reached_hides_nothing(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """Also where its notices fill two pages, and more than those of which links are made at a time."""
        use_pages_of(50, monkeypatch)
        monkeypatch.setattr(timing, "LINKS", 25)
        function.toml = FAR + notice(["ops"], mount="/far/") + notice(["ops"])
        inbox = function.inbox("ops", "webhook")
        config = function.config()
        request = OssClient.request

        def unreachable(client: OssClient, method: str, location: Location, **options: Any) -> OssResponse:
            if location.key.startswith("far/"):
                function.oss.calls["far"] += 1
                function.pass_time(3)
                raise OssUnavailable("")
            return request(client, method, location, **options)

        monkeypatch.setattr(OssClient, "request", unreachable)
        events = [record(f"far/{number}") for number in range(number)]
        pause = {"until": int(time.time()) + 30, "failures": 1}  # while they arrive
        function.put(f"{STATE}pause/ops", json.dumps(pause).encode())
        function.succeed(json.dumps({"events": events}).encode(), config)
        function.succeed(function.upload(5), config)
        function.oss.calls.clear()
        function.pass_minutes(2, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded
        function.pass_minutes(13, config, uploads=False)
        assert function.oss.calls.total() <= 720
        assert len(function.state_names("outbox/")) == number
        monkeypatch.setattr(OssClient, "request", request)
        function.fill({f"far/{place}": b"content" for place in range(number)})
        function.pass_minutes(30, config, uploads=False)
        assert function.state_names("outbox/") == dead(function) == []

    def test_what_waited_for_a_mount_is_sent_once_it_is_back(self, function: Simulation) -> None:
        """Although to make the links of all takes longer than an invocation."""
        inbox, world = function.inbox("ops", "webhook"), function.world
        function.toml = FAR + notice(["ops"], mount="/far/", every="1m")
        function.fill({f"far/{number}": b"content" for number in range(300)})
        records = [record(f"far/{number}") for number in range(300)]
        function.succeed(json.dumps({"events": records}).encode(), function.config())
        function.toml = notice(["ops"])  # a mistake
        function.pass_minutes(2, function.config(), uploads=False)
        function.toml = FAR + notice(["ops"])
        config = function.config()
        world.latency = 0.65  # of each of three ways, at most
        for minute in range(20):
            world.start(Process(world), partial(function.answer, TIMER_EVENT, config), after=MINUTE * (minute + 2))
        world.run()
        assert sum(message.body.count(b'"key"') for message in inbox.accepted) == 300

    def test_marks_that_fail_for_seconds_kill_nothing_that_waited_for_days(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inbox = function.inbox("ops", "webhook", retry_for="1h")
        inbox.trouble = refuses
        config = function.config()
        function.succeed(function.upload(50), config)
        function.pass_time(HOUR * 2)
        inbox.trouble, until, replace = None, time.time() + 40, Store.replace

        def refuse_marks(store: Store, name: str, body: bytes) -> None:
            if name.startswith("done/") and name != "done/probe" and time.time() < until:
                raise StoreError("PutObject", 503, UNREACHABLE, "")
            replace(store, name, body)

        monkeypatch.setattr(Store, "replace", refuse_marks)
        function.pass_minutes(5, config, uploads=False)
        assert (sorted(inbox.files()), dead(function)) == (function.uploaded, [])


class TestLargeEvents:
    def test_an_event_that_cannot_be_written_in_time_says_so_before_the_function_is_killed(
        self, function: Simulation
    ) -> None:
        function.inbox("ops", "webhook")
        function.toml = notice(["ops"], every="1m")
        function.world.latency = 0.67  # of each of three ways, at most
        began = time.time()
        outcome = function.invoke(function.upload(2000), config=function.config())
        assert outcome.error is not None
        assert outcome.error.code == "event_too_large"
        assert time.time() - began < 120
        assert len(function.state_names("outbox/")) > 500
