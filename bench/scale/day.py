"""The sums of a day: what an operator sees of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import exp
from typing import NamedTuple

from .inputs import World
from .setups import Setup
from .simulation import Second

INTERVAL = 600  # seconds for each point of `curve`


class Day(NamedTuple):
    """Shares are of the arrivals; latencies are in seconds, from the platform's edge, of what was answered."""

    links: float
    answered: float
    throttled: float
    unavailable: float
    refused: float
    cold_share: float
    p50: float
    p99: float
    instances: int
    sts_calls: float  # in the busiest second
    oss_requests: float  # in the busiest second
    oss_requests_total: float
    units: float
    usd: float
    curve: Sequence[tuple[float, float]]  # hour, links per second that were delivered

    @property
    def failed_share(self) -> float:
        """Of the links that arrived: neither answered nor delivered by OSS."""
        return (self.throttled + self.unavailable + self.refused) / self.links if self.links else 0.0

    @property
    def delivered(self) -> float:
        return self.answered - self.refused

    @property
    def usd_per_million(self) -> float:
        return self.usd / self.answered * 1e6 if self.answered else 0.0


def sum_day(setup: Setup, seconds: Iterable[Second], world: World) -> Day:
    latencies = Latencies(setup, world)
    answered = throttled = unavailable = refused = cold = calls = requests = total = busy = invocations = 0.0
    instances, delivered, curve = 0, 0.0, []
    for number, second in enumerate(seconds, 1):
        answered += second.answered
        throttled += second.throttled
        unavailable += second.unavailable
        refused += second.refused
        cold += second.cold
        calls = max(calls, second.sts_calls)
        requests = max(requests, second.oss_requests)
        total += second.oss_requests
        busy += second.busy
        invocations += second.invocations
        instances = max(instances, second.instances)
        latencies.add(second.answered - second.cold, second.cold, second.utilisation)
        delivered += second.answered - second.refused
        if number % INTERVAL == 0:
            curve.append((number / 3_600, delivered / INTERVAL))
            delivered = 0.0
    prices = world.prices
    units = invocations * prices.invocation + busy * (
        setup.vcpu * prices.vcpu_second + setup.memory * prices.memory_gb_second + setup.disk * prices.disk_gb_second
    )
    links = answered + throttled + unavailable
    return Day(
        links=links,
        answered=answered,
        throttled=throttled,
        unavailable=unavailable,
        refused=refused,
        cold_share=cold / answered if answered else 0.0,
        p50=latencies.quantile(0.5),
        p99=latencies.quantile(0.99),
        instances=instances,
        sts_calls=calls,
        oss_requests=requests,
        oss_requests_total=total,
        units=units,
        usd=prices.usd(units) + total * (prices.oss_get or 0.0) / 10_000,
        curve=curve,
    )


class Latencies:
    """A request waits for the platform, and for the processor that it shares with others in a custom runtime.

    The wait is that of a queue with exponential service times, M/M/1. A new instance adds its start.
    """

    def __init__(self, setup: Setup, world: World) -> None:
        assumed = world.assumed
        self._overhead, self._processor = assumed.overhead, setup.processor(world)
        self._shared = setup.custom
        self._start = assumed.start + world.measured.new_process / setup.vcpu
        self._start += assumed.sts_call if setup.assume_role else 0.0
        self._warm: defaultdict[int, float] = defaultdict(float)  # links by the percent that processors were busy
        self._cold = 0.0

    def add(self, warm: float, cold: float, utilisation: float) -> None:
        self._warm[int(100 * utilisation) if self._shared else 0] += warm
        self._cold += cold

    def quantile(self, share: float) -> float:
        total = sum(self._warm.values()) + self._cold
        if not total:
            return 0.0
        low, high = 0.0, 60.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self._within(middle) < share * total else (low, middle)
        return high

    def _within(self, seconds: float) -> float:
        """How many links were answered within this time."""
        waited = seconds - self._overhead
        if waited <= 0:
            return 0.0
        warm = sum(
            links * (1 - exp(-waited * (1 - percent / 100) / self._processor)) for percent, links in self._warm.items()
        )
        return warm + (self._cold if waited >= self._start + self._processor else 0.0)
