"""Checks the triggers of a function, each alone and against its handler."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from local.fc.functions import Function, Trigger
from local.fc.schedule import InvalidSchedule, schedule

from .functions import HANDLERS, HTTP_HANDLER
from .names import ACCOUNT

# The methods of the routes in docs/api.md.
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
_CALLERS = {"oss": "OSS", "mns_topic": "SMQ"}
_SOURCE = re.compile(rf"acs:oss:[a-z0-9-]+:{ACCOUNT}:[a-z0-9-]+")


def faults(function: Function) -> Iterator[str]:
    """A sentence for each fault."""
    for name, count in Counter(trigger.name for trigger in function.triggers).items():
        if count > 1:
            yield f"triggerName {name} is used more than once: each trigger needs its own."
    handler = function.handler
    if function.runs_locally:
        if handler == HTTP_HANDLER and not function.http:
            yield f"handler is {handler}, which requires an http trigger: add one."
        elif handler in HANDLERS and handler != HTTP_HANDLER and function.http:
            yield f"handler is {handler}, but an http trigger requires {HTTP_HANDLER}: remove the trigger."
    for trigger in function.triggers:
        for sentence in _trigger(trigger, function):
            yield f"trigger {trigger.name}: {sentence}"


def _trigger(trigger: Trigger, function: Function) -> Iterator[str]:
    kind, config = trigger.kind, trigger.config
    if kind in _CALLERS and not trigger.caller:
        yield f"invocationRole is missing: {_CALLERS[kind]} needs it to call the function."
    if kind == "http":
        methods = config["methods"]
        if "GET" in methods and "HEAD" not in methods:
            yield "methods has GET, which does not include HEAD: add HEAD."
        missing = [method for method in METHODS if method not in methods and method != "HEAD"]
        if missing and (function.handler == HTTP_HANDLER or not function.runs_locally):
            yield f"methods must include {', '.join(missing)}, which the routes need."
    elif kind == "oss":
        if not _SOURCE.fullmatch(trigger.source):
            yield "sourceArn must be acs:oss:REGION:ACCOUNT:BUCKET, with the bucket whose events call the function."
    elif kind == "timer":
        try:
            schedule(config["cronExpression"])
        except InvalidSchedule as error:
            yield f"cronExpression: {error}"
