"""The RAM account of a stack: its operator, and the roles of its functions and of links.toml with their rights.

The rights are those of a deployment, so that one that is missing fails here first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from handler.core.config import Config, InvalidConfig
from handler.core.config.rights import Statement, allow, policy
from signer import Credentials
from signer.emulator.ram import ACCOUNT, PolicyError, Principal, Principals, parse_policy
from signer.emulator.sts import Role, temporary_credentials
from signer.emulator.sts.roles import session_arn

from . import rights
from .errors import LocalError
from .fc.functions import Function

OPERATOR = f"acs:ram::{ACCOUNT}:role/operator"
CDN = f"acs:ram::{ACCOUNT}:role/aliyuncdnaccessingprivateossrole"
ROLE_LIFE = 36 * 3600  # seconds for which Function Compute's credentials of a role are valid
MIN_LIFE = 3600  # seconds that are left when a function gets new ones
EVERYTHING: Statement = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}


class Account:
    """`principals` are for OSS and STS; the operator may do everything, and assume every role. Threads may share it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.operator = temporary_credentials()
        self.principals = Principals([Principal.of(self.operator, session_arn(OPERATOR, "laptop"))])
        self._now = now
        self._lock = threading.Lock()
        self._roles: dict[str, Role] = {}
        self._sessions: dict[str, Principal] = {}

    def roles(self) -> Mapping[str, Role]:
        """By ARN."""
        return self._roles

    def set_rights(self, functions: Iterable[tuple[Function, Config | None]]) -> None:
        """Gives each function, also with credentials that it has already, what its links.toml requires.

        A function without a links.toml, or of another project, may do everything. Raises `LocalError` if RAM cannot
        express the rights.
        """
        roles = make_roles(functions)
        with self._lock:
            self._roles = roles
            for name, session in self._sessions.items():
                role = roles[session.arn.replace(":assumed-role/", ":role/").rpartition("/")[0]]
                self._sessions[name] = self._add(
                    role, name, session.credentials, session.expires_at
                )

    def credentials_of(self, function: Function) -> Credentials:
        """Those of its role, which it keeps until they are about to expire."""
        now = self._now()
        with self._lock:
            session = self._sessions.get(function.name)
            if session is None or (session.expires_at or 0) - now < MIN_LIFE:
                role = self._roles[function.role_arn]
                session = self._add(role, function.name, temporary_credentials(), now + ROLE_LIFE)
                self._sessions[function.name] = session
        return session.credentials

    def cdn(self) -> Credentials:
        """New ones of the CDN's role, which reads every bucket (CDN page on origin fetch from private OSS buckets)."""
        policies = [policy([allow(["oss:Get*", "oss:List*"], "*")])]
        session = Principal.of(
            temporary_credentials(), session_arn(CDN, "cdn"), documents=[policies]
        )
        self.principals.add(session)
        return session.credentials

    def _add(
        self, role: Role, name: str, credentials: Credentials, expires_at: float | None
    ) -> Principal:
        session = Principal.of(
            credentials, session_arn(role.arn, name), expires_at, [role.policies]
        )
        self.principals.add(session)
        return session


def make_roles(functions: Iterable[tuple[Function, Config | None]]) -> dict[str, Role]:
    """The roles of functions, and those that their mounts assume, by ARN. Raises `LocalError`."""
    with_role = [(function, config) for function, config in functions if function.role]
    roles: dict[str, Role] = {}
    try:
        for function, config in with_role:
            web = function.http is not None
            events = function.takes_events
            statements: Sequence[Statement] = [EVERYTHING]
            if config is not None and function.entry.startswith("handler.on_"):
                statements = rights.role_statements(config, web=web, events=events)
            _add_role(roles, Role(function.role_arn, frozenset({OPERATOR})), statements)
            if config is not None and config.assume_role is not None:
                duration = max(rights.MIN_MAX_DURATION, config.assume_role.duration)
                for arn, statements in rights.signer_statements(
                    config, web=web, events=events
                ).items():
                    # As in an account: only functions that open sessions of the role are trusted.
                    trusted = frozenset({OPERATOR, function.role_arn})
                    _add_role(roles, Role(arn, trusted, duration), statements)
    except InvalidConfig as error:
        raise LocalError(error.sentence) from None
    except PolicyError as error:
        raise LocalError(str(error)) from None
    return roles


def _add_role(roles: dict[str, Role], role: Role, statements: Sequence[Statement]) -> None:
    """Adds the role with these rights, or adds the rights to the role that is there."""
    known = roles.get(role.arn, role)
    document = policy(statements)
    policies = known.policies
    if statements and document not in policies:
        parse_policy(document, f"role {role.arn}")
        policies = (*policies, document)
    duration = max(known.max_session_duration, role.max_session_duration)
    roles[role.arn] = Role(role.arn, known.trusted | role.trusted, duration, policies)
