"""The counts of an invocation, from the threads of its sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest

from handler.core.outbox import Delivery
from handler.notices.tally import Tally

ENTRY = Delivery(sink="ops", name="1772347543-000000-a")


class SlowCounter(Counter[Any]):
    """A counter in which two threads read before one of them writes, unless something keeps them apart."""

    def __init__(self) -> None:
        super().__init__()
        self._both = Barrier(2)

    def __getitem__(self, name: Any) -> int:
        count = super().__getitem__(name)
        with suppress(BrokenBarrierError):
            self._both.wait(0.2)
        return count


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("counts", lambda tally: tally.add("sent")),
        ("skipped", lambda tally: tally.skip("unlinkable")),
        ("counts", lambda tally: tally.remove(ENTRY, "sent")),
        ("dead", lambda tally: tally.remove(ENTRY, dead="status_500")),
    ],
    ids=["add", "skip", "sent", "dead"],
)
def test_what_two_threads_count_at_once_counts_twice(
    name: str, count: Callable[[Tally], None]
) -> None:
    tally = Tally()
    counter = SlowCounter()
    setattr(tally, name, counter)
    threads = [Thread(target=count, args=(tally,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert list(counter.values()) == [2]
