"""The credentials of one invocation: from its context, else from the environment."""

from __future__ import annotations

import time
from typing import NamedTuple

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .errors import Problem

# The role's keys are valid for 36 hours, and those in the environment are as old as the process.
ENVIRONMENT_LIFE = 35 * 3600  # seconds
_STARTED = time.time()


class RoleCredentials(NamedTuple):
    """What signs an invocation's links. `ends_at` (Unix seconds) is when they end at the latest, where known."""

    credentials: Credentials
    ends_at: float | None


def of_invocation(context: object, *, started: float = _STARTED) -> RoleCredentials:
    """The credentials that came with the invocation, else those of the process that started at `started`.

    Python 3.10 hands them over anew with each invocation; Python 3.12 and Debian 11 have them in the environment
    only. Raises a 503 `Problem` where there are none.
    """
    given = getattr(context, "credentials", None)
    key_id = getattr(given, "access_key_id", None)
    secret = getattr(given, "access_key_secret", None)
    token = getattr(given, "security_token", None) or ""
    if key_id and secret and isinstance(key_id, str) and isinstance(secret, str) and isinstance(token, str):
        return RoleCredentials(Credentials(key_id, secret, token or None), None)
    try:
        found = Credentials.from_environment(families=(FUNCTION_COMPUTE, OFFICIAL_SDK))
    except SignerError:
        raise no_credentials() from None
    return RoleCredentials(found, started + ENVIRONMENT_LIFE)


def no_credentials() -> Problem:
    """The 503 of a function without credentials, or with such as cannot sign."""
    return Problem(
        503,
        "no_credentials",
        "The function has no credentials: give it an execution role (role in s.yaml) that trusts fc.aliyuncs.com.",
    )
