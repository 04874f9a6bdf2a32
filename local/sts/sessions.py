"""Who may call: the principals that have an access key, permanent or issued by AssumeRole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from signer.credentials import Credentials

Policy = Mapping[str, Any]


class Principal(NamedTuple):
    """An access key and whose it is.

    `arn` is what GetCallerIdentity answers. `expires_at` is in Unix seconds, None for permanent keys. Each of `layers`
    is a set of RAM policies, and all layers must allow a request: those of the role, then that of the session. Without
    layers everything is allowed.
    """

    credentials: Credentials
    arn: str
    expires_at: float | None = None
    layers: tuple[tuple[Policy, ...], ...] = ()


class Sessions:
    """The principals by access key ID; safe to share between threads."""

    def __init__(self, *principals: Principal) -> None:
        # A dict's own operations are atomic.
        self._principals: dict[str, Principal] = {}
        for principal in principals:
            self.add(principal)

    def add(self, principal: Principal) -> None:
        self._principals[principal.credentials.access_key_id] = principal

    def find(self, access_key_id: str) -> Principal | None:
        """The principal, also after its end, so that callers can say that it has expired."""
        return self._principals.get(access_key_id)
