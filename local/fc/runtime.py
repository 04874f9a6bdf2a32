"""A laptop's Function Compute: invokes functions in worker processes of their own.

HTTP triggers (`http_trigger.py`) and every other source of events meet in `Runtime.invoke`. Workers run on the
interpreter that runs this, whatever runtime `s.yaml` names; python3.10 and python3.12 differ in the context they
give. Not emulated: memory limits, `preStop`, custom runtimes, and the 429 of a function that is out of instances
(further requests wait).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from signer import Credentials

from ..errors import LocalError
from . import invocation
from .functions import Function
from .instances import Instance, InstanceExited, InstanceTimedOut, Pool

# Where `reservedConcurrency` allows more: a laptop has few cores.
INSTANCES = 4
# Seconds for the import of the function's module; its initializer's own timeout comes on top.
LOAD_TIMEOUT = 60
UNHANDLED = "UnhandledInvocationError"


class UnknownFunction(LocalError):
    """No function of that name is in `s.yaml`, or none that can run here."""


class _LoadFailed(Exception):
    """The module or its initializer failed; `payload` is the error as JSON."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("The function could not be loaded.")
        self.payload = payload


@dataclass(frozen=True)
class Outcome:
    """What became of an invocation: the function's result as bytes, or with `error_type` set the error as JSON."""

    request_id: str
    payload: bytes
    error_type: str | None = None

    @property
    def error_message(self) -> str | None:
        """The error's message, None where there is no error."""
        if self.error_type is None:
            return None
        return str(json.loads(self.payload).get("errorMessage", ""))


class Runtime:
    """The functions of one deployment and their instances."""

    def __init__(
        self,
        functions: Iterable[Function],
        *,
        credentials: Callable[[], Credentials],
        environment: Mapping[str, str] | None = None,
        log: IO[Any] | int | None = None,
        instances: int = INSTANCES,
    ) -> None:
        """No process starts before the first invocation.

        `credentials` is asked anew at each invocation, and for functions with a role only; `environment` is added
        to every function's own; `log` is where what they print goes (default: this process's stderr).
        """
        self._functions = {function.name: function for function in functions if function.runs_here}
        self._credentials = credentials
        self._extra = dict(environment or {})
        self._log = log
        self._pools = {
            name: Pool(lambda function=function: self._start(function), min(function.instances or instances, instances))  # type: ignore[misc]
            for name, function in self._functions.items()
        }
        self._background: set[threading.Thread] = set()

    def invoke(
        self,
        function_name: str,
        event: bytes,
        *,
        is_async: bool = False,
        request_id: str | None = None,
        retry_count: int = 0,
    ) -> Outcome:
        """Runs the function on `event` and waits for what becomes of it.

        With `is_async` the answer is an empty outcome at once, and the function runs behind it, once. Raises
        `UnknownFunction`.
        """
        function = self._functions.get(function_name)
        if function is None:
            known = ", ".join(self._functions) or "none"
            raise UnknownFunction(f"There is no function {function_name!r} to run here: the functions are {known}.")
        request_id = request_id or invocation.new_request_id()
        if is_async:
            threading.Thread(target=self._run, args=(function, event, request_id, retry_count), daemon=True).start()
            return Outcome(request_id, b"")
        return self._run(function, event, request_id, retry_count)

    def warm(self, function_name: str) -> Outcome | None:
        """Starts an instance before it is needed; what went wrong, or None."""
        try:
            with self._pools[function_name].lease():
                return None
        except (_LoadFailed, InstanceExited, InstanceTimedOut) as error:
            return Outcome(invocation.new_request_id(), _payload_of(error), UNHANDLED)

    def processes(self, function_name: str) -> tuple[int, ...]:
        """The process ids of a function's instances."""
        return self._pools[function_name].processes()

    def close(self) -> None:
        """Ends every instance, also those that are busy."""
        for pool in self._pools.values():
            pool.close()

    def _run(self, function: Function, event: bytes, request_id: str, retry_count: int) -> Outcome:
        try:
            with self._pools[function.name].lease() as instance:
                context = invocation.context(function, request_id, self._credentials_of(function), retry_count)
                ok, payload = instance.ask({"kind": "invoke", "context": context}, event, function.timeout)
        except InstanceTimedOut:
            message = f"Function time out after {function.timeout} seconds"
            return Outcome(request_id, _error(message, "FunctionTimeout"), UNHANDLED)
        except (_LoadFailed, InstanceExited) as error:
            return Outcome(request_id, _payload_of(error), UNHANDLED)
        return Outcome(request_id, payload, None if ok else UNHANDLED)

    def _start(self, function: Function) -> Instance:
        """A new instance with the module loaded and the initializer run. Raises `_LoadFailed`."""
        credentials = self._credentials_of(function)
        if not function.code.is_dir():
            raise _LoadFailed(_error(f"The code folder {function.code} does not exist: build it.", "CodeMissing"))
        environment = invocation.environment(function, credentials, os.environ, self._extra)
        instance = Instance(function.code, environment, self._log)
        hook = function.initializer
        header = {
            "kind": "load",
            "handler": function.handler,
            "initializer": hook.handler if hook else None,
            "runtime": function.runtime,
            "context": invocation.context(function, invocation.new_request_id(), credentials, 0),
        }
        try:
            ok, payload = instance.ask(header, b"", LOAD_TIMEOUT + (hook.timeout if hook else 0))
        except InstanceTimedOut:
            raise _LoadFailed(_error("The function did not load in time", "FunctionTimeout")) from None
        if not ok:
            instance.end()
            raise _LoadFailed(payload)
        return instance

    def _credentials_of(self, function: Function) -> Credentials | None:
        return self._credentials() if function.role else None


def _payload_of(error: Exception) -> bytes:
    if isinstance(error, _LoadFailed):
        return error.payload
    return _error("Process exited unexpectedly before completing request", "ProcessExited")


def _error(message: str, kind: str) -> bytes:
    return json.dumps({"errorMessage": message, "errorType": kind}).encode()
