"""The credentials of one invocation: from its context, else from the environment."""

from __future__ import annotations

import time
from typing import NamedTuple

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .errors import Problem

# The role's keys are valid for 36 hours, and those in the environment are as old as the process.
ENVIRONMENT_LIFETIME = 35 * 3600  # seconds
_STARTED = time.time()


class RoleCredentials(NamedTuple):
    """What signs an invocation's links. `expires_at` (Unix seconds) is when they expire at the latest, where known."""

    credentials: Credentials
    expires_at: float | None


def credentials_for(context: object, *, started: float = _STARTED) -> RoleCredentials:
    """The credentials that came with the invocation, else those of the process that started at `started`.

    Python 3.10 hands over new ones with each invocation; Python 3.12 and Debian 11 have them in the environment
    only. Raises the 503 `no_credentials`.
    """
    provided = getattr(context, "credentials", None)
    key_id = getattr(provided, "access_key_id", None)
    secret = getattr(provided, "access_key_secret", None)
    token = getattr(provided, "security_token", None) or ""
    if key_id and secret and isinstance(key_id, str) and isinstance(secret, str) and isinstance(token, str):
        return RoleCredentials(Credentials(key_id, secret, token or None), None)
    try:
        credentials = Credentials.from_environment(families=(FUNCTION_COMPUTE, OFFICIAL_SDK))
    except SignerError:
        raise Problem("no_credentials") from None
    return RoleCredentials(credentials, started + ENVIRONMENT_LIFETIME)
