"""A service second by second: arrivals, instances, sessions and requests to OSS, as flows.

A second knows how many requests arrive and how many are served at once at most, both by chance; it does not follow
single requests. Regions are alike, so one is simulated, with its part of the account's limits.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from math import ceil
from random import Random
from typing import NamedTuple

from .inputs import World
from .setups import Setup, renewal_period
from .traffic import Rate, poisson


class Second(NamedTuple):
    """One second of all regions. The arrivals are the sum of `answered`, `throttled` and `unavailable`."""

    arrivals: float  # links
    answered: float  # links
    throttled: float  # links that got a 429: too few instances
    unavailable: float  # links that got a 503: a mount without a session
    refused: float  # downloads of `answered` that OSS did not serve
    cold: float  # links of `answered` that waited for a new instance
    instances: int
    sts_calls: float
    oss_requests: float  # served by OSS
    busy: float  # seconds of instances that are billed
    invocations: float
    utilisation: float  # of the processors of the instances, 0 to 1


class Pool:
    """The instances of one region: started when they are needed, removed when they are idle for too long."""

    def __init__(self, most: int, world: World) -> None:
        self.size = 0
        self._most, self._limits = most, world.limits
        self._starts = float(world.limits.burst)  # that are allowed now
        # The highest counts of the last `idle` seconds, falling, so that the first one is what is still there.
        self._used: deque[tuple[int, int]] = deque()

    def use(self, second: int, wanted: int) -> int:
        """Serves a second with so many instances, if it may; returns how many were started."""
        while self._used and self._used[0][0] <= second - self._limits.idle:
            self._used.popleft()
        kept = self._used[0][1] if self._used else 0
        self._starts = min(float(self._limits.burst), self._starts + self._limits.growth / 60)
        used = min(wanted, self._most, kept + int(self._starts))
        started = max(0, used - kept)
        self._starts -= started
        while self._used and self._used[-1][1] <= used:
            self._used.pop()
        self._used.append((second, used))
        self.size = max(kept, used)
        return started


class Sessions:
    """The calls to STS of one region: one for each mount of a new instance, and its renewals."""

    def __init__(self, mounts: int, per_second: float, period: float) -> None:
        self.waiting = 0.0  # mounts of instances, without a session
        self._mounts, self._per_second, self._period = mounts, per_second, max(1, int(period))
        self._due: defaultdict[int, float] = defaultdict(float)
        self._open = 0.0

    def advance(self, second: int, started: int, instances: int) -> float:
        """The calls of a second. A renewal that STS refuses is due again in the next second."""
        needed = float(self._mounts * instances)
        self.waiting = min(self.waiting + self._mounts * started, needed)
        due = self._due.pop(second, 0.0)
        self._open -= due
        # Sessions of instances that were removed are not renewed.
        due = min(due, max(0.0, needed - self.waiting - self._open))
        opened = min(self.waiting, self._per_second)
        renewed = min(due, self._per_second - opened)
        self.waiting -= opened
        for at, sessions in ((second + self._period, opened + renewed), (second + 1, due - renewed)):
            if sessions:
                self._due[at] += sessions
                self._open += sessions
        return opened + renewed


def simulate(setup: Setup, rate: Rate, seconds: int, random: Random, world: World) -> Iterator[Second]:
    """Each second in turn. The same seed gives all setups the same chance."""
    pool = Pool(setup.instances, world)
    mounts = world.assumed.mounts if setup.assume_role else 0
    sessions = Sessions(mounts, world.limits.sts / setup.regions, renewal_period(world))
    held, per_instance = setup.held(world), setup.instance_rate(world)
    for second in range(seconds):
        mean = rate(second) / setup.links_per_request / setup.regions
        arrivals = poisson(mean, random.random())
        # A second has 1 / held independent looks at what is served at once.
        at_once = poisson(mean * held, random.random() ** held)
        wanted = max(ceil(at_once / setup.concurrency), ceil(arrivals / per_instance))
        started = pool.use(second, wanted)
        served = min(float(arrivals), pool.size * per_instance)
        calls = sessions.advance(second, started, pool.size) if mounts else 0.0
        without = served * sessions.waiting / (mounts * pool.size) if mounts and pool.size else 0.0
        yield _second(setup, world, arrivals, served, without, started, pool.size, calls)


def _second(
    setup: Setup,
    world: World,
    arrivals: int,
    served: float,
    without: float,
    started: int,
    instances: int,
    calls: float,
) -> Second:
    """What follows for clients, OSS and the bill from the requests that instances served, some without a session."""
    links, regions = setup.links_per_request, setup.regions
    answered = served - without
    keys = instances / world.assumed.keys_interval
    wished = answered * links * setup.downloads(world, instances) + keys
    requests = min(wished, world.limits.oss / regions)
    refused = answered * links * (1 - requests / wished) if wished else 0.0
    # Requests that an instance serves together share these seconds; here only once all instances are busy.
    busy = served * setup.held(world)
    if setup.custom and instances:
        busy = min(busy, float(instances))
    starting = started * world.measured.new_process / setup.vcpu
    return Second(
        arrivals=arrivals * links * regions,
        answered=answered * links * regions,
        throttled=(arrivals - served) * links * regions,
        unavailable=without * links * regions,
        refused=refused * regions,
        cold=min(answered, float(started * setup.concurrency)) * links * regions,
        instances=instances * regions,
        sts_calls=calls * regions,
        oss_requests=requests * regions,
        busy=(busy + starting) * regions,
        invocations=served * regions,
        utilisation=min(1.0, served * setup.processor(world) / instances) if instances else 0.0,
    )
