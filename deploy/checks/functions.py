"""Checks what a function of this project needs, beyond what fc3 accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import handler
from local.fc.functions import DEFAULT_INITIALIZER_TIMEOUT, DEFAULT_TIMEOUT, Function

from ..model import LOG_DAYS, ConfiguredFunction
from ..runtimes import RUNTIMES
from .secrets import secret_in_variable

# One try takes up to 15 s; what precedes it, its marks and the response need the rest.
MIN_EVENT_TIMEOUT = 70  # seconds
# A request waits up to 2 s for OSS, and a share takes several requests to it.
MIN_HTTP_TIMEOUT = 10  # seconds
# Of an account in a region, without a higher quota: 90 % of 300. Source: the page on the quota of instances.
MAX_INSTANCES = 270
# The Cybersecurity Law of 2017, article 21: six months.
MIN_LOG_DAYS = 184
HTTP_HANDLER = "handler.on_http"
HANDLERS = tuple(f"handler.{name}" for name in handler.__all__)
# Variables that only a laptop sets.
LOCAL_VARIABLES = ("LINK_CDN_ENDPOINT", "LINK_OSS_ENDPOINT", "LINK_PUBLIC_URL", "LINK_STS_ENDPOINT")


def faults(function: Function) -> Iterator[str]:
    yield from _handler(function)
    yield from _environment(function.environment)
    yield from _size(function)
    if function.log is None:
        yield (
            "logConfig must name a project and a logstore: without it a deployment turns the log off, and audit lines "
            "are lost; with auto it may choose others each time."
        )
    elif function.log.begin_rule == "DefaultRegex":
        yield (
            "logConfig.logBeginRule is DefaultRegex, which joins lines that begin without a date, so queries and "
            "alarms find nothing: write None."
        )
    if {"provisionConfig", "scalingConfig"} <= function.prop_names:
        yield "provisionConfig and scalingConfig exclude each other: remove one."


def warnings(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for a setting with which a function works, and which is noticed too late."""
    function = configured.function
    resource = function.resource
    on_mainland = function.region.startswith("cn-") and function.region != "cn-hongkong"
    rules = (
        (
            function.log is not None and not function.log.request_metrics,
            f"{resource}: logConfig.enableRequestMetrics is false, so the query Function duration of "
            "docs/operations.md finds nothing: write true.",
        ),
        (
            on_mainland and configured.log_days < MIN_LOG_DAYS,
            f"vars.log_days is {configured.log_days}, but services in mainland China must keep network logs for at "
            f"least six months: set it to {LOG_DAYS}.",
        ),
        (
            (function.instances or 0) > MAX_INSTANCES,
            f"{resource}: concurrencyConfig.reservedConcurrency is {function.instances}: Function Compute refuses more "
            f"than the quota of the account, which allows {MAX_INSTANCES} by default for all functions of a region "
            "together.",
        ),
        (
            not function.internet_access,
            f"{resource}: internetAccess is false, so webhooks and robots, and STS outside of the VPC, cannot be "
            "reached: write true, unless its VPC has a NAT gateway.",
        ),
    )
    yield from (sentence for applies, sentence in rules if applies)


def _handler(function: Function) -> Iterator[str]:
    runtime = RUNTIMES.get(function.runtime)
    if runtime is None:
        yield f"runtime {function.runtime} is not supported: choose one of {', '.join(RUNTIMES)}."
        return
    if runtime.custom:
        return
    if function.handler not in HANDLERS:
        yield f"handler is {function.handler}: choose one of {', '.join(HANDLERS)}."
    if function.initializer is None or function.initializer.handler != "handler.on_initialize":
        effect = "only the first request discovers an invalid links.toml"
        yield f"instanceLifecycleConfig.initializer.handler must be handler.on_initialize: otherwise {effect}."
    if function.concurrency != 1:
        reason = f"an instance of {runtime.name} handles one request at a time"
        yield f"instanceConcurrency must be 1 (got {function.concurrency}): {reason}."


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if name in LOCAL_VARIABLES:
            yield f"environmentVariables.{name} is only for a laptop: remove it."
        if secret := secret_in_variable(name, value):
            risk = f"contains what looks like {secret}, and s deploy prints it"
            yield f"environmentVariables.{name} {risk}: move secrets to the keys document."


def _size(function: Function) -> Iterator[str]:
    if function.cpu is None or "memorySize" not in function.prop_names:
        yield "cpu and memorySize are both required: otherwise a deployment chooses them for you."
    elif not 1 <= function.memory / 1024 / function.cpu <= 4:
        yield f"memorySize {function.memory} with cpu {function.cpu}: Function Compute requires 1 to 4 GB per vCPU."
    if function.takes_events:
        if function.timeout < MIN_EVENT_TIMEOUT:
            yield (
                f"timeout must be at least {MIN_EVENT_TIMEOUT} for a function that sends notices (got "
                f"{function.timeout}): one try takes up to 15 s, and its marks must fit, too. Set it to 120."
            )
    elif "timeout" in function.prop_names and function.timeout < MIN_HTTP_TIMEOUT:
        yield (
            f"timeout must be at least {MIN_HTTP_TIMEOUT} (got {function.timeout}): otherwise Function Compute ends "
            "requests while they wait for OSS. Set it to 30."
        )
    elif "timeout" not in function.prop_names:
        yield f"timeout is missing: the default is {DEFAULT_TIMEOUT} s, too short for uploads and shares. Set it to 30."
    if function.initializer and function.initializer.timeout < DEFAULT_INITIALIZER_TIMEOUT:
        yield (
            f"instanceLifecycleConfig.initializer.timeout must be at least {DEFAULT_INITIALIZER_TIMEOUT} (got "
            f"{function.initializer.timeout}): otherwise a slow start never ends. Set it to 30."
        )
    if function.instances is None and function.http:
        yield "concurrencyConfig.reservedConcurrency is missing: it limits what a flood of requests can cost."
