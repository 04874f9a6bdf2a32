"""A revocation wins, whatever arrives at the same moment, and a limited share is never used more often than it may be.

People open and use a share, its sender extends and revokes it, all at once and in virtual time: requests to OSS arrive
late, answers are lost, instances are killed between two requests, and their clocks are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import pytest

from handler.core.context import Instance
from handler.core.request import Request
from handler.web import app
from handler.web.response import Response
from tests.handler.client import context, make_config
from tests.system import HTML, JSON, LINKS, MAKER, keys, secret_of, share_id
from tests.virtual_time import FAULTS, Process, World, each_world

KINDS: tuple[dict[str, Any], ...] = (
    {"page": False},
    {"max_uses": 1},
    {"max_uses": 3},
    {"password": True},
)
SKEWS = (0.0, 0.0, -600.0, 600.0)  # seconds
OPENED = (200, 302, 303)


class Person(NamedTuple):
    """What somebody does, until the status is one of `wanted`; so many of them, one of `numbers`, do it."""

    act: Callable[[str, int], Response]
    wanted: tuple[int, ...]
    numbers: tuple[int, ...]


class Life:
    """The life of one share; `granted` are the uses that somebody got, and `revoked_at` when its sender knew."""

    def __init__(self, world: World) -> None:
        dice = world.dice
        self.world = world
        self.config = make_config(LINKS)
        world.oss.fill(
            {"reports/q3.pdf": b"content", ".links/keys.json": json.dumps(keys()).encode()}
        )
        self.made: dict[str, Any] = {}
        self.max_uses = 0
        self.granted: set[str] = set()
        self.revoked_at = float("inf")
        self.wrong: list[str] = []
        world.start(Process(world, is_reliable=True), self.make)
        world.run()
        world.latency = dice.choice((0.02, 0.2, 2.0))
        world.fault_rate = dice.choice((0.0, 0.1, 0.3))
        world.faults = dice.sample(FAULTS, dice.randint(1, 4))
        self.kill_rate = dice.choice((0.0, 0.1, 0.4))
        self.seconds = dice.choice((1, 5, 60))

    def make(self) -> None:
        kind = self.world.dice.choice(KINDS)
        self.max_uses = kind.get("max_uses", 0)
        body = {"path": "/reports/q3.pdf", "expires": "1h", **kind}
        self.made = json.loads(self.ask("POST", "/-/shares", JSON, body).body)

    def people(self) -> tuple[Person, ...]:
        return (
            Person(self.open, OPENED, (2, 5)),
            Person(self.use, OPENED, (2, 5, 8)),
            Person(self.extend, (200, 400), (0, 1, 3)),
            Person(self.revoke, (204,), (0, 1, 1, 2)),
        )

    def run(self) -> None:
        dice = self.world.dice
        for act, wanted, numbers in self.people():
            for number in range(dice.choice(numbers)):
                self.later(self.seconds, act, wanted, f"{act.__name__}-{number}".ljust(16, "-"))
        self.world.run()
        self.world.fault_rate = self.kill_rate = 0.0
        self.world.start(Process(self.world, is_reliable=True), self.look)
        self.world.run()

    def later(
        self, within: float, act: Callable[[str, int], Response], wanted: tuple[int, ...], name: str
    ) -> None:
        """Somebody does something, and again until the answer is what they want or one that is final."""
        dice = self.world.dice
        process = Process(self.world, skew=dice.choice(SKEWS))
        process.dies_in = dice.randint(1, 12) if dice.random() < self.kill_rate else 0
        tried = False

        def attempt() -> None:
            nonlocal tried
            try:
                status = act(name, dice.randint(0, 9)).status
                tried = status in (*wanted, 410)
                if not tried and status != 503:
                    self.wrong.append(f"{act.__name__} was answered {status}")
            finally:
                if not tried:
                    self.later(dice.uniform(0.1, 30), act, wanted, name)

        self.world.start(process, attempt, after=dice.uniform(0, within))

    def open(self, name: str, number: int) -> Response:
        began = self.world.now
        answer = self.ask("GET", "/-/s/", HTML if number % 2 else JSON)
        if answer.status in OPENED and began > self.revoked_at:
            self.wrong.append(f"it was opened {began - self.revoked_at} s after it was revoked")
        return answer

    def use(self, name: str, number: int) -> Response:
        began = self.world.now
        answer = self.ask(
            "POST", "/-/s/", JSON, {"nonce": name, "password": self.made.get("password", "")}
        )
        if answer.status in OPENED:
            self.granted.add(name)
            if began > self.revoked_at:
                self.wrong.append(f"it was used {began - self.revoked_at} s after it was revoked")
        return answer

    def extend(self, name: str, number: int) -> Response:
        return self.ask("POST", f"/-/shares/{self.made['id']}", JSON, {"expires": f"{number + 2}h"})

    def revoke(self, name: str, number: int) -> Response:
        answer = self.ask("DELETE", f"/-/shares/{self.made['id']}", JSON)
        if answer.status == 204:
            self.revoked_at = min(self.revoked_at, self.world.now)
        return answer

    def look(self) -> None:
        """What everybody finds at the end."""
        if self.revoked_at < float("inf"):
            assert json.loads(self.open("", 0).body)["code"] == "share_revoked"
            assert self.extend("", 0).status == self.use("", 0).status == 410
            shown = self.ask("GET", f"/-/shares/{self.made['id']}", JSON)
            assert json.loads(shown.body)["state"] == "revoked"

    def ask(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Response:
        """The answer of a new instance, on the clock of the process that runs."""
        sent = {name.lower(): value for name, value in headers.items()}
        sent |= {"content-type": "application/json"}
        is_share = path == "/-/s/"
        if not is_share:
            sent["authorization"] = f"Bearer {MAKER}"
        query = {"share": secret_of(self.made["url"])} if is_share else {}
        request = Request(
            method, path, query, sent, json.dumps(body).encode() if body is not None else b"", ""
        )
        instance = Instance(self.config, self.world.thread().process.clock)
        return app.answer(request, lambda: instance, context(), request_id="req-EXAMPLE")

    def violations(self) -> Iterator[str]:
        yield from self.wrong
        uses = self.world.oss.keys(f".links/state/uses/{share_id(self.made['url'])}/")
        if self.max_uses and not len(self.granted) <= len(uses) <= self.max_uses:
            yield f"{len(self.granted)} of {self.max_uses} uses were granted, and {len(uses)} counted"


def live(world: World) -> Iterable[str]:
    with redirect_stdout(StringIO()):
        life = Life(world)
        life.run()
    return life.violations()


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.long) for first in range(25, 425, 50))]
)
def test_in_random_worlds(first: int) -> None:
    each_world(range(first, first + (50 if first else 25)), live)
