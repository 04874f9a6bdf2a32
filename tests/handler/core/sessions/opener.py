"""A configuration with [assume_role], and STS as a function that opens sessions and counts them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from handler.core.cloud.sessions import Session
from handler.core.cloud.sts import StsUnavailable
from handler.core.config import Config, Mount
from handler.core.config.load import read
from handler.core.context import RoleCredentials
from signer import Credentials
from tests.handler.client import KEYS, NOW

ROLE = "acs:ram::1000000000000001:role/links-signer"
FUNCTION = RoleCredentials(KEYS, None)
HOUR = 3600
START = float(int(NOW))


def config(duration: str = "1h", *, environ: dict[str, str] | None = None, **changes: Any) -> Config:
    """Two anonymous mounts, /docs/ and /images/, with these keys in addition."""
    mounts = [
        {"path": path, "target": f"oss://examplebucket{path}", "access": "anonymous", **changes}
        for path in ("/docs/", "/images/")
    ]
    table = {"region": "cn-hangzhou", "assume_role": {"role": ROLE, "duration": duration}, "mount": mounts}
    return read(table, environ or {})


def mount_at(loaded: Config, path: str = "/docs/") -> Mount:
    return next(mount for mount in loaded.mounts if mount.path == path)


class Opener:
    """Opens sessions that are valid for `life` seconds; a `failure` is STS's reason why it does not.

    `calls` are the paths and times of all attempts. `during` is called within each.
    """

    def __init__(self, life: float = HOUR) -> None:
        self.life = life
        self.failure = ""
        self.calls: list[tuple[str, float]] = []
        self.during: Callable[[], object] = lambda: None
        self._numbers = count(1)

    def __call__(self, loaded: Config, mount: Mount, role: RoleCredentials, now: float) -> Session:
        self.calls.append((mount.path, now))
        failure = self.failure
        self.during()
        if failure:
            raise StsUnavailable("STS refused the session.", failure, is_general=failure.startswith("Throttling"))
        name = f"{mount.path.strip('/')}.{next(self._numbers)}"
        keys = Credentials(f"STS.{name}", f"secret.{name}", f"CAIS.{name}")
        return Session(RoleCredentials(keys, now + self.life, is_session=True), now, now + self.life)

    @property
    def times(self) -> list[float]:
        """When it was called, in seconds after `START`."""
        return [now - START for _, now in self.calls]
