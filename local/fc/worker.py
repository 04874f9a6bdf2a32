"""The process that runs one function: what Function Compute's Python runtime does inside an instance.

It is started by its path, with the code folder as working directory, and imports the standard library only. It reads
frames from its standard input (`instances.py` is the other end). It runs on the interpreter that started it, whatever
runtime `s.yaml` names; the runtime decides the shape of the context.

A frame is two unsigned 32-bit lengths (big endian), a JSON object and raw bytes:

| kind | object | bytes |
|---|---|---|
| load | `handler`, `initializer` (or null), `runtime`, `context`, and for a custom runtime `server` | none |
| invoke | `context` | the event, or after `HTTP_REQUEST` a client's request for a custom runtime |

and each answer is `{"ok": true}` with the function's result, or `{"ok": false}` with the error as JSON.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import IO, Any

HOST = "127.0.0.1"
HTTP_REQUEST = b"\0"
_LENGTHS = struct.Struct(">II")

Frame = tuple[dict[str, Any], bytes]


def write_frame(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Raises `OSError` if the other end is closed."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(body)) + head)
    stream.write(body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """The next frame, None if the other end is closed."""
    lengths = _read_exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    head_length, body_length = _LENGTHS.unpack(lengths)
    head = _read_exactly(stream, head_length)
    body = _read_exactly(stream, body_length)
    if head is None or body is None:
        return None
    return json.loads(head), body


def _read_exactly(stream: IO[bytes], length: int) -> bytes | None:
    data = stream.read(length)
    return data if len(data) == length else None


class _Attributes:
    """An object whose repr hides its attributes: a context holds secrets."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


def make_context(runtime: str, values: dict[str, Any]) -> object:
    """The `context` argument; the one of python3.12 has no credentials and no service."""
    attributes: dict[str, object] = {
        "request_id": values["request_id"],
        "function": _Attributes(**values["function"]),
        "region": values["region"],
        "account_id": values["account_id"],
        "retry_count": values["retry_count"],
    }
    if runtime != "python3.12":
        attributes["credentials"] = _Attributes(**values["credentials"])
        attributes["service"] = _Attributes(
            name="", log_project="", log_store="", qualifier="", version_id=""
        )
    return _Attributes(**attributes)


def find_handler(name: str) -> Callable[..., object]:
    """The function that `module.function` names.

    Like the runtime's loader: each dotted segment of the module is looked up in the folder of the one before, and only
    the last is executed, under its full name, without importing its parent packages. Raises the
    runtime's `ImportError`, `AttributeError` or `TypeError`, and whatever the module raises.
    """
    module_name, dot, function_name = name.rpartition(".")
    if not dot or not module_name or not function_name:
        raise ImportError(f"Invalid handler {name!r} (expected module.function).")
    module = sys.modules.get(module_name) or _load(module_name, name)
    handler = getattr(module, function_name, None)
    if not callable(handler):
        error = TypeError if hasattr(module, function_name) else AttributeError
        functions = [
            n
            for n in {*vars(module), *getattr(module, "__all__", ())}
            if callable(getattr(module, n, None))
        ]
        similar = get_close_matches(function_name, functions, 1)
        advice = f"Did you mean {module_name}.{similar[0]}?" if similar else "Correct it in s.yaml."
        raise error(f"Handler {name!r} not found: {module_name} has no such function. {advice}")
    return handler  # type: ignore[no-any-return]


def _load(module_name: str, handler: str) -> ModuleType:
    folders: list[str] | None = None
    spec = full = None
    for segment in module_name.split("."):
        spec = PathFinder.find_spec(segment, folders)
        folders = list(spec.submodule_search_locations or []) if spec else []
    if spec and spec.origin:
        full = spec_from_file_location(
            module_name,
            spec.origin,
            submodule_search_locations=spec.submodule_search_locations and folders,
        )
    if full is None or full.loader is None:
        missing = f"Handler {handler!r} not found: there is no module {module_name}. Correct it in s.yaml."
        raise ModuleNotFoundError(missing, name=module_name)
    module = module_from_spec(full)
    if full.submodule_search_locations is None:
        # Relative imports in a submodule fail on Function Compute, so they must fail here.
        module.__package__ = ""
    sys.modules[module_name] = module
    try:
        full.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(module_name, None)
        raise
    return module


def encode_result(result: object) -> bytes:
    """`str` and `bytes` stay unchanged, everything else becomes JSON. Raises `TypeError` for bytes inside a dict."""
    if isinstance(result, bytes):
        return result
    if isinstance(result, str):
        return result.encode()
    return json.dumps(result).encode()


def describe_error(error: BaseException) -> bytes:
    """The error as JSON: message, type, and the stack with source lines, without the frames of this file."""
    stack = [
        [f'File "{frame.filename}"', f"line {frame.lineno}", f"in {frame.name}", frame.line or ""]
        for frame in _frames(error)
    ]
    description = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": stack,
    }
    return json.dumps(description).encode("utf-8", "replace")


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The stack without the frames of this file."""
    return [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__
    ]


class Server:
    """The server of a custom runtime, at a port of the loopback alone. This process ends with it."""

    def __init__(self, line: list[Any]) -> None:
        *command, port = line
        with socket.create_server((HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
        command = [re.sub(rf"(^|:){port}$", rf"\g<1>{self.port}", word) for word in command]
        command = [word.replace("0.0.0.0", HOST) for word in command]  # noqa: S104 - it replaces that
        if re.search(r"(^|/)python[0-9.]*$", command[0]):
            command[0] = sys.executable
        process = subprocess.Popen(command)
        threading.Thread(target=lambda: os._exit(process.wait() or 1), daemon=True).start()
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection((HOST, self.port)):
                return
            time.sleep(0.05)

    def invoke(self, context: dict[str, Any], event: bytes, path: str = "/invoke") -> bytes:
        """The result of an event, or the response to a client's request in the form of a built-in runtime's.

        Raises `RuntimeError` with the server's own error.
        """
        is_request = event.startswith(HTTP_REQUEST)
        method = "POST"
        target = path
        headers = list[Any]()
        body = event
        if is_request:
            method, target, headers, encoded = json.loads(event[len(HTTP_REQUEST) :])
            path = "/http-invoke"
            body = base64.b64decode(encoded)
        # Only for a custom runtime: each start of an instance would wait for it.
        from http.client import HTTPConnection

        connection = HTTPConnection(HOST, self.port)
        connection.putrequest(method, target, skip_host=is_request, skip_accept_encoding=True)
        keys = {
            f"x-fc-{name.replace('_', '-')}": value
            for name, value in context["credentials"].items()
        }
        own = {
            "x-fc-request-id": context["request_id"],
            "x-fc-control-path": path,
            "Content-Length": str(len(body)),
        }
        for name, value in [*headers, *keys.items(), *own.items()]:
            connection.putheader(name, value)
        connection.endheaders(body)
        with connection.getresponse() as response:
            status = response.status
            answered = dict(response.getheaders())
            result = response.read()
        if is_request:
            content = base64.b64encode(result).decode()
            return encode_result(
                {
                    "statusCode": status,
                    "headers": answered,
                    "isBase64Encoded": True,
                    "body": content,
                }
            )
        if "x-fc-status" in map(str.lower, answered):
            raise RuntimeError(result.decode("utf-8", "replace"))
        return result


class _Worker:
    """The runtime of one instance; its handler comes with the first frame, `load`."""

    def __init__(self) -> None:
        self.runtime = ""
        self.handler: Callable[..., object] | None = None
        self.server: Server | None = None

    def handle(self, header: dict[str, Any], body: bytes, answers: IO[bytes]) -> None:
        """Answers a frame. Like the runtime's loop, it holds the context until the answer was sent."""
        if header["kind"] == "load":
            self.runtime = header["runtime"]
        context = make_context(self.runtime, header["context"])
        try:
            answer = self._call(header, body, context)
            ok = True
        except Exception as error:
            if header["kind"] != "load" or not _says_it_all(error):
                traceback.print_exception(type(error), error, error.__traceback__)
            answer = describe_error(error)
            ok = False
        sys.stdout.flush()
        sys.stderr.flush()
        write_frame(answers, {"ok": ok}, answer)

    def _call(self, header: dict[str, Any], body: bytes, context: object) -> bytes:
        if self.server:
            return self.server.invoke(header["context"], body)
        if header["kind"] == "load" and header["server"]:
            self.server = Server(header["server"])
            return (
                self.server.invoke(header["context"], b"", "/initialize")
                if header["initializer"]
                else b""
            )
        if header["kind"] == "load":
            self.handler = find_handler(header["handler"])
            if header["initializer"]:
                find_handler(header["initializer"])(context)
            return b""
        assert self.handler is not None, "the first frame must be load"  # noqa: S101 - our own protocol, on a laptop
        return encode_result(self.handler(body, context))


def main() -> None:
    # The function must not reach the pipes: its stdout goes to the log, its stdin is empty.
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # Python puts this file's folder there, whose modules the function must not import.
    sys.path[0] = os.getcwd()

    frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, frames), daemon=True).start()
    worker = _Worker()
    while True:
        worker.handle(*frames.get(), answers)


def _says_it_all(error: Exception) -> bool:
    """Whether a stack adds nothing: the handler does not exist, or the error has a `sentence` for people."""
    return hasattr(error, "sentence") or not _frames(error)


def _receive(requests: IO[bytes], frames: queue.SimpleQueue[Frame]) -> None:
    """Queues frames; kills this process and what it started once the stack is gone, even during an invocation."""
    while (frame := read_frame(requests)) is not None:
        frames.put(frame)
    if os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
