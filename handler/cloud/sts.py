"""One call of STS: AssumeRole, within two seconds. Source: the STS page "AssumeRole" (2015-04-01)."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from signer import Credentials, SignerError
from signer.sts import AssumedRole, StsError, read_assumed_role, sign_assume_role

from ..errors import HandlerError
from .http_client import tls_context

TIMEOUT = 2.0  # seconds for the entire call
MAX_BODY = 1 << 16  # bytes
MAX_KEY = 6144  # characters of a token; the headers of Function Compute end at 8 KB


class StsUnavailable(HandlerError):
    """STS did not open a session; `reason` is a short code for the log, without a secret.

    `is_general` if it would not open one for another mount either: it does not answer, or throttles.
    """

    code = "sts_unavailable"

    def __init__(self, sentence: str, reason: str, *, is_general: bool = False) -> None:
        super().__init__(sentence)
        self.reason, self.is_general = reason, is_general


def assume_role(
    url: str, role: str, name: str, policy: str, duration: int, credentials: Credentials, now: float
) -> AssumedRole:
    """A session of `duration` seconds. Raises `StsUnavailable`."""
    try:
        call = sign_assume_role(url, role, name, policy, duration, credentials, now)
    except SignerError:
        raise StsUnavailable("The function's own credentials are invalid.", "no_credentials") from None
    address = urlsplit(url)
    try:
        path = call.url.partition(address.netloc)[2]
        session = read_assumed_role(*_send_in_time(address.scheme, address.netloc, path, call.headers))
    except StsError as error:
        raise StsUnavailable(str(error), error.reason, is_general=error.reason.startswith("Throttling")) from None
    except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
        # RuntimeError: no further thread can be started.
        raise StsUnavailable("STS did not answer in time.", type(error).__name__, is_general=True) from None
    if len(session.credentials.security_token or "") > MAX_KEY:
        raise StsUnavailable("The token that STS answered is too long for a link.", "token_too_long")
    return session


def _send_in_time(scheme: str, host: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """What `_send` returns or raises; `TimeoutError` after `TIMEOUT`.

    In a thread, since no timeout of a socket limits how long a name is looked up, or how often bytes trickle in.
    """
    answers: SimpleQueue[tuple[int, bytes] | Exception] = SimpleQueue()

    def send() -> None:
        try:
            answers.put(_send(scheme, host, path, headers))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=send, daemon=True).start()
    try:
        answer = answers.get(timeout=TIMEOUT)
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _send(scheme: str, host: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body of a POST without a body."""
    deadline = time.monotonic() + TIMEOUT
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, timeout=TIMEOUT, context=tls_context()
        )
    else:
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    try:
        connection.request("POST", path, headers=dict(headers))
        response = connection.getresponse()
        body = b""
        while len(body) <= MAX_BODY:
            # Otherwise the thread of an answer without an end would not end either.
            if time.monotonic() >= deadline:
                raise TimeoutError
            part = response.read1(MAX_BODY)
            if not part:
                return response.status, body
            body += part
        raise ValueError("too long")
    finally:
        connection.close()
