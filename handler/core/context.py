"""What a process keeps between calls of the function, and one call, apart from its request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from signer import Credentials, SignerError
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

from .config import Config, Mount, Target
from .errors import Problem
from .paths import covers

# The role's credentials are valid for 36 hours; those in the environment are as old as the process.
ENVIRONMENT_LIFETIME = 35 * 3600  # seconds
TIMEOUT = 60.0  # seconds, if the context does not say

if TYPE_CHECKING:
    from signer import CdnKey

Remembered = TypeVar("Remembered")


class Clock(NamedTuple):
    """The time in Unix seconds, a time in seconds that never goes back, and a pause in seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Instance:
    """What a process keeps between calls: its configuration, its clock, and one object of each kind.

    The process was started at `started` (Unix seconds).
    """

    def __init__(self, config: Config, clock: Clock, started: float | None = None) -> None:
        self.config = config
        self.clock = clock
        self.started = clock.now() if started is None else started
        self._memory: dict[type[Any], Any] = {}

    def memory(self, kind: type[Remembered]) -> Remembered:
        """The object of a kind, made at its first use, without arguments and without opening anything."""
        remembered: Remembered | None = self._memory.get(kind)
        # Of the objects that two threads make at the same time, one is kept.
        return self._memory.setdefault(kind, kind()) if remembered is None else remembered


class ExpiryLimit(NamedTuple):
    """A limit on the lifetime of a link in seconds, and its source: mount, share, caller or credentials."""

    source: str
    seconds: int


class RoleCredentials(NamedTuple):
    """The credentials of the function's role, or of a mount's session.

    They expire no later than `expires_at` (Unix seconds, None: unknown), a session exactly then. Where they may be a
    client's, OSS's or STS's refusal is a `CredentialsRefused`.
    """

    credentials: Credentials
    expires_at: float | None
    is_session: bool = False
    may_be_forged: bool = False


class Access(NamedTuple):
    """A target that may be used, the credentials that sign for it, and the limits of the caller or share.

    With `cdn`, it signs links instead of the credentials. Only `auth.authorize` makes it.
    """

    target: Target
    credentials: RoleCredentials
    limits: tuple[ExpiryLimit, ...]
    cdn: CdnKey | None = None


class Caller(NamedTuple):
    """An authenticated caller. `id` is for the audit log, `owner` owns the caller's shares.

    `paths` and `methods` are what the API key or token allows; it expires at `expires_at` (Unix seconds, None: never).
    `max_share` is the maximum lifetime of the caller's shares in seconds, None where only the mount limits it.
    """

    id: str
    owner: str
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    expires_at: float | None
    max_share: int | None = None

    def allows(self, path: str, method: str) -> bool:
        """Whether the caller may get a link for `method` at a decoded path, with SHARE a share, with LIST a folder."""
        return method in self.methods and any(covers(allowed, path) for allowed in self.paths)

    def sees(self, mount: Mount, path: str) -> bool:
        """Whether the caller may use any method of a mount at a decoded path; without one the answer is a 404."""
        methods = (*mount.methods, "LIST") if mount.lists else mount.methods
        return mount.access == "anonymous" or any(self.allows(path, method) for method in methods)

    def limits(self, now: float) -> tuple[ExpiryLimit, ...]:
        """The limit that keeps a link from outliving the caller's API key or token."""
        return (
            ()
            if self.expires_at is None
            else (ExpiryLimit("caller", int(self.expires_at) - int(now)),)
        )


class Invocation(NamedTuple):
    """One call of the function. `context` is the platform's object, with the credentials; `now` is in Unix seconds.

    `audit_fields` are those of the audit line. `caller` is None for an anonymous request.
    """

    instance: Instance
    context: object
    now: float
    audit_fields: dict[str, object]
    caller: Caller | None = None

    @property
    def config(self) -> Config:
        return self.instance.config

    def seconds_left(self) -> float:
        """Until the platform ends the invocation."""
        return self.now + timeout(self.context) - self.instance.clock.now()

    def require_caller(self) -> Caller:
        """Raises the 401 `unauthorized`."""
        if self.caller is None:
            raise Problem("unauthorized")
        return self.caller

    def credentials(self) -> RoleCredentials:
        """The function's own: from its context, otherwise from the environment.

        The runtime of Python 3.10 passes new ones with each invocation; Python 3.12 and Debian 11 have them in the
        environment only. Raises the 503 `no_credentials`.
        """
        provided = getattr(self.context, "credentials", None)
        key_id = getattr(provided, "access_key_id", None)
        secret = getattr(provided, "access_key_secret", None)
        token = getattr(provided, "security_token", None) or ""
        if (
            key_id
            and secret
            and isinstance(key_id, str)
            and isinstance(secret, str)
            and isinstance(token, str)
        ):
            may_be_forged = getattr(self.context, "may_be_forged", False)
            return RoleCredentials(
                Credentials(key_id, secret, token or None), None, may_be_forged=may_be_forged
            )
        try:
            credentials = Credentials.from_environment(families=(FUNCTION_COMPUTE, OFFICIAL_SDK))
        except SignerError:
            raise Problem("no_credentials") from None
        return RoleCredentials(credentials, self.instance.started + ENVIRONMENT_LIFETIME)

    def __repr__(self) -> str:
        # Without the platform's context, which has the credentials, and without the configuration.
        return f"Invocation(now={self.now!r}, audit_fields={self.audit_fields!r}, caller={self.caller!r})"


def timeout(context: object) -> float:
    """The seconds that an invocation may take."""
    seconds = getattr(getattr(context, "function", None), "timeout", None)
    return (
        float(seconds)
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        else TIMEOUT
    )


def has_expired(expires_at: float, now: float) -> bool:
    """Whether no second is left. Both times are rounded down, because links count in seconds."""
    return int(expires_at) <= int(now)
