"""One call of STS: AssumeRole, within two seconds. Source: the STS page "AssumeRole" (2015-04-01)."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import time
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from signer import Credentials, SignerError
from signer.acs3 import sign_call

from ..errors import HandlerError

TIMEOUT = 2.0  # seconds for the entire call
MAX_BODY = 1 << 16  # bytes
MAX_KEY = 6144  # characters of a token; the headers of Function Compute end at 8 KB


class StsUnavailable(HandlerError):
    """STS did not open a session; `reason` is a short code for the log, without a secret."""

    code = "sts_unavailable"

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class AssumedRole(NamedTuple):
    """`expires_at` is in Unix seconds."""

    credentials: Credentials
    expires_at: float


def assume_role(
    url: str, role: str, name: str, policy: str, duration: int, credentials: Credentials, now: float
) -> AssumedRole:
    """A session of `duration` seconds. Raises `StsUnavailable`."""
    params = {
        "RoleArn": role,
        "RoleSessionName": name,
        "DurationSeconds": str(duration),
        "Policy": policy,
    }
    address = urlsplit(url)
    try:
        call = sign_call(
            address.netloc,
            "AssumeRole",
            "2015-04-01",
            params,
            credentials=credentials,
            now=now,
            nonce=secrets.token_hex(16),
            scheme=address.scheme,
        )
        status, body = _send(address.scheme, address.netloc, call.url, call.headers)
    except SignerError:
        raise StsUnavailable("The function's own credentials are invalid.", "no_credentials") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StsUnavailable("STS did not answer in time.", type(error).__name__) from None
    try:
        document = json.loads(body)
    except ValueError:
        raise StsUnavailable("STS did not answer with JSON.", f"status_{status}") from None
    return _read(status, document)


def _read(status: int, document: Any) -> AssumedRole:
    if status != 200:
        code = document.get("Code") if isinstance(document, dict) else None
        reason = code if isinstance(code, str) and code.replace(".", "").isalnum() else f"status_{status}"
        raise StsUnavailable(f"STS refused the session ({reason}).", reason)
    try:
        fields = document["Credentials"]
        key_id, secret, token = (fields[name] for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
        expires_at = datetime.fromisoformat(fields["Expiration"].replace("Z", "+00:00")).timestamp()
        if not (key_id and secret and token and len(token) <= MAX_KEY):
            raise ValueError
        credentials = Credentials(key_id, secret, token)
    except (KeyError, TypeError, ValueError, AttributeError, SignerError):
        raise StsUnavailable("STS answered with an incomplete session.", "incomplete_session") from None
    return AssumedRole(credentials, expires_at)


def _send(scheme: str, host: str, url: str, headers: Any) -> tuple[int, bytes]:
    """Status and body of a POST without a body, all within `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, timeout=TIMEOUT, context=_context())
    else:
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    try:
        connection.request("POST", url.partition(host)[2], headers=dict(headers))
        _limit(connection, deadline)
        response = connection.getresponse()
        body = b""
        while len(body) <= MAX_BODY:
            _limit(connection, deadline)
            part = response.read1(MAX_BODY)
            if not part:
                return response.status, body
            body += part
        raise ValueError("too long")
    finally:
        connection.close()


def _limit(connection: http.client.HTTPConnection, deadline: float) -> None:
    """The next wait ends at the deadline. Raises `TimeoutError` after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connection.sock is not None:
        connection.sock.settimeout(left)


def _context() -> ssl.SSLContext:
    """With the authorities of certifi, which is in the package, since the runtime's own may be old."""
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())
