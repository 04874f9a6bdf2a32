"""A local Function Compute: invokes functions in separate worker processes.

HTTP triggers (`http_trigger.py`) and all other sources of events call `Runtime.invoke`. Workers run on the
interpreter that runs this, whatever runtime `s.yaml` names; python3.10 and python3.12 differ in the context that a
function receives. Not emulated: memory limits, `preStop`, the requests that an instance of a custom runtime handles at
the same time, and the 429 of a function that has no free instance (further requests wait).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any, NamedTuple

from signer import Credentials
from signer.common.display import printable

from ..errors import LocalError
from . import invocation
from .functions import Function
from .instances import Instance, InstanceExited, InstanceTimedOut, Pool

# The limit of instances of one function where `reservedConcurrency` allows more: a laptop has few cores.
INSTANCES = 4
# Seconds for the import of the function's module, plus the timeout of its initializer.
LOAD_TIMEOUT = 60
UNHANDLED = "UnhandledInvocationError"


class UnknownFunction(LocalError):
    """`s.yaml` has no function of that name, or it cannot run locally."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"Function {name!r} not found (functions that run locally: {', '.join(known) or 'none'})."
        )


class _LoadFailed(Exception):
    """The module or its initializer failed; `payload` is the error as JSON."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("The function could not be loaded.")
        self.payload = payload


class Outcome(NamedTuple):
    """What an invocation returned: the function's result as bytes or, if `error_type` is set, the error as JSON."""

    request_id: str
    payload: bytes
    error_type: str | None = None

    @property
    def error_message(self) -> str | None:
        return (
            None
            if self.error_type is None
            else str(json.loads(self.payload).get("errorMessage", ""))
        )


class Runtime:
    """The functions of one deployment and their instances."""

    def __init__(
        self,
        functions: Iterable[Function],
        *,
        credentials: Callable[[Function], Credentials],
        environment: Mapping[str, str] | None = None,
        log: IO[Any] | int | None = None,
        instances: int = INSTANCES,
    ) -> None:
        """No process starts before the first invocation.

        `credentials` returns those of a function's role, and is called at each invocation; `environment` is added to
        every function's own; `log` receives what functions print (default: this process's stderr).
        """
        self._functions = {
            function.name: function for function in functions if function.runs_locally
        }
        self._credentials = credentials
        self._extra = dict(environment or {})
        self._log = log
        self._pools = {
            name: Pool(
                partial(self._start, function),
                partial(self._load, function),
                min(function.instances or instances, instances),
            )
            for name, function in self._functions.items()
        }

    def invoke(
        self,
        function_name: str,
        event: bytes,
        *,
        request_id: str | None = None,
        retry_count: int = 0,
    ) -> Outcome:
        """Runs the function on `event` and waits for its outcome. Raises `UnknownFunction`."""
        function = self._functions.get(function_name)
        if function is None:
            raise UnknownFunction(function_name, self._functions)
        request_id = request_id or invocation.new_request_id()
        try:
            with self._pools[function.name].lease() as instance:
                context = invocation.context(
                    function, request_id, self._credentials_for(function), retry_count
                )
                ok, payload = instance.call(
                    {"kind": "invoke", "context": context}, event, function.timeout
                )
        except InstanceTimedOut:
            message = f"Function time out after {function.timeout} seconds"
            return Outcome(request_id, _error(message, "FunctionTimeout"), UNHANDLED)
        except (_LoadFailed, InstanceExited) as error:
            outcome = Outcome(request_id, _payload_of(error), UNHANDLED)
            if isinstance(error, _LoadFailed):
                write_line(
                    self._log, f"local: {function.name} failed to start: {outcome.error_message}"
                )
            return outcome
        return Outcome(request_id, payload, None if ok else UNHANDLED)

    def warm(self, function_name: str) -> Outcome | None:
        """Starts an instance before it is needed; the error if that fails."""
        try:
            with self._pools[function_name].lease():
                return None
        except (_LoadFailed, InstanceExited) as error:
            return Outcome(invocation.new_request_id(), _payload_of(error), UNHANDLED)

    def renew(self) -> None:
        """Starts new instances for all further invocations, which read their files again."""
        for pool in self._pools.values():
            pool.renew()

    def processes(self, function_name: str) -> tuple[int, ...]:
        """The process ids of a function's instances."""
        return self._pools[function_name].processes()

    def close(self) -> None:
        """Stops every instance, busy ones included."""
        for pool in self._pools.values():
            pool.close()

    def _start(self, function: Function) -> Instance:
        """A new instance. Raises `_LoadFailed` if there is no code for it."""
        if not function.code.is_dir():
            missing = f"the module {function.handler.split('.')[0]!r} is not beside s.yaml, and the code folder"
            advice = f"Correct the handler {function.handler!r} in s.yaml, or build the function."
            raise _LoadFailed(
                _error(f"{missing} {function.code} does not exist. {advice}", "CodeMissing")
            )
        credentials = self._credentials_for(function)
        environment = invocation.environment(function, credentials, os.environ, self._extra)
        return Instance(function.code, environment, self._log)

    def _load(self, function: Function, instance: Instance) -> None:
        """Loads the module and runs the initializer. Raises `_LoadFailed`."""
        credentials = self._credentials_for(function)
        initializer = function.initializer
        custom = function.custom
        header = {
            "kind": "load",
            "handler": function.handler,
            "initializer": initializer.handler if initializer else None,
            "runtime": function.runtime,
            "server": [*custom.command, *custom.args, custom.port] if custom else None,
            "context": invocation.context(function, invocation.new_request_id(), credentials, 0),
        }
        try:
            ok, payload = instance.call(
                header, b"", LOAD_TIMEOUT + (initializer.timeout if initializer else 0)
            )
        except InstanceTimedOut:
            raise _LoadFailed(
                _error("The function did not load in time", "FunctionTimeout")
            ) from None
        if not ok:
            raise _LoadFailed(payload)

    def _credentials_for(self, function: Function) -> Credentials | None:
        return self._credentials(function) if function.role else None


def write_line(log: IO[Any] | int | None, line: str) -> None:
    """Adds a line to what functions print (None: this process's stderr)."""
    log = sys.stderr if log is None else log
    with suppress(OSError, ValueError):
        os.write(log if isinstance(log, int) else log.fileno(), f"{printable(line)}\n".encode())


def _payload_of(error: Exception) -> bytes:
    if isinstance(error, _LoadFailed):
        return error.payload
    return _error("Process exited unexpectedly before completing request", "ProcessExited")


def _error(message: str, kind: str) -> bytes:
    return json.dumps({"errorMessage": message, "errorType": kind}).encode()
