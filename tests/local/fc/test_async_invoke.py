"""New objects and timers as events: which function is invoked, its retries, and the report of failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import requests

from handler.notices.sources import items
from handler.notices.sources.event import read_event
from local.fc import async_invoke, functions, oss_events
from local.fc.async_invoke import Dispatcher
from local.fc.functions import Deployment
from local.fc.instances import Instance
from local.fc.runtime import Runtime
from local.fc.schedule import InvalidSchedule
from local.stack import Stack
from signer import Credentials, Endpoint, presign
from signer.emulator.oss import CreatedObject
from signer.times import rfc3339
from tests.local.test_stack import FUNCTIONS, WEB

ROOT = Path(__file__).parents[3]
SECONDS = 30

OSS = (
    "{triggerName: new, triggerType: oss, sourceArn: 'acs:oss:cn-hangzhou:1000000000000001:examplebucket', "
    "triggerConfig: {events: [oss:ObjectCreated:PutObject, oss:ObjectCreated:CompleteMultipartUpload], "
    "filter: {key: {prefix: outbox/, suffix: .txt}}}}"
)
TIMER = (
    "{triggerName: minute, triggerType: timer, "
    "triggerConfig: {cronExpression: '@every 1m', enable: true, payload: 'hello'}}"
)
RETRIES = (
    "asyncInvokeConfig: {{maxAsyncRetryAttempts: {retries}, "
    "destinationConfig: {{onFailure: {{destination: 'acs:mns:cn-hangzhou:1:/queues/failed/messages'}}}}}}, "
)


def config(
    folder: Path, *triggers: str, fails: int = 0, retries: str = "", web: bool = True
) -> Path:
    """An s.yaml with one function that records its events and, with `web`, one with an http trigger."""
    function = f"region: cn-hangzhou, runtime: python3.10, code: {FUNCTIONS}"
    environment = f"{{LINK_BUCKET: examplebucket, NOTES: {folder / 'notes'}, FAILS: '{fails}'}}"
    props = {
        "web": f"functionName: web, handler: shown.event_of, {WEB}",
        "events": f"functionName: noted, handler: noted.on_event, environmentVariables: {environment}, "
        f"{retries}triggers: [{', '.join(triggers)}]",
    }
    lines = [
        f"  {name}: {{component: fc3, props: {{{function}, {props[name]}}}}}"
        for name in props
        if web or name != "web"
    ]
    path = folder / "s.yaml"
    path.write_text("\n".join(["resources:", *lines]))
    return path


def notes(folder: Path) -> list[dict[str, Any]]:
    path = folder / "notes"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return functions.read(config(tmp_path, OSS, TIMER), {})


def put(stack: Stack, key: str, body: bytes = b"content") -> None:
    link = presign(
        "PUT",
        stack.bucket,
        key,
        credentials=stack.credentials,
        endpoint=Endpoint.path_style(stack.oss_url, stack.region),
    )
    requests.put(link.url, data=body, timeout=SECONDS).raise_for_status()


class TestOssEvents:
    def test_a_trigger_matches_by_bucket_event_prefix_and_suffix(
        self, deployment: Deployment
    ) -> None:
        trigger = deployment.functions[1].triggers[0]
        created = CreatedObject(
            "examplebucket", "outbox/a.txt", 7, "ETAG", "ObjectCreated:PutObject"
        )
        assert oss_events.matches(trigger, created)
        assert oss_events.matches(
            trigger, replace(created, event_name="ObjectCreated:CompleteMultipartUpload")
        )
        posted = replace(created, event_name="ObjectCreated:PostObject")
        assert not oss_events.matches(trigger, posted)
        assert not oss_events.matches(trigger, replace(created, bucket="otherbucket"))
        keys = ("outbox/a.csv", "inbox/a.txt", "outbox/报告.txt")
        assert [oss_events.matches(trigger, replace(created, key=key)) for key in keys] == [
            False,
            False,
            True,
        ]
        every = functions.Trigger(
            "new", "oss", {**trigger.config, "events": ["oss:ObjectCreated:*"]}, trigger.source
        )
        assert oss_events.matches(every, posted)

    def test_the_handler_can_read_the_event(self, deployment: Deployment) -> None:
        function = deployment.functions[1]
        created = CreatedObject(
            "examplebucket", "outbox/a 100%+b.txt", 7, "ETAG", "ObjectCreated:PutObject"
        )
        event = oss_events.object_created(function, function.triggers[0], created, 1_772_347_543.0)
        assert read_event(event).items == (
            items.CreatedObject(
                "examplebucket", "outbox/a 100%+b.txt", "ETAG", None, 7, 1_772_347_543.0
            ),
        )
        official = json.loads((ROOT / "tests/data/events/oss-trigger-minimal.json").read_text())[
            "events"
        ][0]
        local = json.loads(event)["events"][0]
        assert official.keys() == local.keys()
        assert official["oss"].keys() == local["oss"].keys()
        assert official["oss"]["object"].keys() == local["oss"]["object"].keys()


class TestStack:
    def test_a_put_that_a_trigger_matches_is_one_event(
        self, tmp_path: Path, log: IO[bytes]
    ) -> None:
        with Stack.start(config(tmp_path, OSS), log=log) as stack:
            for key in ("outbox/a.txt", "outbox/b.csv", "elsewhere/c.txt"):
                put(stack, key)
            assert stack.dispatcher.wait(SECONDS)
        (note,) = notes(tmp_path)
        assert note["event"]["events"][0]["oss"]["object"]["key"] == "outbox/a.txt"
        assert note["event"]["events"][0]["eventName"] == "ObjectCreated:PutObject"

    def test_an_invalid_schedule_is_reported_at_the_start(
        self, tmp_path: Path, log: IO[bytes]
    ) -> None:
        path = config(tmp_path, TIMER.replace("@every 1m", "@hourly"))
        with pytest.raises(InvalidSchedule, match="@hourly"):
            Stack.start(path, log=log)


@contextmanager
def dispatching(
    path: Path, log: IO[bytes], backoff: float = 1
) -> Iterator[tuple[Dispatcher, functions.Function]]:
    """A dispatcher for the one function of an s.yaml."""
    (function,) = functions.read(path, {}).functions
    runtime = Runtime([function], credentials=lambda _: Credentials("id", "secret"), log=log)
    dispatcher = Dispatcher(runtime, (function,), log=log, backoff=backoff)
    try:
        yield dispatcher, function
    finally:
        dispatcher.close()
        runtime.close()


class TestRetries:
    def run(self, folder: Path, log: IO[bytes], *, fails: int, retries: str = "") -> Dispatcher:
        """Runs one event until it has succeeded or its retries are exhausted."""
        path = config(folder, fails=fails, retries=retries, web=False)
        with dispatching(path, log, backoff=0) as (dispatcher, function):
            dispatcher.submit(function, b'{"n": 1}')
            assert dispatcher.wait(SECONDS)
        return dispatcher

    def test_a_failed_event_is_retried_under_its_request_id(
        self, tmp_path: Path, log: IO[bytes]
    ) -> None:
        dispatcher = self.run(tmp_path, log, fails=2)
        assert [note["retry_count"] for note in notes(tmp_path)] == [0, 1, 2]
        assert len({note["request_id"] for note in notes(tmp_path)}) == 1
        assert dispatcher.failures == []

    @pytest.mark.parametrize(
        "error",
        [
            BlockingIOError(11, "Resource temporarily unavailable"),
            RuntimeError("can't start new thread"),
        ],
    )
    def test_a_process_that_cannot_be_started_is_retried_like_a_failed_event(
        self, tmp_path: Path, log: IO[bytes], monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        failures = [error] * 2
        start = Runtime._start

        def start_later(runtime: Runtime, function: functions.Function) -> Instance:
            if failures:
                raise failures.pop()
            return start(runtime, function)

        monkeypatch.setattr(Runtime, "_start", start_later)
        dispatcher = self.run(tmp_path, log, fails=0)
        (note,) = notes(tmp_path)
        assert note["retry_count"] == 2
        assert dispatcher.failures == []
        log.seek(0)
        assert log.read().decode().count(f"local: noted could not be started: {error}") == 2

    def test_processes_that_never_start_end_no_thread(
        self, tmp_path: Path, log: IO[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = True
        start = Runtime._start

        def start_later(runtime: Runtime, function: functions.Function) -> Instance:
            if refused:
                raise OSError(24, "Too many open files")
            return start(runtime, function)

        monkeypatch.setattr(Runtime, "_start", start_later)
        with dispatching(config(tmp_path, web=False), log, backoff=0) as (dispatcher, function):
            for _ in range(2 * async_invoke.WORKERS):
                dispatcher.submit(function, b"{}")
            assert dispatcher.wait(SECONDS)
            assert len(dispatcher.failures) == 2 * async_invoke.WORKERS
            assert {
                failure["requestContext"]["approximateInvokeCount"]
                for failure in dispatcher.failures
            } == {4}
            assert "Too many open files" in dispatcher.failures[0]["responsePayload"]
            refused = False
            dispatcher.submit(function, b"{}")
            assert dispatcher.wait(SECONDS)
        assert len(notes(tmp_path)) == 1

    def test_after_three_retries_with_longer_pauses_the_event_goes_to_the_failure_destination(
        self, tmp_path: Path, log: IO[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pauses: list[float] = []

        def call_at_once(seconds: float, function: Callable[[], None]) -> None:
            pauses.append(seconds)
            function()

        monkeypatch.setattr(async_invoke, "call_later", call_at_once)
        with dispatching(config(tmp_path, fails=99, web=False), log) as (dispatcher, function):
            dispatcher.submit(function, b'{"n": 1}')
            assert dispatcher.wait(SECONDS)
        assert (len(notes(tmp_path)), pauses) == (4, [1, 2, 4])
        (failure,) = dispatcher.failures
        official = json.loads((ROOT / "tests/data/events/async-destination.json").read_text())
        assert failure.keys() == official.keys()
        assert failure["requestContext"].keys() == official["requestContext"].keys()
        assert failure["requestContext"]["condition"] == "RetriesExhausted"
        assert failure["requestPayload"] == '{"n": 1}'
        assert "not this time" in failure["responsePayload"]
        log.seek(0)
        assert b"noted failed 4 times. Failure destination (not configured): {" in log.read()

    @pytest.mark.parametrize("retries", [0, 1])
    def test_s_yaml_sets_the_number_of_retries(
        self, tmp_path: Path, log: IO[bytes], retries: int
    ) -> None:
        dispatcher = self.run(tmp_path, log, fails=99, retries=RETRIES.format(retries=retries))
        assert len(notes(tmp_path)) == retries + 1
        log.seek(0)
        assert b"(acs:mns:cn-hangzhou:1:/queues/failed/messages)" in log.read()
        assert len(dispatcher.failures) == 1


class TestTimers:
    def test_a_timer_sends_its_event(
        self, tmp_path: Path, log: IO[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticks = [0.0, 0.0]
        exhausted = threading.Event()

        def next_tick(after: float) -> float | None:
            if not ticks:
                exhausted.set()
            return ticks.pop() if ticks else None

        monkeypatch.setattr(async_invoke, "time", SimpleNamespace(time=lambda: 0.0))
        monkeypatch.setattr(async_invoke, "schedule", lambda expression: next_tick)
        with dispatching(config(tmp_path, TIMER, web=False), log) as (dispatcher, _):
            assert exhausted.wait(SECONDS)
            assert dispatcher.wait(SECONDS)
        (first, second) = (note["event"] for note in notes(tmp_path))
        assert (
            first
            == second
            == {"triggerTime": "1970-01-01T00:00:00Z", "triggerName": "minute", "payload": "hello"}
        )

    @pytest.mark.parametrize(
        ("jump", "sent"),
        [
            # A tick that is late by less than the interval delays none of those after it.
            (0.5, [1, 2, 3, 4]),
            # The tick that was due before the jump, and the next one after it.
            (3600, [1, 3602, 3603, 3604]),
        ],
    )
    def test_a_clock_that_jumps_ahead_fires_a_timer_once(
        self,
        tmp_path: Path,
        log: IO[bytes],
        monkeypatch: pytest.MonkeyPatch,
        jump: float,
        sent: list[float],
    ) -> None:
        """`sent` are the seconds of the first four ticks of `@every 1s`, if the clock jumps during the first wait."""
        now = 0.0
        events: list[Any] = []
        exhausted = threading.Event()

        class Closed(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                nonlocal now
                now += (timeout or 0) + (0 if events else jump)
                return False

        def submit(dispatcher: Dispatcher, function: functions.Function, event: bytes) -> str:
            events.append(json.loads(event)["triggerTime"])
            return ""

        def every_second(after: float) -> float | None:
            if len(events) == len(sent):
                exhausted.set()
                return None
            return after + 1

        monkeypatch.setattr(async_invoke, "time", SimpleNamespace(time=lambda: now))
        monkeypatch.setattr(
            async_invoke, "threading", SimpleNamespace(**{**vars(threading), "Event": Closed})
        )
        monkeypatch.setattr(async_invoke, "schedule", lambda expression: every_second)
        monkeypatch.setattr(Dispatcher, "submit", submit)
        with dispatching(config(tmp_path, TIMER, web=False), log):
            assert exhausted.wait(SECONDS)
        assert events == [rfc3339(tick) for tick in sent]

    def test_a_disabled_timer_sends_nothing(self, tmp_path: Path, log: IO[bytes]) -> None:
        off = TIMER.replace("enable: true", "enable: false").replace(
            "@every 1m", "not even a schedule"
        )
        with dispatching(config(tmp_path, off, web=False), log) as (dispatcher, _):
            assert dispatcher.wait(1)
        assert notes(tmp_path) == []
