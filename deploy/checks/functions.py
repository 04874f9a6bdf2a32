"""Checks what a function of this project needs, beyond what fc3 accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import handler

from ..runtimes import RUNTIMES
from .secrets import secret_in_variable

ENVIRONMENT_BYTES = 4096
DEFAULT_TIMEOUT = 3  # seconds, of Function Compute
# One try takes up to 15 s; what precedes it, its marks and the response need the rest.
MIN_EVENT_TIMEOUT = 70  # seconds
HTTP_HANDLER, EVENT_HANDLER = "handler.on_http", "handler.on_event"
APP = "handler.asgi:app"  # of uvicorn, in a custom runtime
HANDLERS = tuple(f"handler.{name}" for name in handler.__all__)
# Variables that only a laptop sets.
LOCAL_VARIABLES = ("LINK_OSS_ENDPOINT", "LINK_PUBLIC_URL", "LINK_STS_ENDPOINT")

Props = Mapping[str, Any]
_Value = TypeVar("_Value")


def functions_in(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a rendered s.yaml that are functions, whatever the version of their component."""
    return {
        name: resource
        for name, resource in mapping(document.get("resources")).items()
        if isinstance(resource, dict)
        and str(resource.get("component")).split("@")[0] == "fc3"
        and isinstance(resource.get("props"), dict)
    }


def is_own(props: Props, config: Path, root: Path) -> bool:
    """Whether it is a function of this project: others may be deployed by the same file, and are not checked.

    It is by its code, and by what it starts, so that a misspelt folder is a fault.
    """
    custom = mapping(props.get("customRuntimeConfig"))
    arguments = [*_list(custom.get("command")), *_list(custom.get("args"))]
    starts_own = str(props.get("handler")).startswith("handler.on_") or any(APP in str(part) for part in arguments)
    return starts_own or is_built(props, config, root)


def is_built(props: Props, config: Path, root: Path) -> bool:
    """Whether its code is what the build makes."""
    code = props.get("code")
    return isinstance(code, str) and root / "build" in (config.resolve().parent / code).resolve().parents


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def is_web(props: Props) -> bool:
    """Whether the function has an HTTP trigger."""
    return any(trigger.get("triggerType") == "http" for trigger in props.get("triggers") or [])


def repeated(values: Iterable[_Value]) -> list[_Value]:
    """The values that occur more than once, each once."""
    listed = list(values)
    return [value for value in dict.fromkeys(listed) if listed.count(value) > 1]


def is_custom(props: Props) -> bool:
    """Whether the function serves HTTP itself, requests as well as events."""
    return str(props.get("runtime")).startswith("custom")


def takes_events(props: Props) -> bool:
    """Whether the function is for events: by its handler, or in a custom runtime by its triggers."""
    if is_custom(props):
        return any(trigger["triggerType"] != "http" for trigger in props.get("triggers") or [])
    return props.get("handler") == EVENT_HANDLER


def faults(props: Props) -> Iterator[str]:
    """A sentence for each fault. `props` must have passed the schema."""
    yield from _handler(props)
    yield from _environment(mapping(props.get("environmentVariables")))
    yield from _size(props)
    if not props.get("logConfig"):
        yield "logConfig is missing: without it a deployment turns the log off, and audit lines are lost."
    elif props["logConfig"] == "auto":
        yield "logConfig must name a project and a logstore (got auto): auto may choose others at each deployment."
    if "provisionConfig" in props and "scalingConfig" in props:
        yield "provisionConfig and scalingConfig exclude each other: remove one."


def _handler(props: Props) -> Iterator[str]:
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None:
        yield f"runtime {props['runtime']} is not supported: choose one of {', '.join(RUNTIMES)}."
        return
    if runtime.custom:
        return
    if props["handler"] not in HANDLERS:
        yield f"handler is {props['handler']}: choose one of {', '.join(HANDLERS)}."
    initializer = mapping(mapping(props.get("instanceLifecycleConfig")).get("initializer"))
    if initializer.get("handler") != "handler.on_initialize":
        yield (
            "instanceLifecycleConfig.initializer.handler must be handler.on_initialize: otherwise only the first "
            "request discovers an invalid links.toml."
        )
    if props.get("instanceConcurrency", 1) != 1:
        yield (
            f"instanceConcurrency must be 1 (got {props['instanceConcurrency']}): an instance of {runtime.name} "
            "handles one request at a time."
        )


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if name.startswith("FC_"):
            yield f"environmentVariables.{name} is reserved for Function Compute, as all names that begin with FC_."
        if name in LOCAL_VARIABLES:
            yield f"environmentVariables.{name} is only for a laptop: remove it."
        secret = secret_in_variable(name, str(value))
        if secret:
            yield (
                f"environmentVariables.{name} contains what looks like {secret}, and s deploy prints it: move secrets "
                "to the keys document."
            )
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in variables.items())
    if size >= ENVIRONMENT_BYTES:
        yield f"environmentVariables must be smaller than {ENVIRONMENT_BYTES} bytes in total (got {size})."


def _size(props: Props) -> Iterator[str]:
    cpu, memory = props.get("cpu"), props.get("memorySize")
    if cpu is None or memory is None:
        yield "cpu and memorySize are both required: otherwise a deployment chooses them for you."
    elif not 1 <= memory / 1024 / cpu <= 4:
        yield f"memorySize {memory} with cpu {cpu}: Function Compute requires 1 to 4 GB of memory per vCPU."
    timeout = props.get("timeout")
    if takes_events(props):
        if (timeout or DEFAULT_TIMEOUT) < MIN_EVENT_TIMEOUT:
            yield (
                f"timeout must be at least {MIN_EVENT_TIMEOUT} for a function that sends notices "
                f"(got {timeout or f'{DEFAULT_TIMEOUT}, the default'}): one try takes up to 15 s, and its marks must "
                "fit, too. Set it to 120."
            )
    elif timeout is None:
        yield f"timeout is missing: the default is {DEFAULT_TIMEOUT} s, too short for uploads and shares. Set it to 30."
    reserved = mapping(props.get("concurrencyConfig")).get("reservedConcurrency")
    if reserved is not None and reserved < 1:
        yield f"concurrencyConfig.reservedConcurrency must be at least 1 (got {reserved}): 0 lets no request in."
    elif reserved is None and is_web(props):
        yield "concurrencyConfig.reservedConcurrency is missing: it limits what a flood of requests can cost."
