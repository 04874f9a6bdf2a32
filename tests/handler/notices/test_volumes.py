"""Many notices at the same time: all arrive once, in few messages, at the pace and in the time that there is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from math import ceil
from pathlib import Path

import pytest

from handler.notices.sinks import KINDS
from tests.handler.notice_fixtures import TIMER_EVENT, at_once, notice
from tests.handler.notices.test_outages import LIMITS, assert_all_arrived_once, assert_pace
from tests.handler.simulation import DAY, HOUR, MINUTE, Inbox, Simulation, simulation

OSS_LATENCY = 0.02  # seconds of a call


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Simulation]:
    with simulation(tmp_path) as started:
        started.toml = notice(["ops"], give="share")
        yield started


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
        most = min(KINDS[kind].MAX_NOTICES, KINDS[kind].MAX_BYTES / average)
        assert len(sizes) <= ceil(sum(sizes) / (0.9 * most))

    @pytest.mark.parametrize("kind", ["webhook", "dingtalk", pytest.param("wecom", marks=pytest.mark.long)])
    def test_450_uploads_arrive_at_the_end_of_the_day(self, function: Simulation, kind: str) -> None:
        inbox, end = self.upload_in_one_day(function, kind, 45, 10)
        function.wait_until(end - 1)
        function.succeed(TIMER_EVENT, function.config())
        assert inbox.accepted == []
        function.wait_until(end + 1)
        function.succeed(TIMER_EVENT, function.config())
        assert inbox.accepted[-1].at < end + MINUTE + len(inbox.accepted) * KINDS[kind].MIN_INTERVAL
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)
        self.assert_few_messages(kind, inbox)
        function.pass_time(DAY)
        messages = len(inbox.accepted)
        function.succeed(TIMER_EVENT, function.config())
        assert len(inbox.accepted) == messages


class TestLargeEvents:
    @pytest.mark.long
    def test_10000_links_of_long_paths_in_one_event_are_all_sent(self, function: Simulation) -> None:
        function.toml = notice(["ops"], on="message", give="share")
        inbox = function.inbox("ops", "webhook")
        function.oss.latency = OSS_LATENCY
        names = [f"f{number:06}.txt" for number in range(10_000)]
        function.uploaded += names
        folder = "/outbox/" + "x" * 90 + "/"
        paths = [folder + name for name in names]
        assert {len(path) for path in paths} == {110}
        links = [{"path": path} for path in paths]
        messages = [{"links": links[start : start + 1000]} for start in range(0, 10_000, 1000)]
        function.succeed(json.dumps(messages).encode(), function.config())
        assert len(inbox.accepted) + len(function.state_names("outbox/")) == 10_000
        assert finish(function, inbox, 20) < 20
        assert_all_arrived_once(function, list(inbox.files().elements()))


class TestSlowWebhook:
    @pytest.mark.parametrize(("files", "timeout"), [pytest.param(3000, 120, marks=pytest.mark.long), (300, 70)])
    def test_a_webhook_that_takes_a_second_has_everything(
        self, function: Simulation, files: int, timeout: float
    ) -> None:
        inbox = function.inbox("ops", "webhook")
        inbox.work = 1.0
        function.oss.latency = OSS_LATENCY
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
        assert time.time() - started < messages * KINDS[kind].MIN_INTERVAL * 1.5 + MINUTE
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

        at_once([partial(instance, number) for number in range(4)])
        function.pass_minutes(1, config, uploads=False)
        assert_all_arrived_once(function, list(inbox.files().elements()))
        assert_pace(kind, inbox.tries)
