"""The credentials that sign for a mount: the function's own, or those of the mount's session."""

from __future__ import annotations

from ..config import Mount
from ..context import Invocation, RoleCredentials


def mount_credentials(invocation: Invocation, mount: Mount) -> RoleCredentials:
    """What signs for a mount: with `[assume_role]` a session of its own, otherwise the function's role.

    Raises the 503 `no_credentials`, and with `[assume_role]` the 503 `credentials_unavailable`.
    """
    if invocation.config.assume_role is None:
        return invocation.credentials()
    from .sessions import Sessions  # few need it

    sessions = invocation.instance.memory(Sessions)
    # Not only the time of the invocation: a long batch must not get links of an ended session.
    now = max(invocation.instance.clock.now(), invocation.now)
    return sessions.get(invocation.config, mount, invocation.credentials, now)
