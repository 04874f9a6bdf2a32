"""Fixtures of the local STS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.wrappers import Response

from local.ram import ACCOUNT, Principal, Principals
from local.server import Server, listen, serve
from local.sts import Role, create_app
from signer import Credentials

OPERATOR = f"acs:ram::{ACCOUNT}:user/operator"
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
    roles: dict[str, Role] = field(default_factory=dict)
    principals: Principals = field(default_factory=Principals)


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
    sts.principals.add(Principal.of(USER_KEYS, OPERATOR))
    sts.principals.add(Principal.of(FUNCTION_KEYS, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1"))
    trusted = frozenset({FUNCTION, OPERATOR})
    sts.roles[SIGNER] = Role(SIGNER, trusted, 43_200, (ROLE_POLICY,))
    listener.app = create_app(
        sts.principals,
        lambda: sts.roles,
        now=lambda: sts.clock(),
        before=lambda action: sts.before(action),
    )
    return sts
