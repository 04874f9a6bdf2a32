"""The uses of a limited share are raised while people use it up and its sender extends and revokes it.

It is never used more often than the largest number that anybody asked for; who was told a number can use it up; and a
revocation wins. Requests arrive late, answers are lost, instances are killed, as in `test_revocations`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO

import pytest

from handler.web.response import Response
from tests.faults.test_revocations import OPENED, Life, Person
from tests.system import JSON, share_id
from tests.virtual_time import World, each_world

MAX_USES = 8


class RaisedLife(Life):
    """`asked` and `told` are totals: those that were requested, and those that a response confirmed.

    Two are requested in each world: of more, the last that arrives may count.
    """

    def make(self) -> None:
        dice = self.world.dice
        self.asked: set[int] = set()
        self.told: set[int] = set()
        self.max_uses = dice.randint(1, 3)
        self.totals = dice.sample(range(self.max_uses + 1, MAX_USES + 1), 2)
        body = {"path": "/reports/q3.pdf", "expires": "1h", "max_uses": self.max_uses}
        self.made = json.loads(self.ask("POST", "/-/shares", JSON, body).body)

    def people(self) -> tuple[Person, ...]:
        return (
            Person(self.open, OPENED, (2, 5)),
            Person(self.use, OPENED, (2, 5, 10)),
            Person(self.extend, (200, 400), (0, 1)),
            Person(self.more_uses, (200, 400), (1, 2, 4)),
            Person(self.revoke, (204,), (0, 0, 0, 1)),
        )

    def more_uses(self, name: str, number: int) -> Response:
        total = self.totals[number % 2]
        self.asked.add(total)
        began = self.world.now
        answer = self.ask("POST", f"/-/shares/{self.made['id']}", JSON, {"max_uses": total})
        if answer.status == 200:
            self.told.add(json.loads(answer.body)["max_uses"])
            if began > self.revoked_at:
                self.wrong.append("its uses were raised after it was revoked")
        return answer

    def look(self) -> None:
        """Everything that is left is used, by one person after the other."""
        super().look()
        used = 0
        while self.use(f"last-{used}".ljust(16, "-"), 0).status in OPENED:
            used += 1
            assert used <= MAX_USES

    def violations(self) -> Iterator[str]:
        yield from self.wrong
        uses = self.world.oss.keys(f".links/state/uses/{share_id(self.made['url'])}/")
        allowed = {self.max_uses} | self.asked
        if not len(self.granted) <= len(uses) <= max(allowed):
            yield f"{len(self.granted)} uses were granted and {len(uses)} counted, of {allowed}"
        is_open = self.revoked_at == float("inf")
        if is_open and len(uses) < max(self.told, default=self.max_uses):
            yield f"{len(uses)} uses were possible, after {self.told} were confirmed"


def live(world: World) -> Iterable[str]:
    with redirect_stdout(StringIO()):
        life = RaisedLife(world)
        life.run()
    return life.violations()


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.long) for first in range(15, 315, 50))]
)
def test_in_random_worlds(first: int) -> None:
    each_world(range(first, first + (50 if first else 15)), live)
