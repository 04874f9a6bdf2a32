"""Whatever one call of OSS meets while notices are sent, each arrives, is repeated once at most, and none is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from unittest.mock import patch

import pytest

from handler.cloud import oss
from handler.errors import Problem
from handler.notices.outbox import Entry, Outbox
from tests.fault_proxy import FAULTS, REFUSALS, FaultProxy, fault_proxy
from tests.handler.notice_fixtures import (
    EventFunction,
    Outcome,
    Receiver,
    created,
    event_function,
    notice,
    received_ids,
    received_keys,
    receiver,
)

SHORT = 0.2  # seconds that the function waits for an OSS that never answers, in these tests
# Of a sink in OSS, the words of OSS.
CODES = {"state_unavailable", "notices_failed", "oss_unavailable", "out_of_time", *REFUSALS.values()}
KEY = "outbox/a.txt"


class Notices:
    """The event function, whose OSS is the proxy, and its webhook."""

    def __init__(self, function: EventFunction, faults: FaultProxy, hook: Receiver) -> None:
        self.function, self.faults, self.hook = function, faults, hook
        self.number = 0

    def invoke(self, event: bytes | None) -> Outcome:
        """One event, or a tick of the timer for None, in a new instance."""
        self.function.restart()
        config = self.function.config(self.faults.url)
        return self.function.tick(config=config) if event is None else self.function.invoke(event, config=config)

    def new_event(self) -> bytes:
        self.number += 1
        return created(KEY, etag=f"ETAG{self.number}")

    def begin(self, *, is_waiting: bool) -> bytes | None:
        """What meets the fault: an event, or a tick for a notice that waits."""
        self.faults.disarm()
        self.function.pass_time(3600)
        self.hook.received.clear()
        event = self.new_event()
        if not is_waiting:
            return event
        assert self.invoke(event).error is None
        self.function.pass_time(120)
        return None


@contextmanager
def notices(folder: Path, toml: str) -> Iterator[Notices]:
    with event_function(folder, is_wired=True) as function, receiver() as hook, fault_proxy(function.url) as faults:
        function.add_sink("ops", hook)
        function.toml = toml
        yield Notices(function, faults, hook)


TOML = {
    "an event to a webhook": notice(["ops"]),
    "an event to a sink in OSS": notice(["manifest"]),
    "an event with a share": notice(["ops"], give="share"),
    "an event for a digest": notice(["ops"], every="1m"),
    "a tick with a digest": notice(["ops"], every="1m"),
}


def check(running: Notices, name: str, first: Outcome, event: bytes | None) -> None:
    if first.error is not None:
        assert first.error.code in CODES, first
    for entry in first.summary.get("failed", ()):
        assert entry["code"] in CODES, first
    assert "fault" not in first.line
    # Function Compute runs a failed event again; then the timer fires after the lease.
    if first.error is not None and event is not None:
        assert running.invoke(event).error is None
    for _ in range(3):
        running.function.pass_time(120)
        assert running.invoke(None).error is None
    assert running.function.state_names("outbox/") == []
    assert running.function.state_names("dead/") == []
    if "sink in OSS" in name:
        assert len(running.function.manifest_lines()) == running.number
    else:
        assert received_keys(running.hook)[KEY] in (1, 2)


def try_faults(running: Notices, name: str, fault: str, context: pytest.MonkeyPatch, *, is_lasting: bool) -> None:
    is_waiting = name.startswith("a tick")
    event = running.begin(is_waiting=is_waiting)
    assert running.invoke(event).error is None
    count = len(running.faults.calls)
    assert count
    for number in range(count):
        event = running.begin(is_waiting=is_waiting)
        running.faults.arm(fault, number, is_lasting=is_lasting)
        if fault.startswith("never"):
            context.setattr(oss, "TIMEOUT", (SHORT, SHORT))
        first = running.invoke(event)
        context.undo()
        running.faults.disarm()
        try:
            check(running, name, first, event)
        except AssertionError as error:
            raise AssertionError(f"call {number}: {error}") from error


@pytest.mark.long
@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", TOML)
def test_at_each_call(tmp_path: Path, name: str, fault: str, is_lasting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with notices(tmp_path, TOML[name]) as running, monkeypatch.context() as context:
        try_faults(running, name, fault, context, is_lasting=is_lasting)


@pytest.fixture
def failed_marks() -> Iterator[Counter[str]]:
    """How often each notice, by its id, could not be marked for all that is known."""
    failed, lock, mark_done = Counter[str](), Lock(), Outbox.mark_done

    def mark(outbox: Outbox, entry: Entry) -> None:
        try:
            mark_done(outbox, entry)
        except Problem:
            with lock:
                failed[str(entry.id)] += 1
            raise

    with patch.object(Outbox, "mark_done", mark):
        yield failed


@pytest.mark.parametrize("toml", [notice(["ops", "manifest"]), notice(["ops"], every="1m")], ids=["at once", "digest"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))])
def test_random_faults_lose_nothing_and_repeat_a_notice_only_where_its_mark_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed_marks: Counter[str], seed: int, toml: str
) -> None:
    keys = [f"outbox/{number}.txt" for number in range(6)]
    with notices(tmp_path, toml) as running:
        running.faults.shuffle((seed, toml))
        monkeypatch.setattr(oss, "TIMEOUT", (5.0, SHORT))
        for _ in range(4):
            running.invoke(created(*keys))
            assert running.invoke(None).error is None
            running.function.pass_time(31)
        assert len(running.faults.happened) > 5
        running.faults.disarm()
        monkeypatch.undo()
        assert running.invoke(created(*keys)).error is None
        for _ in range(2):
            running.function.pass_time(60)
            assert running.invoke(None).error is None
        told = received_ids(running.hook)
        assert len(told) == len(keys)
        assert {each: times for each, times in told.items() if times > 1 + failed_marks[each]} == {}
        assert running.function.state_names("outbox/") == []
        assert running.function.state_names("dead/") == []
        if "manifest" in toml.partition("[[notice]]")[2]:
            assert {line["key"] for line in running.function.manifest_lines()} == set(keys)
        count = len(running.hook.received)
        assert running.invoke(created(*keys)).error is None
        assert len(running.hook.received) == count
