"""Days of notices: sinks that fail, hang or are unknown for a time, and many notices at the same time.

All arrive once, in few messages, at the pace and in the time that there is; what waits keeps no others waiting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil
from pathlib import Path

import pytest

from handler.notices.outbox import DEAD, Outbox
from handler.notices.sinks import KINDS as SINK_KINDS
from handler.notices.sinks import Post
from handler.notices.sinks.client import WebhookResponse
from tests.handler.notice_fixtures import STATE, TIMER_EVENT, notice
from tests.handler.simulation import (
    DAY,
    HOUR,
    MINUTE,
    Inbox,
    Simulation,
    fails,
    files_in,
    hangs,
    most_within,
    refuses,
    simulation,
)

KINDS = ["webhook", "dingtalk", "feishu", "wecom", "slack"]
# Of each robot, as its service documents it: so many messages in so many seconds.
LIMITS = {
    "webhook": [],
    "dingtalk": [(20, 60.0)],
    "wecom": [(20, 60.0)],
    "feishu": [(100, 60.0), (5, 1.0)],
    "slack": [(1, 1.0)],
}
OSS_LATENCY = 0.02  # seconds of a call
ROUNDED = 0.001  # seconds


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Simulation]:
    with simulation(tmp_path) as started:
        started.toml = notice(["ops"], give="share")
        yield started


def assert_pace(kind: str, times: Sequence[float]) -> None:
    for limit, seconds in LIMITS[kind]:
        assert most_within(seconds - ROUNDED, times) <= limit


def assert_all_arrived_once(function: Simulation, files: Sequence[str]) -> None:
    assert sorted(files) == function.uploaded
    assert function.state_names("outbox/") == []
    assert function.state_names("dead/") == []


class TestOutage:
    @pytest.mark.parametrize(
        "kind",
        ["dingtalk", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != "dingtalk")],
    )
    def test_after_50_minutes_without_its_server_a_sink_has_everything_once(
        self, function: Simulation, kind: str
    ) -> None:
        inbox = function.inbox("ops", kind)
        config = function.config()
        function.start_at(1)
        for minutes, trouble in ((10, fails), (35, refuses), (5, hangs)):
            inbox.trouble = trouble
            function.pass_minutes(minutes, config)
        assert len(function.state_names("outbox/")) == 50
        inbox.trouble = None
        function.pass_minutes(10, config)
        assert_pace(kind, inbox.tries)
        assert_all_arrived_once(function, list(inbox.files().elements()))


class TestTheEndOfRetries:
    def test_what_failed_for_longer_than_retry_for_is_dead_and_the_younger_arrives(self, function: Simulation) -> None:
        inbox = function.inbox("ops", "webhook", retry_for="1h")
        config = function.config()
        inbox.trouble = fails
        function.pass_minutes(75, config)
        assert 7 <= len(function.state_names("dead/")) <= 15  # the sink is asked each eight minutes
        inbox.trouble = None
        function.pass_minutes(30, config)
        dead = [json.loads(function.read(STATE + name)) for name in function.state_names("dead/")]
        assert {entry["reason"] for entry in dead} == {"status_500"}
        names = [entry["key"].removeprefix("outbox/") for entry in dead]
        assert set(names) <= set(function.uploaded[:20])
        assert sorted([*names, *inbox.files().elements()]) == function.uploaded

    def test_what_waits_for_a_sink_that_is_added_hours_later_arrives(self, function: Simulation) -> None:
        config = function.config()
        for _ in range(12):
            outcome = function.pass_minutes(1, config)
            assert outcome.summary["failed"] == [{"sink": "ops", "code": "unknown_sink"}]
            function.pass_time(HOUR / 2)
        inbox = function.inbox("ops", "webhook")
        function.pass_minutes(1, function.config())
        assert_all_arrived_once(function, list(inbox.files().elements()))

    def test_what_waits_for_an_unknown_sink_for_longer_than_three_days_is_dead(self, function: Simulation) -> None:
        config = function.config()
        function.pass_minutes(10, config)
        function.pass_time(3 * DAY - 15 * 60)
        function.pass_minutes(1, config)
        assert function.state_names("dead/") == []
        function.pass_time(15 * 60)
        function.pass_minutes(1, config)
        outbox = Outbox(function.state())
        assert [outbox.reason(entry) for entry in outbox.entries("ops", DEAD)] == ["unknown_sink"] * 10
        inbox = function.inbox("ops", "webhook")
        function.pass_minutes(1, function.config())
        assert sorted(inbox.files().elements()) == function.uploaded[10:]


class TestNeighbours:
    def test_a_refused_notice_each_minute_does_not_keep_others_waiting(self, function: Simulation) -> None:
        inbox = function.inbox("ops", "webhook")
        config = function.config()
        refused: list[str] = []

        def refuse(inbox: Inbox, post: Post) -> WebhookResponse | None:
            return WebhookResponse(422, {}, b"", True) if set(files_in(post.body)) & set(refused) else None

        inbox.trouble = refuse
        for _ in range(10):
            event = function.upload()
            refused.append(function.uploaded[-1])
            function.succeed(event, config)
            function.pass_minutes(1, config)
        accepted = [name for name in function.uploaded if name not in refused]
        assert sorted(inbox.files().elements()) == accepted
        assert len(function.state_names("outbox/")) == len(refused)

    @pytest.mark.parametrize("by_timer", [False, True])
    def test_a_healthy_sink_is_notified_while_three_others_hang(self, function: Simulation, by_timer: bool) -> None:
        names = ["a", "b", "ops", "z"]
        function.toml = notice(names)
        event = function.upload()
        if by_timer:  # what waits for sinks that are unknown until now
            function.succeed(event, function.config())
            function.pass_time(60)
            event = TIMER_EVENT
        inboxes = {name: function.inbox(name, "webhook") for name in names}
        for name in {*names} - {"ops"}:
            inboxes[name].trouble = hangs
        began = time.time()
        outcome = function.succeed(event, function.config())
        assert outcome.summary["notices"] == 1
        assert [failure["sink"] for failure in outcome.summary["failed"]] == ["a", "b", "z"]
        assert [message.at - began < 1 for message in inboxes["ops"].accepted] == [True]


class TestPace:
    @pytest.mark.parametrize("kind", ["dingtalk", "wecom", "slack"])
    def test_a_message_that_arrives_late_does_not_come_closer_to_the_next(
        self, function: Simulation, kind: str
    ) -> None:
        inbox = function.inbox("ops", kind)
        config = function.config()
        inbox.delays = [2.0]
        for _ in range(30):
            function.succeed(function.upload(), config)
        for limit, seconds in LIMITS[kind]:
            assert most_within(seconds, inbox.tries) <= limit


def finish(function: Simulation, inbox: Inbox, minutes: int) -> int:
    """Ticks, one a minute, until nothing waits any more, at most so many: their number."""
    config = function.config()
    for number in range(minutes):
        if not function.state_names("outbox/"):
            return number
        function.pass_minutes(1, config, uploads=False)
    return minutes


class TestOneDay:
    def upload_in_one_day(self, function: Simulation, kind: str, hours: int, number: int) -> tuple[Inbox, float]:
        """So many uploads in each of so many hours, with a tick: the sink, and the end of the day."""
        function.toml = notice(["ops"], give="share", every="1d")
        inbox = function.inbox("ops", kind)
        config = function.config()
        midnight = (time.time() // DAY + 1) * DAY
        function.wait_until(midnight)
        for _ in range(hours):
            function.pass_time(HOUR / 2)
            function.succeed(function.upload(number), config)
            function.succeed(TIMER_EVENT, config)
        return inbox, midnight + DAY

    def assert_few_messages(self, kind: str, inbox: Inbox) -> None:
        """Nine tenths of what fits into a message, on average."""
        sizes = [len(message.files) for message in inbox.accepted]
        average = sum(len(message.body) for message in inbox.accepted) / sum(sizes)
        most = min(SINK_KINDS[kind].MAX_NOTICES, SINK_KINDS[kind].MAX_BYTES / average)
        assert len(sizes) <= ceil(sum(sizes) / (0.9 * most))

    @pytest.mark.parametrize(
        "kind", ["dingtalk", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("webhook", "wecom"))]
    )
    def test_450_uploads_arrive_at_the_end_of_the_day(self, function: Simulation, kind: str) -> None:
        inbox, end = self.upload_in_one_day(function, kind, 45, 10)
        function.wait_until(end - 1)
        function.succeed(TIMER_EVENT, function.config())
        assert inbox.accepted == []
        function.wait_until(end + 1)
        function.succeed(TIMER_EVENT, function.config())
        assert inbox.accepted[-1].at < end + MINUTE + len(inbox.accepted) * SINK_KINDS[kind].MIN_INTERVAL
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)
        self.assert_few_messages(kind, inbox)
        function.pass_time(DAY)
        messages = len(inbox.accepted)
        function.succeed(TIMER_EVENT, function.config())
        assert len(inbox.accepted) == messages


class TestSlowWebhook:
    @pytest.mark.parametrize(("files", "timeout"), [pytest.param(3000, 120, marks=pytest.mark.long), (300, 70)])
    def test_a_webhook_that_takes_a_second_has_everything(
        self, function: Simulation, files: int, timeout: float
    ) -> None:
        inbox = function.inbox("ops", "webhook")
        inbox.trouble = lambda inbox, post: inbox.clock.sleep(1.0)
        function.world.latency = OSS_LATENCY
        config = function.config()
        event = function.upload(files)
        started = time.time()
        function.succeed(event, config, timeout=timeout)
        assert time.time() - started < timeout
        while function.state_names("outbox/"):
            function.wait_until(time.time() // MINUTE * MINUTE + MINUTE)
            began = time.time()
            outcome = function.succeed(TIMER_EVENT, config, timeout=timeout)
            assert outcome.summary["notices"]
            assert time.time() - began < timeout
        # Eight at a time, what OSS takes, and what is left of the minutes until the next tick.
        assert time.time() - started < files / 8 * 1.5 + MINUTE
        assert_all_arrived_once(function, list(inbox.files().elements()))


class TestPacedRobots:
    @pytest.mark.parametrize("events", [1, pytest.param(10, marks=pytest.mark.long)])
    @pytest.mark.parametrize("kind", ["wecom", pytest.param("dingtalk", marks=pytest.mark.long)])
    def test_thousands_of_files_arrive_at_the_pace_of_a_robot(
        self, function: Simulation, kind: str, events: int
    ) -> None:
        inbox = function.inbox("ops", kind)
        config = function.config()
        started = time.time()
        for _ in range(events):
            function.succeed(function.upload(1000), config)
        messages = events * 1000 / (20 if kind == "wecom" else 70)
        assert finish(function, inbox, 120) < 120
        assert time.time() - started < messages * SINK_KINDS[kind].MIN_INTERVAL * 1.5 + MINUTE
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)

    @pytest.mark.parametrize("kind", [kind for kind, limits in LIMITS.items() if limits])
    def test_instances_at_the_same_time_keep_the_pace_together(self, function: Simulation, kind: str) -> None:
        inbox = function.inbox("ops", kind)
        config = function.config()
        events = [function.upload() for _ in range(40)]

        def instance(number: int) -> None:
            for event in events[number::4]:
                function.answer(event, config)

        function.at_once([partial(instance, number) for number in range(4)])
        function.pass_minutes(1, config, uploads=False)
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)
