"""An OSS that delays, fails, cuts and drops at random: no notice is lost, and none is sent twice without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler import oss, state
from handler.notices import leases
from tests.handler.flaky_oss import unsteady_oss
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Receiver,
    created,
    event_function,
    notice,
    receiver,
)

KEYS = tuple(f"outbox/{number}.txt" for number in range(6))


@pytest.fixture
def function(tmp_path: Path) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        yield started


def received_keys(hook: Receiver) -> Counter[str]:
    """How often each key was received."""
    messages = [request.json["data"] for request in hook.received]
    return Counter(entry["key"] for data in messages for entry in data.get("notices", [data]))


@pytest.mark.parametrize("every", [None, "1m"])
@pytest.mark.parametrize("seed", range(3))
def test_a_notice_is_sent_once_and_never_lost(
    function: EventFunction, monkeypatch: pytest.MonkeyPatch, seed: int, every: str | None
) -> None:
    with receiver() as hook, unsteady_oss(function.url, (seed, every)) as (address, unsteady):
        function.add_sink("ops", hook)
        function.toml = notice(["ops", "manifest"]) if every is None else notice(["ops"], every=every)
        steady, shaky = function.config(), function.config(address)
        monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
        for _ in range(4):
            function.invoke(created(*KEYS), config=shaky, timeout=12)
            if every is not None:
                function.invoke(TIMER_EVENT, config=shaky, timeout=12)
        unsteady.settle()
        monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
        before = received_keys(hook)
        # No lease has expired yet, so nothing was sent twice.
        assert set(before.values()) <= {1}
        # A minute later, the leases whose claim or mark was lost have expired.
        monkeypatch.setattr(leases, "LEASE", -1.0)
        marked = {
            key for key in function.object_keys(".links/state/notices/") if function.read(key).startswith(b"done")
        }
        state._probed.clear()
        assert function.invoke(created(*KEYS), config=steady).error is None
        if every is not None:
            monkeypatch.setattr("handler.notices.digests.TOLERANCE", 1e9)
            assert function.invoke(TIMER_EVENT, config=steady).error is None
            assert function.invoke(TIMER_EVENT, config=steady).error is None
        after = received_keys(hook)
        assert set(after) == set(KEYS)
        if every is None:
            assert sum(after.values()) <= 2 * len(KEYS) - len(marked)
            assert sorted({line["key"] for line in function.manifest_lines()}) == sorted(KEYS)
        count = len(hook.received)
        assert function.invoke(created(*KEYS), config=steady).error is None
        assert len(hook.received) == count
        assert len(unsteady.happened) > 5
