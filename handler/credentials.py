"""The credentials of one invocation: from its context, otherwise from the environment."""

from __future__ import annotations

import time
from typing import NamedTuple

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .errors import Problem

# The role's credentials are valid for 36 hours; those in the environment are as old as the process.
ENVIRONMENT_LIFETIME = 35 * 3600  # seconds
_STARTED = time.time()


class RoleCredentials(NamedTuple):
    """The credentials of the function's role. They expire no later than `expires_at` (Unix seconds, None: unknown)."""

    credentials: Credentials
    expires_at: float | None


def credentials_for(context: object, *, started: float = _STARTED) -> RoleCredentials:
    """The credentials of the invocation, otherwise those in the environment since `started` (Unix seconds).

    The runtime of Python 3.10 passes new ones with each invocation; Python 3.12 and Debian 11 have them in the
    environment only. Raises the 503 `no_credentials`.
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
