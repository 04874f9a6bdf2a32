"""The session of each mount in this instance: opened at its first use, and renewed while the old one still serves.

Function Compute freezes an instance between requests, so nothing runs in the background: the request that finds renewal
due makes it, and all others use the old session meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .. import audit
from ..config import AssumeRole, Config, Mount
from ..config.rights import session_policy
from ..context import Invocation, RoleCredentials
from ..errors import Problem
from .sts import StsUnavailable, assume_role

MIN_LIFE = 60  # seconds that a session must still be valid, so that its links are of use
MIN_AGE = 900  # seconds after which a session may be renewed, or a quarter of its life if that is shorter
MAX_PAUSE = 60.0  # seconds between two attempts that fail


class Session(NamedTuple):
    """Temporary credentials of a mount; times are in Unix seconds."""

    credentials: RoleCredentials
    opened_at: float
    expires_at: float

    def serves(self, now: float) -> bool:
        return self.expires_at - now >= MIN_LIFE

    def is_due(self, max_expires: int, now: float) -> bool:
        """Whether the longest link does not fit into what is left, and the session is not too young."""
        min_age = min(MIN_AGE, (self.expires_at - self.opened_at) / 4)
        return self.expires_at - now < max_expires and now - self.opened_at >= min_age


class _Slot:
    """One mount: its session, and the lock of the request that opens one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: Session | None = None
        self.failures = 0
        self.not_before = 0.0


Open = Callable[[Config, Mount, RoleCredentials, float], Session]


class Sessions:
    """Safe to share between the threads of an instance."""

    def __init__(self, open_session: Open, jitter: Callable[[], float] = random.random) -> None:
        self._open, self._jitter = open_session, jitter
        self._slots: dict[tuple[AssumeRole | None, Mount], _Slot] = {}

    def get(self, config: Config, mount: Mount, role: RoleCredentials, now: float) -> RoleCredentials:
        """Raises the 503 `credentials_unavailable` without a session that serves."""
        # A dict's own operations are atomic, and both values of a race are alike.
        slot = self._slots.setdefault((config.assume_role, mount), _Slot())
        session = slot.session
        if session is not None and session.serves(now):
            if session.is_due(mount.max_expires, now) and now >= slot.not_before and slot.lock.acquire(blocking=False):
                try:
                    # Another request may have renewed it before this one had the lock.
                    if slot.session is session:
                        self._renew(slot, config, mount, role, now)
                finally:
                    slot.lock.release()
            return (slot.session or session).credentials
        with slot.lock:
            session = slot.session
            if session is None or not session.serves(now):
                if now >= slot.not_before:
                    self._renew(slot, config, mount, role, now)
                session = slot.session
            if session is None or not session.serves(now):
                raise _unavailable(slot.not_before - now)
            return session.credentials

    def _renew(self, slot: _Slot, config: Config, mount: Mount, role: RoleCredentials, now: float) -> None:
        """Replaces the session, or says when to try again."""
        try:
            session = self._open(config, mount, role, now)
            if not session.serves(now):
                raise StsUnavailable("The session that STS answered has already expired.", "ended_session")
        except StsUnavailable as error:
            slot.failures += 1
            pause = min(MAX_PAUSE, 2.0 ** (slot.failures - 1))
            # Instances that STS throttled together must not come back together.
            slot.not_before = now + pause * (0.5 + self._jitter() / 2)
            audit.write({"warning": "session_not_renewed", "mount": mount.path, "why": error.reason})
            return
        slot.session, slot.failures, slot.not_before = session, 0, 0.0


def _unavailable(pause: float) -> Problem:
    return Problem("credentials_unavailable", headers={"Retry-After": str(max(1, -int(-pause // 1)))})


def open_session(config: Config, mount: Mount, role: RoleCredentials, now: float) -> Session:
    """A new session of a mount. Raises `StsUnavailable`."""
    settings = config.assume_role
    assert settings is not None
    answer = assume_role(
        settings.url,
        mount.role or settings.role,
        session_name(mount.path),
        session_policy(config, mount),
        settings.duration,
        role.credentials,
        now,
    )
    credentials = RoleCredentials(answer.credentials, answer.expires_at, is_session=True)
    return Session(credentials, now, answer.expires_at)


def session_name(path: str) -> str:
    """What OSS's access log shows for a mount: 2 to 64 of the characters that STS allows, different for each path."""
    import hashlib
    import re

    plain = re.sub(r"[^A-Za-z0-9.@_-]", "-", path.strip("/"))
    return f"fc-presign-{plain[:46]}-{hashlib.sha256(path.encode()).hexdigest()[:6]}"


_sessions = Sessions(open_session)


def current_session(invocation: Invocation, mount: Mount, role: RoleCredentials) -> RoleCredentials:
    """The session of a mount in this process."""
    # The clock, not the time of the invocation: a long batch must not get links of an ended session.
    return _sessions.get(invocation.config, mount, role, max(invocation.now, time.time()))
