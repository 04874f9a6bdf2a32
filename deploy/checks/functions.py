"""Checks what a function of this project needs, beyond what fc3 accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import handler

from ..runtimes import RUNTIMES
from .secrets import secret_in_variable

# The methods of the routes in docs/api.md.
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
ENVIRONMENT_BYTES = 4096
DEFAULT_TIMEOUT = 3  # seconds, of Function Compute
# One try takes up to 15 s; what precedes it, its marks and the response need the rest.
MIN_EVENT_TIMEOUT = 70  # seconds
HTTP_HANDLER, EVENT_HANDLER = "handler.on_http", "handler.on_event"
HANDLERS = tuple(f"handler.{name}" for name in handler.__all__)
# Variables that only a laptop sets.
_LOCAL_VARIABLES = ("LINK_OSS_ENDPOINT", "LINK_PUBLIC_URL")
_ROLE = re.compile(r"acs:ram::\d+:role/[\w.@-]+|[\w.@-]+", re.ASCII)
_SOURCE = re.compile(r"acs:oss:[a-z0-9-]+:(\d+|\$\{config\(['\"]AccountID['\"]\)\}):[a-z0-9-]+")

Props = Mapping[str, Any]


def functions_in(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a rendered s.yaml that are functions, whatever the version of their component."""
    return {
        name: resource
        for name, resource in mapping(document.get("resources")).items()
        if isinstance(resource, dict)
        and str(resource.get("component")).split("@")[0] == "fc3"
        and isinstance(resource.get("props"), dict)
    }


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def is_web(props: Props) -> bool:
    """Whether the function has an HTTP trigger."""
    return any(trigger.get("triggerType") == "http" for trigger in props.get("triggers") or [])


def takes_events(props: Props) -> bool:
    """Whether other services call the function; a custom runtime may also have an HTTP trigger."""
    others = (trigger for trigger in props.get("triggers") or [] if trigger.get("triggerType") != "http")
    return props.get("handler") == EVENT_HANDLER or any(others)


def faults(props: Props) -> Iterator[str]:
    """A sentence for each fault. `props` must have passed the schema."""
    yield from _handler(props)
    yield from _environment(mapping(props.get("environmentVariables")))
    yield from _size(props)
    role = props.get("role")
    if not role:
        yield "role is missing: the function needs it for the credentials that it signs with."
    elif not _ROLE.fullmatch(str(role)):
        yield f"role must be the name or the ARN of a role (got {role!r})."
    if not props.get("logConfig"):
        yield "logConfig is missing: without it a deployment turns the log off, and audit lines are lost."
    elif props["logConfig"] == "auto":
        yield "logConfig must name a project and a logstore (got auto): auto may choose others at each deployment."
    if "provisionConfig" in props and "scalingConfig" in props:
        yield "provisionConfig and scalingConfig exclude each other: remove one."
    for trigger in props.get("triggers") or []:
        for sentence in _trigger(trigger, props):
            yield f"trigger {trigger['triggerName']}: {sentence}"
    yield from _domain(mapping(props.get("customDomain")))


def _handler(props: Props) -> Iterator[str]:
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None:
        yield f"runtime {props['runtime']} is not supported: choose one of {', '.join(RUNTIMES)}."
        return
    initializer = mapping(mapping(props.get("instanceLifecycleConfig")).get("initializer"))
    if runtime.custom:
        command = mapping(props.get("customRuntimeConfig")).get("command") or []
        if not any("gunicorn" in str(part) for part in command):
            yield "customRuntimeConfig.command must start gunicorn: a custom runtime serves HTTP itself."
        return
    if props["handler"] not in HANDLERS:
        yield f"handler is {props['handler']}: choose one of {', '.join(HANDLERS)}."
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
            yield f"environmentVariables.{name}: names that begin with FC_ are reserved for Function Compute."
        if name in _LOCAL_VARIABLES:
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
    if not is_web(props) and (timeout or DEFAULT_TIMEOUT) < MIN_EVENT_TIMEOUT:
        yield (
            f"timeout must be at least {MIN_EVENT_TIMEOUT} for a function that sends notices "
            f"(got {timeout or f'{DEFAULT_TIMEOUT}, the default'}): one try takes up to 15 s, and its marks must fit, "
            "too. Set it to 120."
        )
    if is_web(props) and not mapping(props.get("concurrencyConfig")).get("reservedConcurrency"):
        yield "concurrencyConfig.reservedConcurrency is missing: it limits what a flood of requests can cost."


def _trigger(trigger: Mapping[str, Any], props: Props) -> Iterator[str]:
    kind, config = trigger["triggerType"], mapping(trigger["triggerConfig"])
    if kind == "http":
        methods = config["methods"]
        if "GET" in methods and "HEAD" not in methods:
            yield "methods has GET, which does not include HEAD: add HEAD."
        missing = [method for method in METHODS if method not in methods and method != "HEAD"]
        if missing and (props.get("handler") == HTTP_HANDLER or props["runtime"].startswith("custom")):
            yield f"methods must include {', '.join(missing)}, which the routes need."
    elif kind == "oss":
        if not trigger.get("invocationRole"):
            yield "invocationRole is missing: OSS needs it to call the function."
        if not _SOURCE.fullmatch(str(trigger.get("sourceArn"))):
            yield "sourceArn must be acs:oss:REGION:ACCOUNT:BUCKET, with the bucket whose events call the function."


def _domain(domain: Mapping[str, Any]) -> Iterator[str]:
    if not domain:
        return
    certificate = mapping(domain.get("certConfig"))
    by_name = {"certName", "certificate", "privateKey"}
    if "HTTPS" in domain["protocol"].split(",") and set(certificate) not in ({"certId"}, by_name):
        yield (
            "customDomain.certConfig is required, because customDomain.protocol has HTTPS: write certId, or all of "
            f"{', '.join(sorted(by_name))}."
        )
    if "PRIVATE KEY" in str(certificate.get("privateKey")):
        yield "customDomain.certConfig.privateKey contains the key, and s deploy prints it: name the key's file."
    if mapping(domain.get("route")).get("path") != "/*":
        yield "customDomain.route.path must be /*: requests to other paths would not reach the function."
