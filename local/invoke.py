"""`python -m local invoke FUNCTION --event FILE`: one function of s.yaml, run once on an event.

Its credentials and `LINK_OSS_ENDPOINT` come from the environment, so that it can work against a running stack.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .errors import LocalError
from .fc import functions
from .fc.functions import Deployment, Function
from .fc.runtime import Runtime

FAILED, REFUSED = 1, 2
HANDED_ON = ("LINK_OSS_ENDPOINT",)


class InvokeError(LocalError):
    """The invocation cannot be made as it was asked for."""


def main(arguments: Sequence[str]) -> int:
    """Prints the function's answer; 1 with the error where the invocation fails, 2 where it cannot be made."""
    options = _parser().parse_args(arguments)
    try:
        deployment = functions.read(options.config, os.environ)
        function = find(deployment, options.function)
        event = _event(options.event)
        credentials = _credentials(function)
    except LocalError as error:
        print(f"python -m local invoke: {error}", file=sys.stderr)
        return REFUSED
    runtime = Runtime(
        [function],
        credentials=lambda: credentials,
        environment={name: os.environ[name] for name in HANDED_ON if os.environ.get(name)},
        instances=1,
    )
    try:
        outcome = runtime.invoke(function.name, event)
    finally:
        runtime.close()
    if outcome.error_type is not None:
        error_kind = json.loads(outcome.payload).get("errorType", outcome.error_type)
        print(f"{function.name} failed: {error_kind}: {outcome.error_message}", file=sys.stderr)
        return FAILED
    sys.stdout.write(outcome.payload.decode("utf-8", "replace"))
    sys.stdout.write("\n")
    return 0


def find(deployment: Deployment, name: str) -> Function:
    """The function of a name, or of a resource's key. Raises `InvokeError`."""
    runnable = [function for function in deployment.functions if function.runs_here]
    for function in runnable:
        if name in (function.name, function.resource):
            return function
    known = ", ".join(function.name for function in runnable) or "none"
    raise InvokeError(f"There is no function {name!r} to run here: the functions are {known}.")


def _event(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvokeError(f"{path} cannot be read ({error.strerror}): name the event's file.") from None


def _credentials(function: Function) -> Credentials:
    if not function.role:
        return Credentials("none", "none")  # never asked for
    try:
        return Credentials.from_environment(families=(OFFICIAL_SDK, FUNCTION_COMPUTE))
    except SignerError:
        raise InvokeError(
            "There are no credentials: set OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for temporary ones, "
            "OSS_SESSION_TOKEN; python -m local --json prints those of a running stack."
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local invoke", description="Runs a function of s.yaml once, on an event."
    )
    parser.add_argument("function", help="its functionName, or its name among the resources")
    parser.add_argument("--event", type=Path, required=True, help="file with the event, - for standard input")
    parser.add_argument("--config", type=Path, default=Path("s.yaml"), help="what is deployed (default: s.yaml)")
    return parser
