"""What a function of this project needs, beyond what fc3 takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import handler

from ..runtimes import RUNTIMES
from .secrets import leak_in_variable

# The methods of the routes (docs: the HTTP interface).
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
ENVIRONMENT_BYTES = 4096
WEB = "handler.on_http"
ENTRIES = tuple(f"handler.{name}" for name in handler.__all__)
# Names that only a laptop sets.
_LOCAL = ("LINK_OSS_ENDPOINT",)
_ROLE = re.compile(r"acs:ram::\d+:role/[\w.@-]+|[\w.@-]+", re.ASCII)
_SOURCE = re.compile(r"acs:oss:[a-z0-9-]+:(\d+|\$\{config\(['\"]AccountID['\"]\)\}):[a-z0-9-]+")

Props = Mapping[str, Any]


def faults(props: Props) -> Iterator[str]:
    """A sentence for each. `props` have passed the schema."""
    yield from _entry(props)
    yield from _environment(mapping(props.get("environmentVariables")))
    yield from _size(props)
    role = props.get("role")
    if not role:
        yield "role is missing: without one the function has no credentials to sign with."
    elif not _ROLE.fullmatch(str(role)):
        yield f"role is {role!r}: write a role's name, or its ARN."
    if not props.get("logConfig"):
        yield "logConfig is missing: a deployment clears it then, and the audit lines are lost."
    elif props["logConfig"] == "auto":
        yield "logConfig is auto: name a project and a logstore, since auto may choose anew."
    if "provisionConfig" in props and "scalingConfig" in props:
        yield "provisionConfig and scalingConfig exclude each other: leave one out."
    for trigger in props.get("triggers") or []:
        for sentence in _trigger(trigger, props):
            yield f"trigger {trigger['triggerName']}: {sentence}"
    yield from _domain(mapping(props.get("customDomain")))


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def is_web(props: Props) -> bool:
    """Whether the function answers HTTP requests."""
    return any(trigger.get("triggerType") == "http" for trigger in props.get("triggers") or [])


def _entry(props: Props) -> Iterator[str]:
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None:
        yield f"runtime is {props['runtime']}: this project runs on {', '.join(RUNTIMES)}."
        return
    initializer = mapping(mapping(props.get("instanceLifecycleConfig")).get("initializer"))
    if runtime.custom:
        command = mapping(props.get("customRuntimeConfig")).get("command") or []
        if not any("gunicorn" in str(part) for part in command):
            yield "customRuntimeConfig.command does not start gunicorn: a custom runtime serves HTTP itself."
        return
    if props["handler"] not in ENTRIES:
        yield f"handler is {props['handler']}: choose one of {', '.join(ENTRIES)}."
    if initializer.get("handler") != "handler.on_initialize":
        yield (
            "instanceLifecycleConfig.initializer.handler is not handler.on_initialize: a bad links.toml would be "
            "found by the first visitor."
        )
    if props.get("instanceConcurrency", 1) != 1:
        yield f"instanceConcurrency is {props['instanceConcurrency']}: {runtime.name} takes one request at a time."


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if name.startswith("FC_"):
            yield f"environmentVariables.{name}: names that begin with FC_ are Function Compute's own."
        if name in _LOCAL:
            yield f"environmentVariables.{name} is for a laptop: leave it out."
        leak = leak_in_variable(name, str(value))
        if leak:
            yield (
                f"environmentVariables.{name} holds what looks like {leak}, and s deploy prints it: "
                "put secrets into the keys document."
            )
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in variables.items())
    if size >= ENVIRONMENT_BYTES:
        yield f"environmentVariables hold {size} bytes: less than {ENVIRONMENT_BYTES} are allowed."


def _size(props: Props) -> Iterator[str]:
    cpu, memory = props.get("cpu"), props.get("memorySize")
    if cpu is None or memory is None:
        yield "cpu and memorySize are not both given: a deployment chooses for you then."
    elif not 1 <= memory / 1024 / cpu <= 4:
        yield f"memorySize {memory} with cpu {cpu}: Function Compute wants 1 to 4 GB of memory a vCPU."
    ceiling = mapping(props.get("concurrencyConfig")).get("reservedConcurrency")
    if is_web(props) and not ceiling:
        yield "concurrencyConfig.reservedConcurrency is missing: nothing limits what a flood of requests costs."


def _trigger(trigger: Mapping[str, Any], props: Props) -> Iterator[str]:
    kind, config = trigger["triggerType"], mapping(trigger["triggerConfig"])
    if kind == "http":
        methods = config["methods"]
        if "GET" in methods and "HEAD" not in methods:
            yield "methods has GET but not HEAD, which GET does not bring: add HEAD."
        missing = [method for method in METHODS if method not in methods and method != "HEAD"]
        if missing and (props.get("handler") == WEB or props["runtime"].startswith("custom")):
            yield f"methods lacks {', '.join(missing)}, which the routes need: add them."
    elif kind == "oss":
        if not trigger.get("invocationRole"):
            yield "invocationRole is missing: OSS cannot call the function without it."
        if not _SOURCE.fullmatch(str(trigger.get("sourceArn"))):
            yield "sourceArn is no acs:oss:REGION:ACCOUNT:BUCKET: name the bucket whose events call the function."


def _domain(domain: Mapping[str, Any]) -> Iterator[str]:
    if not domain:
        return
    certificate = mapping(domain.get("certConfig"))
    by_name = {"certName", "certificate", "privateKey"}
    if "HTTPS" in domain["protocol"].split(",") and set(certificate) not in ({"certId"}, by_name):
        yield (
            "customDomain.protocol has HTTPS, but certConfig names no certificate: write certId, or all of "
            f"{', '.join(sorted(by_name))}."
        )
    if "PRIVATE KEY" in str(certificate.get("privateKey")):
        yield "customDomain.certConfig.privateKey holds the key itself, and s deploy prints it: name its file."
    if mapping(domain.get("route")).get("path") != "/*":
        yield "customDomain.route.path is not /*: links of other paths would not reach the function."
