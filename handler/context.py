"""What one invocation brings beside its request: the configuration, the credentials' source, the clock, the caller."""

from __future__ import annotations

from typing import NamedTuple

from .config import Config
from .paths import covers


class ExpiryLimit(NamedTuple):
    """A limit on the lifetime of a link: what sets it (mount, share, caller or credentials), and its seconds."""

    source: str
    seconds: int


class Caller(NamedTuple):
    """A known caller. `id` is for the audit log, `kind` is "api" or "jwt", `owner` is who owns the caller's shares.

    `paths` and `methods` are those of the API key or token; `expires_at` is in Unix seconds, None for never.
    """

    id: str
    kind: str
    owner: str
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    expires_at: float | None

    def allows(self, path: str, method: str) -> bool:
        """Whether the caller may get a link for `method`, or for SHARE make a share, at a decoded path."""
        return method in self.methods and any(covers(allowed, path) for allowed in self.paths)

    def limits(self, now: float) -> tuple[ExpiryLimit, ...]:
        """No link outlives the caller's key or token."""
        return () if self.expires_at is None else (ExpiryLimit("caller", int(self.expires_at) - int(now)),)


class Invocation(NamedTuple):
    """One call of the function. `context` is the platform's, which carries the credentials; `now` is in Unix seconds.

    `facts` go into the audit line. `caller` is None for an anonymous request.
    """

    config: Config
    context: object
    now: float
    facts: dict[str, object]
    caller: Caller | None = None
