"""An OSS that delays, fails, cuts and drops at random: nothing is lost, and nothing is told twice without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler import oss, state
from handler.notices import leases
from tests.handler.flaky_oss import unsteady_oss
from tests.handler.notice_fixtures import TICK, Receiver, World, created, events_world, notice, receiver

KEYS = tuple(f"outbox/{number}.txt" for number in range(6))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with events_world(tmp_path) as found:
        yield found


def told(hook: Receiver) -> Counter[str]:
    found: Counter[str] = Counter()
    for got in hook.got:
        data = got.json["data"]
        found.update(entry["key"] for entry in data.get("notices", [data]))
    return found


@pytest.mark.parametrize("every", [None, "1m"])
@pytest.mark.parametrize("seed", range(3))
def test_a_notice_is_told_once_and_never_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int, every: str | None
) -> None:
    with receiver() as hook, unsteady_oss(world.url, (seed, every)) as (address, unsteady):
        world.sink("ops", hook)
        world.text = notice(["ops", "manifest"]) if every is None else notice(["ops"], every=every)
        steady, shaky = world.policy(), world.policy(address)
        monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
        for _ in range(4):
            world.run(created(*KEYS), under=shaky, timeout=12)
            if every is not None:
                world.run(TICK, under=shaky, timeout=12)
        unsteady.settle()
        monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
        before = told(hook)
        # Nobody was cut off and taken for dead yet, so nothing was told twice.
        assert set(before.values()) <= {1}
        # A minute later, those whose claim or mark was lost are dead.
        monkeypatch.setattr(leases, "LEASE", -1.0)
        marked = {key for key in world.keys(".links/state/notices/") if world.read(key).startswith(b"done")}
        state._probed.clear()
        assert world.run(created(*KEYS), under=steady).error is None
        if every is not None:
            monkeypatch.setattr("handler.notices.digests.SLACK", 1e9)
            assert world.run(TICK, under=steady).error is None
            assert world.run(TICK, under=steady).error is None
        after = told(hook)
        assert set(after) == set(KEYS)
        if every is None:
            assert sum(after.values()) <= 2 * len(KEYS) - len(marked)
            assert sorted({line["key"] for line in world.written()}) == sorted(KEYS)
        again = len(hook.got)
        assert world.run(created(*KEYS), under=steady).error is None
        assert len(hook.got) == again
        assert len(unsteady.happened) > 5
