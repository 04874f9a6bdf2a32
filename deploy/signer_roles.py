"""The roles of `[assume_role]` and of mounts: who may assume each, what its sessions need, and for how long.

Source: the RAM pages "CreateRole" and "UpdateRole" (2015-05-01).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from handler.core.config.rights import Statement
from local.rights import MIN_MAX_DURATION, signer_statements, unique

from .checks.names import role_name
from .errors import DeployError
from .model import ConfiguredFunction
from .statements import Document, document, trust_policy


class SignerRole(NamedTuple):
    """`trusted` are the ARNs of the functions' roles; `max_session_duration` is in seconds, and at least RAM's."""

    arn: str
    trusted: tuple[str, ...]
    statements: tuple[Statement, ...]
    max_session_duration: int = MIN_MAX_DURATION

    def documents(self) -> Document:
        """Raises `DeployError` if the policy exceeds RAM's limit."""
        return {
            "trust": trust_policy("RAM", self.trusted),
            "policy": document(self.statements),
            "max_session_duration": self.max_session_duration,
        }


def signer_roles(functions: Iterable[ConfiguredFunction]) -> dict[str, SignerRole]:
    """By name, each for all functions that use it. Raises `DeployError` for a role that is written in two ways."""
    roles: dict[str, SignerRole] = {}
    written: dict[str, str] = {}
    for configured in functions:
        web = configured.function.http is not None
        events = configured.function.takes_events
        needed = signer_statements(configured.config, web=web, events=events)
        for arn, statements in needed.items():
            assert configured.config.assume_role is not None  # noqa: S101 - for mypy: without it, no role is needed
            name = role_name(arn)
            # RAM does not distinguish capital letters in the names of roles.
            known = written.setdefault(name.lower(), arn)
            if known != arn:
                raise DeployError(
                    f"{known} and {arn} have one name: write the same ARN everywhere in links.toml."
                )
            role = roles.get(name, SignerRole(arn, (), ()))
            trusted = f"{arn.rpartition('/')[0]}/{role_name(configured.function.role)}"
            roles[name] = SignerRole(
                arn,
                tuple(dict.fromkeys((*role.trusted, trusted))),
                tuple(unique([*role.statements, *statements])),
                max(role.max_session_duration, configured.config.assume_role.duration),
            )
    return roles
