"""Who signs with an access key, and what they may do."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...credentials import Credentials
from ...link import seconds
from .evaluation import Layers
from .policy import parse_policy

# It owns everything here: the example account of the documentation of events, for the real one is unknown.
ACCOUNT = "1000000000000001"
ROOT = f"acs:ram::{ACCOUNT}:root"


class Principal(NamedTuple):
    """An access key with its identity; `expires_at` is in Unix seconds, None for one that does not expire.

    `arn` is `acs:ram::ACCOUNT:root`, `…:user/NAME` or `…:assumed-role/ROLE/SESSION`. Without `layers` the principal may
    do everything.
    """

    credentials: Credentials
    arn: str
    expires_at: float | None
    layers: Layers

    @classmethod
    def of(
        cls,
        credentials: Credentials,
        arn: str = ROOT,
        expires_at: float | None = None,
        documents: Sequence[Sequence[object]] = (),
    ) -> Principal:
        """One whose layers are policies in JSON: those of the user or role, then those of the session.

        Raises `PolicyError`, whose sentence names the user or the role.
        """
        kind, name = _identity(arn)
        owner = (
            f"role {name.partition('/')[0]}" if kind == "assumed-role" else f"{kind} {name}".strip()
        )
        layers = tuple(
            tuple(parse_policy(document, owner) for document in layer) for layer in documents
        )
        return cls(credentials, arn, expires_at, layers)

    @property
    def type(self) -> str:
        """As OSS's errors call it."""
        return {"assumed-role": "AssumedRoleUser", "user": "SubUser"}.get(
            _identity(self.arn)[0], "Account"
        )

    @property
    def display_name(self) -> str:
        """As in OSS's errors: of a session, `ROLE:SESSION`."""
        return _identity(self.arn)[1].replace("/", ":", 1) or ACCOUNT


class Principals:
    """The principals by access key ID; threads may share it."""

    def __init__(self, principals: Iterable[Principal] = ()) -> None:
        self._by_key = {principal.credentials.access_key_id: principal for principal in principals}
        self._lock = threading.Lock()

    @classmethod
    def of_account(cls, keys: Iterable[Credentials]) -> Principals:
        """Access keys that may do everything, until they expire."""
        return cls(
            Principal.of(
                key, expires_at=None if key.expires_at is None else seconds(key.expires_at)
            )
            for key in keys
        )

    def find(self, access_key_id: str) -> Principal | None:
        with self._lock:
            return self._by_key.get(access_key_id)

    def add(self, principal: Principal) -> None:
        """Replaces the one with the same access key ID."""
        with self._lock:
            self._by_key[principal.credentials.access_key_id] = principal


def _identity(arn: str) -> tuple[str, str]:
    """Kind and name: `("assumed-role", "ROLE/SESSION")`, `("user", "NAME")`, `("root", "")`."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return kind, name
