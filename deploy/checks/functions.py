"""Checks what a function of this project needs, beyond what fc3 accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import handler
from local.fc.functions import DEFAULT_TIMEOUT, Function

from ..runtimes import RUNTIMES
from .secrets import secret_in_variable

# One try takes up to 15 s; what precedes it, its marks and the response need the rest.
MIN_EVENT_TIMEOUT = 70  # seconds
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
    if {"provisionConfig", "scalingConfig"} <= function.prop_names:
        yield "provisionConfig and scalingConfig exclude each other: remove one."


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
    elif "timeout" not in function.prop_names:
        yield f"timeout is missing: the default is {DEFAULT_TIMEOUT} s, too short for uploads and shares. Set it to 30."
    if function.instances is None and function.http:
        yield "concurrencyConfig.reservedConcurrency is missing: it limits what a flood of requests can cost."
