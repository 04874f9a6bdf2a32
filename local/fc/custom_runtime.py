"""Custom runtimes: the command of `s.yaml` starts a server, which gets requests as clients sent them.

Function Compute adds the headers of its own, and calls `/initialize` and `/invoke` itself. Source: its pages on custom
runtimes. The server of an instance handles many requests at a time.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from typing import Any

from ..server import HOST
from .functions import CustomRuntime
from .instances import InstanceExited, InstanceTimedOut
from .invocation import HttpRequest

_FAILED = "x-fc-status"
_WITHHELD = {"connection", "content-length", "keep-alive", "transfer-encoding"}


def start_line(custom: CustomRuntime, port: int) -> list[str]:
    """The command, with the interpreter that runs this, and at another port, of the loopback alone."""
    words = [word.replace("0.0.0.0", HOST) for word in (*custom.command, *custom.args)]  # noqa: S104 - not bound
    words = [re.sub(rf"(^|:){custom.port}$", rf"\g<1>{port}", word) for word in words]
    return [sys.executable if re.search(r"(^|/)python[0-9.]*$", words[0]) else words[0], *words[1:]]


def control(port: int, path: str, context: Mapping[str, Any], event: bytes, timeout: float) -> tuple[bool, bytes]:
    """Calls `/invoke` or `/initialize`: True and the result, or False and the error as JSON."""
    _, headers, body = _send(port, path, context, HttpRequest("POST", path, (), event, "", ""), timeout)
    return headers.get(_FAILED) is None, body


def forward(port: int, context: Mapping[str, Any], request: HttpRequest, timeout: float) -> tuple[bool, bytes]:
    """True and the response to a client's request, in the form that built-in runtimes have for it."""
    request = replace(request, headers=(*request.headers, ("X-Forwarded-For", request.client_ip)))
    status, headers, body = _send(port, "/http-invoke", context, request, timeout)
    result = {
        "statusCode": status,
        "headers": headers,
        "isBase64Encoded": True,
        "body": base64.b64encode(body).decode(),
    }
    return True, json.dumps(result).encode()


def _send(
    port: int, control_path: str, context: Mapping[str, Any], request: HttpRequest, timeout: float
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.putrequest(request.method, request.target, skip_host=bool(request.host), skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in _WITHHELD and not name.lower().startswith("x-fc-"):
                connection.putheader(name, value)
        connection.putheader("x-fc-request-id", context["request_id"])
        connection.putheader("x-fc-control-path", control_path)
        for name, value in context["credentials"].items():
            connection.putheader(f"x-fc-{name.replace('_', '-')}", value)
        if request.body or request.method not in ("GET", "HEAD"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, {name: headers[name] for name in headers.keys() - _WITHHELD}, response.read()
    except TimeoutError:
        raise InstanceTimedOut(f"The function did not answer within {timeout:g} seconds.") from None
    except (OSError, HTTPException):
        raise InstanceExited("The function's server ended before it answered.") from None
    finally:
        connection.close()
