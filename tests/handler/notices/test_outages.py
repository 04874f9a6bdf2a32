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

from handler.notices.sink_queue import DEAD
from handler.notices.sinks import KINDS as SINK_KINDS
from tests.handler.notice_fixtures import STATE, TIMER_EVENT, notice
from tests.handler.simulation import (
    DAY,
    HOUR,
    MINUTE,
    Simulation,
    fails,
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


@pytest.mark.parametrize(
    "kind",
    ["dingtalk", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != "dingtalk")],
)
def test_after_50_minutes_without_its_server_a_sink_has_everything_once(function: Simulation, kind: str) -> None:
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

    def test_what_waits_for_an_unknown_sink_for_longer_than_three_days_is_dead(self, function: Simulation) -> None:
        config = function.config()
        function.pass_minutes(10, config)
        function.pass_time(3 * DAY - 15 * 60)
        function.pass_minutes(1, config)
        assert function.state_names("dead/") == []
        function.pass_time(15 * 60)
        function.pass_minutes(1, config)
        outbox = function.queue()
        assert [outbox.reason(entry) for entry in outbox.first(DEAD)] == ["unknown_sink"] * 10
        inbox = function.inbox("ops", "webhook")
        function.pass_minutes(1, function.config())
        assert sorted(inbox.files().elements()) == function.uploaded[10:]


@pytest.mark.parametrize(
    "kind", ["dingtalk", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("webhook", "wecom"))]
)
def test_450_uploads_arrive_at_the_end_of_the_day_in_few_messages(function: Simulation, kind: str) -> None:
    function.toml = notice(["ops"], give="share", every="1d")
    inbox = function.inbox("ops", kind)
    config = function.config()
    midnight = (time.time() // DAY + 1) * DAY
    function.wait_until(midnight)
    for _ in range(45):
        function.pass_time(HOUR / 2)
        function.succeed(function.upload(10), config)
        function.succeed(TIMER_EVENT, config)
    function.wait_until(midnight + DAY - 1)
    function.succeed(TIMER_EVENT, config)
    assert inbox.accepted == []
    function.wait_until(midnight + DAY + 1)
    function.succeed(TIMER_EVENT, config)
    messages = inbox.accepted.copy()
    assert messages[-1].at < midnight + DAY + MINUTE + len(messages) * SINK_KINDS[kind].MIN_INTERVAL
    assert_all_arrived_once(function, list(inbox.files().elements()))
    assert_pace(kind, inbox.tries)
    # Nine tenths of what fits into a message, on average.
    average = sum(len(message.body) for message in messages) / 450
    most = min(SINK_KINDS[kind].MAX_NOTICES, SINK_KINDS[kind].MAX_BYTES / average)
    assert len(messages) <= ceil(450 / (0.9 * most)) + 2  # the first of them are smaller
    function.pass_time(DAY)
    function.succeed(TIMER_EVENT, config)
    assert inbox.accepted == messages


@pytest.mark.parametrize(("files", "timeout"), [pytest.param(3000, 120, marks=pytest.mark.long), (300, 70)])
def test_a_webhook_that_takes_a_second_has_everything(function: Simulation, files: int, timeout: float) -> None:
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
        while function.state_names("outbox/"):
            function.pass_minutes(1, config, uploads=False)
        assert time.time() - started < messages * SINK_KINDS[kind].MIN_INTERVAL * 1.5 + MINUTE
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)

    @pytest.mark.parametrize("kind", [kind for kind, limits in LIMITS.items() if limits])
    def test_instances_at_the_same_time_keep_the_pace_together(self, function: Simulation, kind: str) -> None:
        inbox = function.inbox("ops", kind)
        inbox.delays = [2.0]  # a message that arrives late does not come closer to the next
        config = function.config()
        events = [function.upload() for _ in range(40)]

        def instance(number: int) -> None:
            for event in events[number::4]:
                function.answer(event, config)

        function.at_once([partial(instance, number) for number in range(4)])
        function.pass_minutes(1, config, uploads=False)
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)
