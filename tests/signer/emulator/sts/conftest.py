"""Fixtures of the local STS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from werkzeug.wrappers import Response

from signer import Credentials
from signer.emulator.ram import ACCOUNT, Principal, Principals
from signer.emulator.sts import Role, create_app
from tests.signer.emulator.conftest import SharedListener

OPERATOR = f"acs:ram::{ACCOUNT}:user/operator"
FUNCTION = f"acs:ram::{ACCOUNT}:role/links"
SIGNER = f"acs:ram::{ACCOUNT}:role/links-signer"
USER_KEYS = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
FUNCTION_KEYS = Credentials("STS.EXAMPLE", "temporarysecretEXAMPLE", "CAISEXAMPLE+token/of+STS==")
ROLE_POLICY = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"}],
}


@dataclass
class Sts:
    """A local STS; a test may move its clock, change its roles and answer in its place."""

    url: str
    clock: Callable[[], float] = time.time
    before: Callable[[str], Response | None] = lambda action: None
    roles: dict[str, Role] = field(default_factory=dict)
    principals: Principals = field(default_factory=Principals)


@pytest.fixture
def sts(shared: SharedListener) -> Sts:
    """The function's role may assume the signer's; a user may too."""
    sts = Sts(shared.server.url)
    sts.principals.add(Principal.of(USER_KEYS, OPERATOR))
    sts.principals.add(Principal.of(FUNCTION_KEYS, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1"))
    trusted = frozenset({FUNCTION, OPERATOR})
    sts.roles[SIGNER] = Role(SIGNER, trusted, 43_200, (ROLE_POLICY,))
    shared.app = create_app(
        sts.principals,
        lambda: sts.roles,
        now=lambda: sts.clock(),
        before=lambda action: sts.before(action),
    )
    return sts
