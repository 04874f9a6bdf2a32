"""One call of STS: AssumeRole, within two seconds. Source: the STS page "AssumeRole" (2015-04-01)."""

from __future__ import annotations

import http.client
from contextlib import closing

from signer import Credentials, SignerError
from signer.common.sts import AssumedRole, StsError, read_assumed_role, sign_assume_role

from ..errors import HandlerError
from .http_client import Bound, Connections, HttpResponse, within

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
        self.reason = reason
        self.is_general = is_general


def assume_role(
    url: str, role: str, name: str, policy: str, duration: int, credentials: Credentials, now: float
) -> AssumedRole:
    """A session of `duration` seconds. Raises `StsUnavailable`."""
    try:
        call = sign_assume_role(url, role, name, policy, duration, credentials, now)
    except SignerError:
        raise StsUnavailable(
            "The function's own credentials are invalid.", "no_credentials"
        ) from None

    def send(bound: Bound) -> HttpResponse:
        timeout = TIMEOUT, TIMEOUT
        with closing(Connections(bound)) as connections:
            return connections.send(
                call.method, call.url, call.headers, None, timeout=timeout, max_body=MAX_BODY + 1
            )

    try:
        response = within(TIMEOUT, send)
        if len(response.body) > MAX_BODY:
            raise ValueError("too long")
        session = read_assumed_role(response.status, response.body)
    except StsError as error:
        raise StsUnavailable(
            str(error), error.reason, is_general=error.reason.startswith("Throttling")
        ) from None
    except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
        # RuntimeError: no further thread can be started.
        raise StsUnavailable(
            "STS did not answer in time.", type(error).__name__, is_general=True
        ) from None
    if len(session.credentials.security_token or "") > MAX_KEY:
        raise StsUnavailable(
            "The token that STS answered is too long for a link.", "token_too_long"
        )
    return session
