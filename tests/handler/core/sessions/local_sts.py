"""A local STS on a free port: the function's role may assume the signer's, and a test may break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Response

from local.ram import Principal, Principals
from local.server import listen, serve
from local.sts import Role, create_app
from tests.handler.client import KEYS, NOW
from tests.handler.core.sessions.opener import ROLE

ACCOUNT = "1000000000000001"
FUNCTION_ARN = f"acs:ram::{ACCOUNT}:role/links"
# The signer's role may do everything: what confines a session is its own policy.
ALL: dict[str, Any] = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": ["oss:*"], "Resource": ["*"]}]}


class Issued(Principals):
    """The principals of STS, and those that it issued since the start."""

    def __init__(self, function: Principal, on_issued: Callable[[Principal], None]) -> None:
        self.principals: list[Principal] = []
        self._on_issued: Callable[[Principal], None] = lambda principal: None
        super().__init__([function])
        self.principals.clear()
        self._on_issued = on_issued

    def add(self, principal: Principal) -> None:
        super().add(principal)
        self.principals.append(principal)
        self._on_issued(principal)


@dataclass
class LocalSts:
    """`now` is its clock, in Unix seconds; `before` may answer in its place; `calls` are the actions it was sent."""

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
def local_sts(on_issued: Callable[[Principal], None] = lambda principal: None) -> Iterator[LocalSts]:
    """`on_issued` is called with each principal that STS issues."""
    issued = Issued(Principal.of(KEYS, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1"), on_issued)
    listener = listen(0)
    sts = LocalSts("", issued)
    sts.roles[ROLE] = Role(ROLE, frozenset({FUNCTION_ARN}), 43_200, (ALL,))
    app: Any = create_app(issued, lambda: sts.roles, now=lambda: sts.now(), before=lambda action: sts.answer(action))
    server = serve(app, listener)
    sts.url, sts.close = server.url, server.close
    try:
        yield sts
    finally:
        server.close()
