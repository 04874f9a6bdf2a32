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
from ..config import Config, Mount
from ..config.rights import session_policy
from ..context import RoleCredentials
from ..errors import CredentialsRefused, Problem
from .sts import TIMEOUT, StsUnavailable, assume_role

MIN_LIFE = 60  # seconds that a session must still be valid, so that its links are of use
MIN_LEFT = 120  # seconds; with less it is renewed even if links are shorter, so that nobody has to wait for STS
MIN_AGE = (
    900  # seconds after which a session may be renewed, or a quarter of its life if that is shorter
)
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
        return self.expires_at - now < max(max_expires, MIN_LEFT) and now >= self._renewable_at()

    def fresh_until(self, max_expires: int) -> float:
        """Before this time it serves and is not due."""
        fitting = self.expires_at - max(max_expires, MIN_LEFT)
        return min(max(self._renewable_at(), fitting), self.expires_at - MIN_LIFE)

    def _renewable_at(self) -> float:
        return self.opened_at + min(MIN_AGE, (self.expires_at - self.opened_at) / 4)


class _Slot:
    """One mount: its session, the lock of the request that opens one, and why and how often that failed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: Session | None = None
        self.fresh_until = 0.0
        self.failures = 0
        self.not_before = 0.0
        self.reason = ""


Open = Callable[[Config, Mount, RoleCredentials, float], Session]


def open_session(config: Config, mount: Mount, credentials: RoleCredentials, now: float) -> Session:
    """A new session of a mount. Raises `StsUnavailable`."""
    settings = config.assume_role
    assert settings is not None  # noqa: S101 - for mypy: only [assume_role] opens sessions
    answer = assume_role(
        settings.url,
        mount.role_arn or settings.role,
        session_name(mount.path),
        session_policy(config, mount),
        settings.duration,
        credentials.credentials,
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


class Sessions:
    """Safe to share between the threads of an instance."""

    def __init__(
        self,
        open_session: Open = open_session,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_session
        self._jitter = jitter
        self._monotonic = monotonic
        self._slots: dict[str, _Slot] = {}
        self._not_before = 0.0  # of all mounts

    def get(
        self, config: Config, mount: Mount, own: Callable[[], RoleCredentials], now: float
    ) -> RoleCredentials:
        """The credentials of a mount's session; `own` returns those that open one.

        Raises the 503 `credentials_unavailable` without a session that serves, and `CredentialsRefused`.
        """
        slot = self._slots.get(mount.path) or self._slots.setdefault(mount.path, _Slot())
        # Most requests end here. In this order, since `_renew` writes them in the other one.
        if now < slot.fresh_until and slot.session is not None:
            return slot.session.credentials
        session = slot.session
        serves = session is not None and session.serves(now)
        # All links of one window of `cache` must be equal, so their session is replaced between two windows.
        issued_at = now - now % mount.cache if mount.cache else now
        if session is not None and serves and not session.is_due(mount.max_expires, issued_at):
            return session.credentials
        if slot.lock.acquire(blocking=not serves):
            try:
                # Another request may have renewed it, or failed, before this one had the lock.
                if slot.session is session and not self._pauses(slot, now):
                    self._renew(slot, config, mount, own(), now)
            finally:
                slot.lock.release()
        session = slot.session
        if session is None or not session.serves(now):
            pause = min(max(slot.not_before, self._not_before) - now, MAX_PAUSE)
            headers = {"Retry-After": str(max(1, -int(-pause // 1)))}
            cause = f"AssumeRole: {slot.reason or 'no_answer'}"
            raise Problem("credentials_unavailable", headers=headers, cause=cause)
        return session.credentials

    def _pauses(self, slot: _Slot, now: float) -> bool:
        """Whether to leave STS alone. A pause that is too long is one of a clock that was corrected since."""
        return any(
            0 < not_before - now <= MAX_PAUSE + TIMEOUT
            for not_before in (slot.not_before, self._not_before)
        )

    def _renew(
        self, slot: _Slot, config: Config, mount: Mount, credentials: RoleCredentials, now: float
    ) -> None:
        """Replaces the session, or says when to try again. Raises `CredentialsRefused` for what may be forged."""
        started = self._monotonic()
        try:
            session = self._open(config, mount, credentials, now)
            if not session.serves(now):
                raise StsUnavailable(
                    "The session that STS answered has already expired.", "ended_session"
                )
        except StsUnavailable as error:
            if credentials.may_be_forged:  # a client must not pause the mount for others
                raise CredentialsRefused(
                    "STS refused the credentials in the headers of the request."
                ) from None
            pause = min(MAX_PAUSE, 2.0 ** min(slot.failures, 6))
            slot.failures = slot.failures + 1
            slot.reason = error.reason
            # The call itself may have taken longer than the pause. Instances that STS throttled together must not come
            # back together.
            slot.not_before = now + self._monotonic() - started + pause * (0.5 + self._jitter() / 2)
            if error.is_general:
                # One request must not wait for each of its mounts.
                self._not_before = slot.not_before
            audit.write(
                {"warning": "session_not_renewed", "mount": mount.path, "why": error.reason}
            )
            return
        slot.session = session
        slot.failures = 0
        slot.not_before = 0.0
        slot.fresh_until = session.fresh_until(mount.max_expires)
