"""A configuration with [assume_role], and STS: a function that opens sessions and counts them, and a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from werkzeug.wrappers import Response

from handler.core.cloud.sessions import Session
from handler.core.cloud.sts import StsUnavailable
from handler.core.config import Config, Mount
from handler.core.config.load import read
from handler.core.context import RoleCredentials
from signer import Credentials
from signer.emulator.ram import ACCOUNT, Principal, Principals
from signer.emulator.server import listen, serve
from signer.emulator.sts import Role, create_app
from tests.handler.client import KEYS, NOW

ROLE = "acs:ram::1000000000000001:role/links-signer"
FUNCTION = RoleCredentials(KEYS, None)
HOUR = 3600
START = float(int(NOW))
FUNCTION_SESSION = f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1"
# The signer's role may do everything: what confines a session is its own policy.
ALL: dict[str, Any] = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": ["oss:*"], "Resource": ["*"]}],
}


def config(
    duration: str = "1h", *, environ: dict[str, str] | None = None, **changes: Any
) -> Config:
    """Two anonymous mounts, /docs/ and /images/, with these keys in addition."""
    mounts = [
        {"path": path, "target": f"oss://examplebucket{path}", "access": "anonymous", **changes}
        for path in ("/docs/", "/images/")
    ]
    table = {
        "region": "cn-hangzhou",
        "assume_role": {"role": ROLE, "duration": duration},
        "mount": mounts,
    }
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
            raise StsUnavailable(
                "STS refused the session.", failure, is_general=failure.startswith("Throttling")
            )
        name = f"{mount.path.strip('/')}.{next(self._numbers)}"
        keys = Credentials(f"STS.{name}", f"secret.{name}", f"CAIS.{name}")
        return Session(
            RoleCredentials(keys, now + self.life, is_session=True), now, now + self.life
        )

    @property
    def times(self) -> list[float]:
        """When it was called, in seconds after `START`."""
        return [now - START for _, now in self.calls]


class Issued(Principals):
    """The principals of STS; `added` are those that it issued since the start."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Principal] = []

    def add(self, principal: Principal) -> None:
        super().add(principal)
        self.added.append(principal)


@dataclass
class LocalSts:
    """STS on a free port: `now` is its clock, in Unix seconds, `calls` are its actions; `before` may answer instead."""

    url: str
    issued: Issued
    now: Callable[[], float] = lambda: NOW
    before: Callable[[str], Response | None] = lambda action: None
    roles: dict[str, Role] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    close: Callable[[], None] = lambda: None

    def answer(self, action: str) -> Response | None:
        self.calls.append(action)
        return self.before(action)


@contextmanager
def local_sts(issued: Issued) -> Iterator[LocalSts]:
    """The function's role may assume the signer's, and a test may break it."""
    issued.add(Principal.of(KEYS, FUNCTION_SESSION))
    issued.added.clear()
    listener = listen(0)
    sts = LocalSts("", issued)
    sts.roles[ROLE] = Role(ROLE, frozenset({f"acs:ram::{ACCOUNT}:role/links"}), 43_200, (ALL,))
    app: Any = create_app(
        issued, lambda: sts.roles, now=lambda: sts.now(), before=lambda action: sts.answer(action)
    )
    server = serve(app, listener)
    sts.url, sts.close = server.url, server.close
    try:
        yield sts
    finally:
        server.close()
