"""The credentials of one invocation: from its context, otherwise from the environment; and those of its mounts."""

from __future__ import annotations

import time

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .config import Mount
from .context import Invocation, RoleCredentials
from .errors import Problem

# The role's credentials are valid for 36 hours; those in the environment are as old as the process.
ENVIRONMENT_LIFETIME = 35 * 3600  # seconds
_STARTED = time.time()


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


def mount_credentials(
    invocation: Invocation, mount: Mount, credentials: RoleCredentials | None = None
) -> RoleCredentials:
    """What signs for a mount: with `[assume_role]` a session of its own, otherwise the function's role.

    `credentials` are the function's credentials, if they are known already. Raises the 503 `no_credentials`, and with
    `[assume_role]` the 503 `credentials_unavailable`.
    """
    if invocation.config.assume_role is None:
        return credentials or credentials_for(invocation.context)
    from .sessions import cache  # few need it

    session = cache.kept_session(invocation, mount)
    return session or cache.current_session(invocation, mount, credentials or credentials_for(invocation.context))
