"""Checks where the results of asynchronous invocations go.

Source: the Function Compute page on destinations for asynchronous invocations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.fc.functions import Function

from .names import ACCOUNT

_OWNER = rf"[a-z0-9-]+:{ACCOUNT}"
# fc3's own examples leave the account of a topic empty.
_DESTINATION = re.compile(
    rf"acs:(?:mns:{_OWNER}:/queues/(?P<queue>[^/]+)/messages"
    rf"|mns:[a-z0-9-]+:{ACCOUNT}?:/topics/[A-Za-z0-9-]+/messages"
    rf"|fc:{_OWNER}:functions/[A-Za-z_][A-Za-z0-9_-]*(?:[/.][A-Za-z0-9_-]+)?"
    rf"|eventbridge:{_OWNER}:eventbus/[A-Za-z0-9_.-]+)"
)
_QUEUE = re.compile(r"[A-Za-z0-9-]{1,120}")


def faults(function: Function) -> Iterator[str]:
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
        elif match["queue"] and not _QUEUE.fullmatch(match["queue"]):
            yield (
                f"asyncInvokeConfig.destinationConfig.{name}: the queue {match['queue']} is invalid: its name must "
                "have 1 to 120 letters, digits and -."
            )
