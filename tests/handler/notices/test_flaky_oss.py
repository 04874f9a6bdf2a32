"""An OSS that delays, fails, cuts and drops at random: no notice is lost, and none is sent twice without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from threading import Lock
from unittest.mock import patch

import pytest

from handler import oss, state
from handler.errors import Problem
from handler.notices.outbox import Entry, Outbox
from tests.handler.flaky_oss import unsteady_oss
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Receiver,
    created,
    notice,
    receiver,
)

KEYS = tuple(f"outbox/{number}.txt" for number in range(6))


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


def received_ids(hook: Receiver) -> Counter[str]:
    """How often each notice was received, by its id."""
    messages = [request.json["data"] for request in hook.received]
    return Counter(entry["id"] for data in messages for entry in data.get("notices", [data]))


@pytest.mark.parametrize("every", [None, "1m"])
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_nothing_is_lost_and_a_notice_is_repeated_only_where_its_mark_failed(
    function: EventFunction, monkeypatch: pytest.MonkeyPatch, failed_marks: Counter[str], seed: int, every: str | None
) -> None:
    with receiver() as hook, unsteady_oss(function.url, (seed, every)) as (address, unsteady):
        function.add_sink("ops", hook)
        function.toml = notice(["ops", "manifest"]) if every is None else notice(["ops"], every=every)
        steady, shaky = function.config(), function.config(address)
        monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
        for _ in range(4):
            state._probed.clear()
            function.invoke(created(*KEYS), config=shaky)
            assert function.invoke(TIMER_EVENT, config=shaky).error is None
            function.pass_time(31)
        unsteady.settle()
        monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
        assert function.invoke(created(*KEYS), config=steady).error is None
        for _ in range(2):
            function.pass_time(60)
            assert function.invoke(TIMER_EVENT, config=steady).error is None
        told = received_ids(hook)
        assert len(told) == len(KEYS)
        assert {each: times for each, times in told.items() if times > 1 + failed_marks[each]} == {}
        assert function.state_names("outbox/") == []
        assert function.state_names("dead/") == []
        if every is None:
            assert {line["key"] for line in function.manifest_lines()} == set(KEYS)
        count = len(hook.received)
        assert function.invoke(created(*KEYS), config=steady).error is None
        assert len(hook.received) == count
        assert len(unsteady.happened) > 5
