"""What the simulation starts from: what `make bench` measured, what Alibaba Cloud documents, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple


class Measured(NamedTuple):
    """Figures of docs/performance.md, in seconds unless the name says otherwise; `COMMANDS` says where each is from."""

    warm_event: float = 19e-6
    new_process: float = 0.032
    custom_requests_per_second: float = 6_100
    batch: float = 0.017
    batch_links: int = 1_000
    oss_opening: int = 1
    oss_limited_share: int = 6
    oss_notice: int = 4
    oss_sink: int = 3


COMMANDS: Mapping[str, tuple[str, str]] = {
    "warm_event": ("processor time of a link, built-in runtime", "make bench ARGS=start"),
    "new_process": ("a new process, until its first link", "make bench ARGS=start"),
    "custom_requests_per_second": (
        "requests per second of the custom runtime, on one processor",
        "make bench ARGS=throughput",
    ),
    "batch": ("a batch of 1,000 links in one request", "make bench ARGS=many"),
    "oss_opening": ("requests to OSS when a browser opens a share", "shares.md"),
    "oss_limited_share": ("the most requests to OSS when a limited share is used", "shares.md"),
    "oss_notice": ("requests to OSS for each notice of an event", "events.md"),
    "oss_sink": ("requests to OSS for each sink of an event", "events.md"),
}


class Assumed(NamedTuple):
    """What no page says and nobody measured. Replace these by the figures of your own account."""

    overhead: float = 0.010  # seconds that a request holds an instance besides the processor time of the code
    start: float = 0.3  # seconds that the platform needs before the process starts
    sts_call: float = 0.05  # seconds
    custom_share: float = 0.25  # of the measured rate, with which one vCPU of an instance is planned
    peak: float = 3.0  # times the average of the day
    peak_hour: float = 21.0
    cdn_hits: float = 0.9  # share of the downloads that a CDN answers, if everybody has the same links
    mounts: int = 10  # with a session each
    session: int = 3_600  # seconds, `duration` of [assume_role]
    max_expires: int = 900  # seconds, of each mount
    keys_interval: int = 60  # seconds after which an instance reads the keys document again


ASSUMPTIONS: Mapping[str, tuple[str, str]] = {
    "overhead": (
        "{:.0f} ms",
        "a request holds its instance, besides its processor time. It is your *Function duration*. The platform's part "
        "is not documented; an example of [the FAQ on instances](https://www.alibabacloud.com/help/en/functioncompute/"
        "fc-3-0/can-a-service-process-more-than-300-requests-per-second) of 10 December 2024 has 10 ms",
    ),
    "start": ("{:.0f} ms", "the platform takes to start an instance, before the process starts. Not documented"),
    "sts_call": ("{:.0f} ms", "a call to STS takes"),
    "custom_share": (
        "{:.0%}",
        "of the measured requests per second are planned for an instance of the custom runtime, because the speed of "
        "its vCPU and the platform's own work were not measured",
    ),
    "peak": ("{:.0f} times", "the average is the rate of the busiest moment of the day"),
    "cdn_hits": ("{:.0%}", "of the downloads are answered by the CDN, if all instances issue the same links"),
    "mounts": ("{} mounts", "have a session in each instance, with `[assume_role]`"),
    "session": ("{:,} s", "is `duration` of these sessions"),
    "max_expires": ("{:,} s", "is `max_expires` of these mounts"),
}


class Limits(NamedTuple):
    """Documented defaults. Most can be raised on request."""

    instances: int = 100  # an account, in a region
    function_share: float = 0.9  # of these that functions may reserve
    concurrency: int = 200  # requests at a time of one instance, custom runtime
    burst: int = 300  # instances that start at once
    growth: int = 300  # more instances a minute
    idle: int = 180  # seconds until an unused instance is removed
    oss: int = 10_000  # requests per second of an account
    oss_sequential: int = 2_000  # if names follow each other
    download: int = 10  # Gbit/s to the internet, of an account in a region
    sts: int = 100  # calls of AssumeRole per second of an account


_HELP = "https://www.alibabacloud.com/help/en/"
SOURCES: Mapping[str, tuple[str, str, str]] = {
    "instances": (
        "{} instances of an account in a region. Another page says 300 (2 April 2026); the Quota Center decides",
        "Specify the maximum number of instances, 9 December 2025",
        f"{_HELP}functioncompute/fc/user-guide/overview-of-configuring-the-maximum-number-of-on-demand-instances",
    ),
    "function_share": (
        "{:.0%} of these may be reserved by functions, with `reservedConcurrency`",
        "配置并发实例数上限, 26 February 2024",
        "https://alibabacloud.com/help/zh/functioncompute/overview-of-configuring-the-maximum-number-of-on-demand-instances",
    ),
    "concurrency": (
        "1 to {} requests at a time in an instance of a custom runtime (`instanceConcurrency`), else one",
        "Configure instance concurrency, 4 June 2026",
        f"{_HELP}functioncompute/fc/configure-the-concurrency-of-a-single-instance",
    ),
    "burst": (
        "{} instances start at once in the five largest mainland regions, 100 elsewhere",
        "Configure provisioned instances, 7 February 2025",
        "https://alibabacloud.com/help/en/functioncompute/fc-3-0/user-guide/configure-provisioned-instances-and-auto-scaling-rules-1",
    ),
    "growth": (
        "then {} more a minute there, 100 elsewhere; other requests get a 429",
        "the same, and Limits and rules of instance scaling",
        "https://alibabacloud.com/help/en/functioncompute/fc-3-0/user-guide/instance-scaling-restrictions-and-rules",
    ),
    "idle": (
        "{} s to 300 s without a request, and an instance is removed",
        "Why infrequently used functions take longer to invoke",
        "https://alibabacloud.com/help/en/functioncompute/why-infrequently-used-functions-take-a-longer-period-of-time-to-invoke",
    ),
    "oss": (
        "{:,} requests per second of an account to OSS. Another page speaks of a bucket; none of a region",
        "0004-00000302, 20 March 2026",
        f"{_HELP}oss/user-guide/0004-00000302",
    ),
    "oss_sequential": (
        "{:,} of these, if the names of the objects follow each other, such as times",
        "the same; a random beginning of the names avoids it",
        f"{_HELP}oss/user-guide/0004-00000302",
    ),
    "download": (
        "{} Gbit/s of downloads to the internet in most regions of the mainland, 20 in Hangzhou, 2 to 5 elsewhere",
        "Limits and performance metrics, 31 December 2025",
        f"{_HELP}oss/user-guide/limits",
    ),
    "sts": (
        "{} calls of AssumeRole per second of an account",
        "Notification of request limit upgrade, 29 August 2022",
        "https://www.alibabacloud.com/notice/ram20220829",
    ),
}


class Prices(NamedTuple):
    """Function Compute bills units (CU), at a price that falls with those of a month. `oss_get` is yours to fill in."""

    invocation: float = 75 / 10_000  # units
    vcpu_second: float = 1.0
    memory_gb_second: float = 0.15
    disk_gb_second: float = 0.05
    tiers: tuple[tuple[float, float], ...] = ((100e6, 0.000020), (500e6, 0.000017), (inf, 0.000014))
    oss_get: float | None = None  # USD per 10,000 requests

    def usd(self, units_per_day: float) -> float:
        """The price of a day, of a month of 30 days that are all like it."""
        left, bill, below = units_per_day * 30, 0.0, 0.0
        for until, price in self.tiers:
            part = min(left, until - below)
            bill, left, below = bill + part * price, left - part, until
        return bill / 30


class World(NamedTuple):
    measured: Measured = Measured()
    assumed: Assumed = Assumed()
    limits: Limits = Limits()
    prices: Prices = Prices()
