"""`python -m local invoke FUNCTION --event FILE`: runs one function of s.yaml once.

Credentials and the addresses of a running stack come from the environment, so that it can use its objects. If the local
STS is among them, the function runs with the rights of its own role.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from handler.core.cloud.sts import StsUnavailable, assume_role
from signer import Credentials, SignerError
from signer.common.printing import Parser, show
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK
from signer.emulator.interrupts import exit_on_signals

from .errors import LocalError
from .fc import functions
from .fc.functions import Deployment, Function
from .fc.runtime import Runtime, UnknownFunction

FAILED = 1
REFUSED = 2
SESSION = 3600  # seconds
PASSED_ON = ("LINK_OSS_ENDPOINT", "LINK_STS_ENDPOINT", "LINK_CDN_ENDPOINT", "LINK_PUBLIC_URL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the function's result; returns 1 and prints the error if it fails, 2 if it cannot be invoked."""
    parser = Parser(
        prog="python -m local invoke",
        description="Runs one function of s.yaml once with an event, and prints its result.",
    )
    parser.add_argument("function", help="functionName, or the name of the resource in s.yaml")
    parser.add_argument(
        "--event",
        metavar="FILE",
        type=Path,
        required=True,
        help="event file (- for standard input)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path("s.yaml"),
        help="deployment file (default: s.yaml)",
    )
    if arguments is None:
        exit_on_signals()
        arguments = sys.argv[2:]
    options = parser.parse_args(arguments)
    try:
        deployment = functions.read(options.config, os.environ)
        function = _find(deployment, options.function)
        event = _read_event(options.event)
        credentials = _credentials(function)
    except LocalError as error:
        show(f"python -m local invoke: {error}", file=sys.stderr)
        return REFUSED
    runtime = Runtime(
        [function],
        credentials=lambda _: credentials,
        environment={name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
        instances=1,
    )
    try:
        outcome = runtime.invoke(function.name, event)
    finally:
        runtime.close()
    if outcome.error_type is not None:
        error_type = json.loads(outcome.payload).get("errorType", outcome.error_type)
        show(f"{function.name} failed: {error_type}: {outcome.error_message}", file=sys.stderr)
        return FAILED
    show(*outcome.payload.decode("utf-8", "replace").split("\n"))
    return 0


def _find(deployment: Deployment, name: str) -> Function:
    """The function with this name or resource key. Raises `UnknownFunction`."""
    runnable = [function for function in deployment.functions if function.runs_locally]
    for function in runnable:
        if name in (function.name, function.resource):
            return function
    raise UnknownFunction(name, [function.name for function in runnable])


def _read_event(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise LocalError(f"Event file {path} cannot be read ({error.strerror}).") from None


def _credentials(function: Function) -> Credentials:
    if not function.role:
        return Credentials("none", "none")  # never used
    try:
        credentials = Credentials.from_environment(families=(OFFICIAL_SDK, FUNCTION_COMPUTE))
    except SignerError:
        raise LocalError(
            "Credentials are required. Set OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and, for temporary keys, "
            "OSS_SESSION_TOKEN. To use those of a running stack: . samples/env.sh"
        ) from None
    sts = os.environ.get("LINK_STS_ENDPOINT")
    if not sts:
        return credentials
    try:
        role = assume_role(
            sts, function.role_arn, function.name, "", SESSION, credentials, time.time()
        )
    except StsUnavailable as error:
        raise LocalError(
            f"{sts}: {error} Use the credentials of the running stack: . samples/env.sh"
        ) from None
    return role.credentials
