"""Checks the triggers of a function, each alone and against its handler."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.fc.schedule import InvalidSchedule, schedule

from .functions import HANDLERS, HTTP_HANDLER, Props, is_custom, is_web, mapping, repeated
from .names import ACCOUNT

# The methods of the routes in docs/api.md.
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
_CALLERS = {"oss": "OSS", "mns_topic": "SMQ"}
_SOURCE = re.compile(rf"acs:oss:[a-z0-9-]+:{ACCOUNT}:[a-z0-9-]+")


def faults(props: Props) -> Iterator[str]:
    """A sentence for each fault. `props` must have passed the schema."""
    triggers = props.get("triggers") or []
    for name in repeated(trigger["triggerName"] for trigger in triggers):
        yield f"triggerName {name} is used more than once: each trigger needs its own."
    if not is_custom(props):
        yield from _handler(str(props.get("handler")), is_web(props))
    for trigger in triggers:
        for sentence in _trigger(trigger, props):
            yield f"trigger {trigger['triggerName']}: {sentence}"


def _handler(handler: str, web: bool) -> Iterator[str]:
    if handler == HTTP_HANDLER and not web:
        yield f"handler is {handler}, which requires an http trigger: add one."
    elif handler in HANDLERS and handler != HTTP_HANDLER and web:
        yield f"handler is {handler}, but an http trigger requires {HTTP_HANDLER}: remove the trigger."


def _trigger(trigger: Mapping[str, Any], props: Props) -> Iterator[str]:
    kind, config = trigger["triggerType"], mapping(trigger["triggerConfig"])
    if kind in _CALLERS and not trigger.get("invocationRole"):
        yield f"invocationRole is missing: {_CALLERS[kind]} needs it to call the function."
    if kind == "http":
        methods = config["methods"]
        if "GET" in methods and "HEAD" not in methods:
            yield "methods has GET, which does not include HEAD: add HEAD."
        missing = [method for method in METHODS if method not in methods and method != "HEAD"]
        if missing and (props.get("handler") == HTTP_HANDLER or is_custom(props)):
            yield f"methods must include {', '.join(missing)}, which the routes need."
    elif kind == "oss":
        if not _SOURCE.fullmatch(str(trigger.get("sourceArn"))):
            yield "sourceArn must be acs:oss:REGION:ACCOUNT:BUCKET, with the bucket whose events call the function."
    elif kind == "timer":
        try:
            schedule(config["cronExpression"])
        except InvalidSchedule as error:
            yield f"cronExpression: {error}"
