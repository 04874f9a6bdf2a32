"""The deployments that are compared, and the highest rate that each limit leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf, sqrt
from typing import NamedTuple

from handler.context import RoleCredentials
from handler.sessions.cache import Session
from signer import Credentials

from .inputs import World


class Setup(NamedTuple):
    """A deployment. Its sizes are those of s.yaml, or of deploy/custom-runtime/s.yaml if `concurrency` is above 1."""

    name: str
    instances: int  # in each region
    concurrency: int = 1  # requests that one instance serves at a time
    regions: int = 1
    links_per_request: int = 1
    cdn: bool = False  # in front of mounts with `cache`
    assume_role: bool = False

    @property
    def custom(self) -> bool:
        return self.concurrency > 1

    @property
    def vcpu(self) -> float:
        return 1.0 if self.custom else 0.35

    @property
    def memory(self) -> float:
        """In GB."""
        return 1.0 if self.custom else 0.5

    @property
    def disk(self) -> float:
        """In GB."""
        return 0.5

    def processor(self, world: World) -> float:
        """Seconds that a request keeps the processor of its instance busy."""
        if self.custom:
            return 1 / (world.measured.custom_requests_per_second * world.assumed.custom_share)
        return (world.measured.warm_event if self.links_per_request == 1 else world.measured.batch) / self.vcpu

    def held(self, world: World) -> float:
        """Seconds that a request counts as one of those that its instance serves."""
        return world.assumed.overhead + self.processor(world)

    def instance_rate(self, world: World) -> float:
        """Requests per second at which an instance is full, so that Function Compute starts another one.

        In a custom runtime that is the rate x at which the requests that the platform holds, and those that wait for
        the processor as in M/M/1, are as many as `concurrency`: x * overhead + x * p / (1 - x * p) = concurrency.
        """
        if not self.custom:
            return 1 / self.held(world)
        overhead, p = world.assumed.overhead, self.processor(world)
        half = (overhead + p + self.concurrency * p) / 2
        return self.concurrency / (half + sqrt(half * half - overhead * p * self.concurrency))

    def downloads(self, world: World, instances: float) -> float:
        """Requests to OSS for each link, while so many instances of a region issue links.

        With `[assume_role]` each instance has links of its own, and a CDN has to fetch an object once for each of them.
        """
        if not self.cdn:
            return 1.0
        misses = 1 - world.assumed.cdn_hits
        return min(1.0, misses * max(1.0, instances) * self.regions) if self.assume_role else misses


def quota(world: World) -> int:
    """Instances that one function may have in a region."""
    return int(world.limits.instances * world.limits.function_share)


def setups(world: World) -> tuple[Setup, ...]:
    most, threads = quota(world), 20
    return (
        Setup("built-in runtime, as env.yaml has it", 20),
        Setup("built-in runtime", most),
        Setup("custom runtime", most, threads),
        Setup("custom, cache, CDN", most, threads, cdn=True),
        Setup("custom, cache, CDN, [assume_role]", most, threads, cdn=True, assume_role=True),
        Setup("custom, cache, CDN, four regions", most, threads, regions=4, cdn=True),
    )


def batches(world: World) -> Setup:
    return Setup("built-in runtime, 1,000 links a request", quota(world), links_per_request=world.measured.batch_links)


def renewal_period(world: World) -> float:
    """Seconds between two calls to STS for one mount of one instance."""
    keys = RoleCredentials(Credentials("STS.EXAMPLE", "an-example-of-a-secret", "CAIS"), None)
    return Session(keys, 0, world.assumed.session).fresh_until(world.assumed.max_expires)


def capacities(setup: Setup, world: World) -> Mapping[str, float]:
    """Links per second at which each limit is reached."""
    rate = setup.regions * setup.instance_rate(world) * setup.links_per_request
    sts = inf
    if setup.assume_role:
        sts = world.limits.sts * renewal_period(world) / world.assumed.mounts * rate / setup.regions
    return {"instances": setup.instances * rate, "OSS": _oss_capacity(setup, world, rate), "STS": sts}


def _oss_capacity(setup: Setup, world: World, rate: float) -> float:
    """The highest rate of links whose downloads OSS answers, by bisection: downloads only grow with links."""
    low, high = 0.0, 1e9
    for _ in range(60):
        middle = (low + high) / 2
        downloads = middle * setup.downloads(world, ceil(middle / rate))
        low, high = (middle, high) if downloads <= world.limits.oss else (low, middle)
    return low
