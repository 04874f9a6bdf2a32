"""Checks the triggers of a function, and where the results of asynchronous invocations go.

Source: the Function Compute page on destinations for asynchronous invocations.
"""

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
_OWNER = rf"[a-z0-9-]+:{ACCOUNT}"
# fc3's own examples leave the account of a topic empty.
_DESTINATION = re.compile(
    rf"acs:(?:mns:{_OWNER}:/queues/(?P<queue>[^/]+)/messages"
    rf"|mns:[a-z0-9-]+:{ACCOUNT}?:/topics/[A-Za-z0-9-]+/messages"
    rf"|fc:{_OWNER}:functions/(?P<function>[A-Za-z_][A-Za-z0-9_-]*)(?:[/.][A-Za-z0-9_-]+)?"
    rf"|eventbridge:{_OWNER}:eventbus/[A-Za-z0-9_.-]+)"
)
_QUEUE = re.compile(r"[A-Za-z0-9-]{1,120}")


def faults(function: Function) -> Iterator[str]:
    for name, count in Counter(trigger.name for trigger in function.triggers).items():
        if count > 1:
            yield f"triggerName {name} is used more than once: each trigger needs its own."
    handler = function.handler
    if function.is_built_in:
        if handler == HTTP_HANDLER and not function.http:
            yield f"handler is {handler}, which requires an http trigger: add one."
        elif handler in HANDLERS and handler != HTTP_HANDLER and function.http:
            yield f"handler is {handler}, but an http trigger requires {HTTP_HANDLER}: remove the trigger."
    for trigger in function.triggers:
        for sentence in _trigger(trigger, function):
            yield f"trigger {trigger.name}: {sentence}"


def _trigger(trigger: Trigger, function: Function) -> Iterator[str]:
    kind = trigger.kind
    config = trigger.config
    if kind in _CALLERS and not trigger.caller:
        yield f"invocationRole is missing: {_CALLERS[kind]} needs it to call the function."
    if kind == "http":
        methods = config["methods"]
        if config["authType"] != "anonymous":
            yield f"authType is {config['authType']}, so Function Compute refuses every visitor: write anonymous."
        if "GET" in methods and "HEAD" not in methods:
            yield "methods has GET, which does not include HEAD: add HEAD."
        missing = [method for method in METHODS if method not in methods and method != "HEAD"]
        if missing and (function.handler == HTTP_HANDLER or not function.is_built_in):
            yield f"methods must include {', '.join(missing)}, which the routes need."
    elif kind == "oss":
        if not _SOURCE.fullmatch(trigger.source):
            yield "sourceArn must be acs:oss:REGION:ACCOUNT:BUCKET, with the bucket whose events call the function."
    elif kind == "timer":
        try:
            schedule(config["cronExpression"])
        except InvalidSchedule as error:
            yield f"cronExpression: {error}"


def destination_faults(function: Function) -> Iterator[str]:
    """A sentence for each destination that does not exist, and for a configuration that s asks about."""
    if function.qualifier not in (None, "LATEST"):
        yield "asyncInvokeConfig.qualifier must be LATEST: without it, s asks a question at each redeployment."
    for name, arn in function.destinations.items():
        match = _DESTINATION.fullmatch(arn)
        if not match:
            yield (
                f"asyncInvokeConfig.destinationConfig.{name}.destination is {arn!r}: expected "
                "acs:mns:REGION:ACCOUNT:/queues/NAME/messages, acs:mns:REGION:ACCOUNT:/topics/NAME/messages, "
                "acs:fc:REGION:ACCOUNT:functions/NAME or acs:eventbridge:REGION:ACCOUNT:eventbus/NAME."
            )
        elif name == "onFailure" and match["function"] == function.name:
            yield (
                f"asyncInvokeConfig.destinationConfig.{name} is the function itself, so an event that fails would fail "
                "again and again: name a queue."
            )
        elif match["queue"] and not _QUEUE.fullmatch(match["queue"]):
            problem = f"the queue {match['queue']} is invalid: its name must have 1 to 120 letters, digits and -"
            yield f"asyncInvokeConfig.destinationConfig.{name}: {problem}."
