"""The credentials that sign for a mount: the function's own, or those of the mount's session."""

from __future__ import annotations

from ..config import Mount
from ..context import Invocation, RoleCredentials


def mount_credentials(
    invocation: Invocation, mount: Mount, credentials: RoleCredentials | None = None
) -> RoleCredentials:
    """What signs for a mount: with `[assume_role]` a session of its own, otherwise the function's role.

    `credentials` are the function's credentials, if they are known already. Raises the 503 `no_credentials`, and with
    `[assume_role]` the 503 `credentials_unavailable`.
    """
    if invocation.config.assume_role is None:
        return credentials or invocation.credentials()
    from . import sessions  # few need it

    session = sessions.kept_session(invocation, mount)
    return session or sessions.current_session(invocation, mount, credentials or invocation.credentials())
