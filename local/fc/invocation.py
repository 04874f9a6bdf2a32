"""What Function Compute hands to a function: the HTTP event, the context, the environment, the request id."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from handler.core.request import parse_query
from signer import Credentials
from signer.emulator.ram import ACCOUNT
from signer.times import rfc3339

from .functions import Function
from .worker import HTTP_REQUEST

# Headers that never reach a function: hop by hop, or set by Function Compute itself.
_WITHHELD = {"CONNECTION", "HOST", "KEEP-ALIVE", "TRANSFER-ENCODING"}
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class HttpRequest(NamedTuple):
    """A request as it arrived: `target` is path and query as the client wrote them, `headers` have any case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    host: str
    client_ip: str
    protocol: str = "HTTP/1.1"


def new_request_id() -> str:
    """`1-{time in hex}-{8 hex digits}-{12 hex digits}`."""
    return f"1-{int(time.time()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(6)}"


def http_event(request: HttpRequest, request_id: str, now: float) -> bytes:
    """The event of an HTTP trigger, version v1, as a built-in runtime receives it.

    Lossy like the original: no raw query, and the values of a repeated name are joined with commas. A body whose
    Content-Type is `text/*` and whose bytes are UTF-8 is a string; any other body, JSON and the empty one too, is
    base64. The documentation's example and real events differ here, so a function must accept both.
    """
    path, _, query = request.target.partition("?")
    headers = event_headers(request.headers)
    body, is_base64 = _body(request.body, headers.get("Content-Type", ""))
    raw_path = quote(path.encode("latin-1", "replace"), safe=_PRINTABLE)
    event = {
        "version": "v1",
        "rawPath": raw_path,
        "body": body,
        "isBase64Encoded": is_base64,
        "headers": headers,
        "queryParameters": parse_query(query),
        "requestContext": {
            "accountId": ACCOUNT,
            "domainName": request.host,
            "domainPrefix": request.host.split(".")[0],
            "http": {
                "method": request.method,
                "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
                "protocol": request.protocol,
                "sourceIp": request.client_ip,
                "userAgent": headers.get("User-Agent", ""),
            },
            "requestId": request_id,
            "time": rfc3339(now),
            "timeEpoch": str(int(now * 1000)),
        },
    }
    return json.dumps(event, ensure_ascii=False).encode()


def raw_request(request: HttpRequest) -> bytes:
    """The event of an HTTP trigger for `worker.Server`: the request as it is, without the headers of the connection."""
    pairs = (*request.headers, ("X-Forwarded-For", request.client_ip))
    withheld = _WITHHELD - {"HOST"} | {"CONTENT-LENGTH"}
    headers = [
        pair
        for pair in pairs
        if pair[0].upper() not in withheld and not pair[0].upper().startswith("X-FC-")
    ]
    body = base64.b64encode(request.body).decode()
    return HTTP_REQUEST + json.dumps([request.method, request.target, headers, body]).encode()


def event_headers(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Headers with canonical names (`X-Forwarded-For`); the values of one name are joined with commas."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        if name.upper() in _WITHHELD or name.upper().startswith("X-FC-"):
            continue
        name = canonical_name(name)
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def canonical_name(name: str) -> str:
    """`x-forwarded-for` → `X-Forwarded-For`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def context(
    function: Function, request_id: str, credentials: Credentials | None, retry_count: int
) -> dict[str, Any]:
    """What the worker builds the `context` argument from. Without a role the credentials are empty strings."""
    return {
        "request_id": request_id,
        "credentials": {
            "access_key_id": credentials.access_key_id if credentials else "",
            "access_key_secret": credentials.access_key_secret if credentials else "",
            "security_token": (credentials.security_token or "") if credentials else "",
        },
        "function": {
            "name": function.name,
            "handler": function.handler,
            "memory": function.memory,
            "timeout": function.timeout,
        },
        "region": function.region,
        "account_id": ACCOUNT,
        "retry_count": retry_count,
    }


def environment(
    function: Function,
    credentials: Credentials | None,
    host: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, str]:
    """All variables of an instance: a bare system's, the function's own, `extra`, and those that Function Compute sets.

    Nothing else of `host` is passed on: what works here thanks to a leftover variable would fail once deployed.
    """
    variables = {name: host[name] for name in ("PATH", "HOME", "TMPDIR") if name in host}
    variables |= {"LANG": "C.UTF-8", "TZ": "UTC", **function.environment, **extra}
    if credentials:
        variables["ALIBABA_CLOUD_ACCESS_KEY_ID"] = credentials.access_key_id
        variables["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = credentials.access_key_secret
        variables["ALIBABA_CLOUD_SECURITY_TOKEN"] = credentials.security_token or ""
    return variables | {
        "FC_FUNCTION_NAME": function.name,
        "FC_REGION": function.region,
        "FC_ACCOUNT_ID": ACCOUNT,
        "FC_INSTANCE_ID": f"c-{secrets.token_hex(4)}-{secrets.token_hex(6)}",
        "FC_FUNC_CODE_PATH": str(function.code),
        "FC_FUNCTION_HANDLER": function.handler,
        "FC_FUNCTION_MEMORY_SIZE": str(function.memory),
    }


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    if body and content_type.lower().startswith("text/"):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True
