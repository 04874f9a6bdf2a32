"""RAM roles, and the names (ARNs) of principals."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Role(NamedTuple):
    """A RAM role.

    `trusted` are the ARNs in its trust policy: of users, of roles, or of an account (`acs:ram::ID:root`) for all of its
    users and roles; "*" is everyone. `max_session_duration` is in seconds; `policies` are in JSON.
    """

    arn: str
    trusted: frozenset[str] = frozenset()
    max_session_duration: int = 3600
    policies: tuple[object, ...] = ()

    def trusts(self, arn: str) -> bool:
        """Whether the trust policy lets this principal assume the role."""
        return not self.trusted.isdisjoint(
            ("*", arn, identity_of(arn), f"acs:ram::{account_of(arn)}:root")
        )


def account_of(arn: str) -> str:
    return arn.split(":")[3]


def identity_of(arn: str) -> str:
    """The ARN that trust policies name: for a session, that of its role."""
    prefix, _, resource = arn.rpartition(":")
    kind, _, name = resource.partition("/")
    return f"{prefix}:role/{name.partition('/')[0]}" if kind in ("role", "assumed-role") else arn


def session_arn(role_arn: str, session_name: str) -> str:
    """The ARN of a session of a role, as GetCallerIdentity answers it."""
    return f"{role_arn.replace(':role/', ':assumed-role/')}/{session_name}"


def entity_id(arn: str) -> str:
    """The number that RAM gives to a user or role."""
    return "3" + str(int(hashlib.sha256(arn.encode()).hexdigest(), 16))[:17]
