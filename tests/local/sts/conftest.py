"""Fixtures of the local STS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.wrappers import Response

from local.server import Server, listen, serve
from local.sts import Principal, Role, Sessions, create_app
from signer import Credentials

ACCOUNT = "1000000000000001"
FUNCTION = f"acs:ram::{ACCOUNT}:role/links"
SIGNER = f"acs:ram::{ACCOUNT}:role/links-signer"
USER_KEYS = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
FUNCTION_KEYS = Credentials("STS.EXAMPLE", "temporarysecretEXAMPLE", "CAISEXAMPLE+token/of+STS==")
ROLE_POLICY = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}]}


@dataclass
class Sts:
    """A local STS; a test may move its clock, change its roles and answer in its place."""

    url: str
    clock: Callable[[], float] = time.time
    before: Callable[[str], Response | None] = lambda action: None
    allows: Callable[[Principal, str, str], bool] = lambda principal, action, resource: True
    roles: dict[str, Role] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)


class SharedListener:
    """One listener for all tests: each sets its own application."""

    def __init__(self) -> None:
        self.app: Callable[..., Iterable[bytes]] | None = None
        self.server: Server = serve(self, listen(0))

    def __call__(self, *request: Any) -> Iterable[bytes]:
        assert self.app
        return self.app(*request)


@pytest.fixture(scope="session")
def listener() -> Iterator[SharedListener]:
    listener = SharedListener()
    yield listener
    listener.server.close()


@pytest.fixture
def sts(listener: SharedListener) -> Sts:
    """The function's role may assume the signer's; a user may too."""
    sts = Sts(listener.server.url)
    sts.sessions.add(Principal(USER_KEYS, f"acs:ram::{ACCOUNT}:user/operator"))
    sts.sessions.add(Principal(FUNCTION_KEYS, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1"))
    trusted = frozenset({FUNCTION, f"acs:ram::{ACCOUNT}:user/operator"})
    sts.roles[SIGNER] = Role(SIGNER, trusted, 43_200, (ROLE_POLICY,))
    listener.app = create_app(
        sts.sessions,
        lambda: sts.roles,
        now=lambda: sts.clock(),
        allows=lambda *request: sts.allows(*request),
        before=lambda action: sts.before(action),
    )
    return sts
