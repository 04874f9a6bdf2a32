"""What a link costs as mounts, key, query and token grow, and what OSS is asked as the state prefix fills."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from time import process_time
from timeit import timeit
from typing import NamedTuple

from ..details import Details
from ..figures import Bound, Figure, Spread
from . import history
from .links import FLAT, LINEAR, READING, Axis, Call

ROUNDS = 5
BATCHES = 7  # of a round, of which the fastest counts: others use the machine, too
BATCH = 0.003  # seconds
GROWTH = Bound(1.3, 1.1)
SAME = Bound(1.0, 1.0)


class Times(NamedTuple):
    """Seconds of one call for each size of an axis, once for each round."""

    axis: Axis
    rounds: list[list[float]]

    @property
    def fastest(self) -> list[float]:
        """Seconds for each size."""
        return [min(seconds) for seconds in zip(*self.rounds, strict=True)]

    def curve(self, value: Callable[[float], float]) -> list[tuple[float, float]]:
        """For each size what `value` makes of its seconds."""
        return [(size, value(seconds)) for size, seconds in zip(self.axis.sizes, self.fastest, strict=True)]


def measure(details: Details) -> list[Figure]:
    flat, *linear = [_times(axis) for axis in (FLAT, *LINEAR)]
    reading = _times(READING)
    requests = history.requests()
    for times in (flat, *linear, reading):
        points = ", ".join(f"{size:,}: {seconds * 1e6:,.1f}" for size, seconds in times.curve(float))
        details.line(f"  {times.axis.largest}, microseconds by {times.axis.xlabel}: {points}")
    for name, counts in requests.items():
        points = ", ".join(f"{size:,}: {count}" for size, count in zip(history.SIZES, counts, strict=True))
        details.line(f"  {name}, requests to OSS by objects of history: {points}")
    details.note("OSS requests are counted with 100,000 objects of history in the state prefix.")
    _draw(details, [flat, *linear], reading, requests)
    return [
        _flat(flat),
        *(_linear(times) for times in (*linear, reading)),
        *(_requests(name, counts) for name, counts in requests.items()),
    ]


def _times(axis: Axis) -> Times:
    """All sizes in turns, so that what else the machine does meets each of them."""
    calls = [axis.prepare(size) for size in axis.sizes]
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        for call in calls:
            call()
        return Times(axis, [[_seconds(call) for call in calls] for _ in range(ROUNDS)])


def _seconds(call: Call) -> float:
    """Of one call, of the processor's time, and without the garbage collector, which timeit turns off."""
    count = max(1, int(BATCH / timeit(call, timer=process_time, number=1)))
    batches = BATCHES if count > 1 else 2
    return min(timeit(call, timer=process_time, number=count) / count for _ in range(batches))


def _flat(times: Times) -> Figure:
    return _figure(times, times.axis.smallest, lambda seconds: seconds[0])


def _linear(times: Times) -> Figure:
    """Against the straight line through the smallest size and the one before the largest."""
    first, *_, middle, last = times.axis.sizes
    slope = (last - first) / (middle - first)
    return _figure(times, "a straight line", lambda seconds: seconds[0] + (seconds[-2] - seconds[0]) * slope)


def _figure(times: Times, peer: str, expect: Callable[[Sequence[float]], float]) -> Figure:
    """The largest size against what is expected of it. The ratio is that of the fastest rounds: noise only adds."""
    rounds = [seconds[-1] / expect(seconds) for seconds in times.rounds]
    fastest = times.fastest[-1] / expect(times.fastest)
    ratio = Spread(fastest, min(fastest, *rounds), max(fastest, *rounds))
    unit, factor = ("ms", 1e3) if times.axis is READING else ("µs", 1e6)
    ours = Spread.of([seconds[-1] * factor for seconds in times.rounds])
    expected = Spread.of([expect(seconds) * factor for seconds in times.rounds])
    return Figure(times.axis.largest, unit, ours, peer, expected, ratio, GROWTH)


def _requests(name: str, counts: Sequence[int]) -> Figure:
    ours, peer = Spread.of([counts[-1]]), Spread.of([counts[0]])
    ratio = Spread.of([counts[-1] / counts[0]])
    return Figure(f"OSS requests, {name}", "", ours, "without history", peer, ratio, SAME)


def _draw(details: Details, links: Sequence[Times], reading: Times, requests: dict[str, list[int]]) -> None:
    for picture in dict.fromkeys(times.axis.picture for times in links):
        drawn = [times for times in links if times.axis.picture == picture]
        axis = drawn[0].axis
        series = {times.axis.label: times.curve(lambda seconds: 1 / seconds) for times in drawn}
        details.curve(f"growth-{picture}", axis.title, axis.xlabel, "links per second", series, log_x=axis is FLAT)
    milliseconds = {READING.label: reading.curve(lambda seconds: seconds * 1e3)}
    details.curve("growth-reading", READING.title, READING.xlabel, "milliseconds", milliseconds)
    # A logarithmic axis has no 0.
    counts = {
        name: [(max(1, size), count) for size, count in zip(history.SIZES, row, strict=True)]
        for name, row in requests.items()
    }
    title, xlabel = "History in the state prefix", "objects (none is drawn at 1)"
    details.curve("growth-history", title, xlabel, "requests to OSS", counts, log_x=True)
