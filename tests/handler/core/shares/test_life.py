"""Shares are made, opened, used up, revoked, lose their owner, their key or their record, and expire, in any order.

Whatever happens, the service answers as docs/shares.md says. `FUZZ_SECONDS` (60) is how long the long test tries.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import api, issuer, token
from tests.worlds import HTML, JSON, MAKER, OTHER, STATE, Service, service_with_oss, share_key

PATH = "/reports/q3.pdf"
NONCES = ("nonce-EXAMPLE-0000", "nonce-EXAMPLE-0001")
REUSE = 600  # seconds in which the same nonce is the same use
LIFETIMES = {"2m": 120, "1h": 3600, "90d": 90 * 86_400}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "page": {"page": True},
    "revocable": {"revocable": True},
    "limited": {"max_uses": 2},
}
# Rarely, so that most shares live for a while.
CHANGES = (*[""] * 12, "owner", "issuer", "rotate", "retire", "record")
numbers = st.sampled_from([0, 0, 0, 1, 2])


@dataclass
class Share:
    """What the documents promise for a share: `owner` is its entry in the keys document, `signer` the share key."""

    url: str
    id: str
    kind: str
    owner: str
    signer: str
    expires_at: int
    is_revoked: bool = False
    is_lost: bool = False
    uses: list[tuple[str, float]] = field(default_factory=list)  # the nonce and the time of each

    @property
    def left(self) -> int | None:
        return 2 - len(self.uses) if self.kind == "limited" else None

    @property
    def has_record(self) -> bool:
        return self.kind in ("revocable", "limited")

    def repeats(self, nonce: str | None, now: float) -> bool:
        return any(used == nonce and now - at <= REUSE for used, at in self.uses)


class LifeOfShares(RuleBasedStateMachine):
    """The service, and what each share should answer. Each rule is one thing that people or operators do."""

    empty: Service
    now: float  # of all clocks

    @initialize()
    def begin(self) -> None:
        type(self).now = NOW
        self.shares: list[Share] = []
        self.owners = {"maker": "maker-0", "jwt": "jwt-0"}
        self.signers = ["signer-0"]
        self.made = 0
        self.exists = True
        self.empty.put("reports/q3.pdf")
        self._write_keys()

    def _write_keys(self) -> None:
        """Writes the entries that exist; another entry with the same name has another key or id."""
        callers = [api("other", OTHER, methods=["SHARE"])]
        if number := self.owners.get("maker"):
            callers.append(api("maker", MAKER + number, methods=["SHARE"]))
        jwts = [issuer(id=self.owners["jwt"], methods=["SHARE"])] if "jwt" in self.owners else []
        self.service = self.empty.with_keys(share=[share_key(name) for name in self.signers], api=callers, jwt=jwts)

    @rule(
        owner=st.sampled_from(["maker", "maker", "jwt"]),
        kind=st.sampled_from([*KINDS, "limited", "limited"]),
        expires=st.sampled_from([*LIFETIMES, "90d"]),
    )
    def make(self, owner: str, kind: str, expires: str) -> None:
        entry = self.owners.get(owner)
        credential = token(self.now) if owner == "jwt" else MAKER + (entry or "gone")
        answer = self.service.request_share(credential, now=self.now, path=PATH, expires=expires, **KINDS[kind])
        if entry is None:
            assert (answer.status, answer.code) == (401, "unknown_credential")
            return
        assert answer.status == 201, answer
        expires_at = int(self.now) + LIFETIMES[expires]
        created = answer.json
        self.shares.append(Share(created["url"], created["id"], kind, entry, self.signers[-1], expires_at))

    @precondition(lambda self: self.shares)
    @rule(number=numbers, headers=st.sampled_from([{}, HTML, JSON]), method=st.sampled_from(["GET", "GET", "HEAD"]))
    def look(self, number: int, headers: dict[str, str], method: str) -> None:
        """Opening is not a use, whoever opens it."""
        share = self._share(number)
        answer = self.service.open(share.url, method, headers, now=self.now)
        shows_page = headers != JSON and share.kind in ("page", "limited")
        also = {"share_used_up"} if share.left == 0 else set()
        if not self.exists and (shows_page or headers == HTML):
            also.add("no_such_object")
        if self._refuses(share, answer, also) or method == "HEAD":
            return
        if shows_page:
            assert answer.headers["Content-Type"].startswith("text/html")
        elif share.left is not None:
            assert answer.json["uses_left"] == share.left
        else:
            assert answer.expires_in <= share.expires_at - int(self.now)

    @precondition(lambda self: self.shares)
    @rule(number=numbers, headers=st.sampled_from([{}, HTML]), nonce=st.sampled_from([*NONCES, None]))
    def use(self, number: int, headers: dict[str, str], nonce: str | None) -> None:
        share = self._share(number)
        answer = self.service.use(share.url, nonce, now=self.now, accept=headers.get("Accept", "*/*"))
        also = {"share_used_up"} if share.left == 0 and not share.repeats(nonce, self.now) else set()
        if not self.exists and headers == HTML:
            also.add("no_such_object")
        if not self._refuses(share, answer, also):
            assert answer.status == 303
            if share.left is not None and not share.repeats(nonce, self.now):
                self.made += 1
                share.uses.append((nonce or str(self.made), self.now))

    @precondition(lambda self: self.shares)
    @rule(number=numbers, method=st.sampled_from(["GET", "GET", "DELETE"]))
    def manage(self, number: int, method: str) -> None:
        """Who may share the path shows and revokes its shares as long as there is a record."""
        share = self._share(number)
        answer = self.service.request(f"/-/shares/{share.id}", method, key=OTHER, now=self.now)
        if not share.has_record:
            assert answer.code == ("share_is_plain" if share.signer in self.signers else "not_found")
        elif share.is_lost:
            assert answer.code == "not_found"
        elif method == "DELETE":
            assert answer.status == 204
            share.is_revoked = True
        else:
            uses = len(share.uses) if share.kind == "limited" else None
            assert (answer.json["uses"], answer.json["revoked"]) == (uses, share.is_revoked)

    @rule(change=st.sampled_from(CHANGES))
    def change(self, change: str) -> None:
        """One change by an operator, or none."""
        if not change:
            return
        self.made += 1
        if change in ("owner", "issuer"):
            name = "maker" if change == "owner" else "jwt"
            if not self.owners.pop(name, None):
                self.owners[name] = f"{name}-{self.made}"
        elif change == "record":
            if share := next((share for share in reversed(self.shares) if share.has_record), None):
                self.service.delete(f"{STATE}shares/{share.id}.json")
                share.is_lost = True
        else:
            self.signers = [*self.signers[change == "retire" :], f"signer-{self.made}"]
        self._write_keys()

    @rule()
    def delete_or_put_the_object(self) -> None:
        (self.service.delete if self.exists else self.service.put)("reports/q3.pdf")
        self.exists = not self.exists

    @rule(seconds=st.sampled_from([1, 1, 1, 119, 599, 601, 601, 3600, 30 * 86_400]))
    def wait(self, seconds: int) -> None:
        type(self).now += seconds

    def _refuses(self, share: Share, answer: Answered, also: set[str]) -> bool:
        """Whether the share must be refused; then the answer is one of the refusals."""
        reasons = also | {
            code
            for code, applies in {
                "share_expired": self.now >= share.expires_at,
                "share_owner_removed": share.owner not in self.owners.values(),
                "share_retired": share.signer not in self.signers,
                "share_record_missing": share.is_lost,
                "share_revoked": share.is_revoked,
            }.items()
            if applies
        }
        assert (answer.status >= 400) == bool(reasons), (answer.status, reasons)
        if reasons:
            assert answer.line["code"] in reasons
        return bool(reasons)

    def _share(self, number: int) -> Share:
        """A share by its number from the newest on."""
        return self.shares[-1 - number % len(self.shares)]


@contextmanager
def running_life(folder: Path) -> Iterator[type[LifeOfShares]]:
    """The rules for a service whose clock and that of OSS they move."""

    class RunningLife(LifeOfShares):
        now = NOW

    with (
        patch.object(time, "time", lambda: RunningLife.now),
        service_with_oss(folder) as service,
    ):
        RunningLife.empty = service
        yield RunningLife


def explore(life: type[LifeOfShares], examples: int, steps: int, *, is_repeatable: bool) -> None:
    """Lives through sequences of rules, the same ones each time if `is_repeatable`."""
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=is_repeatable,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def live_through_everything(machine: LifeOfShares) -> None:
    """Each thing that can happen to a share, once."""

    def make(kind: str, owner: str = "maker", expires: str = "90d") -> None:
        machine.make(owner, kind, expires)

    def ask() -> None:
        for headers in ({}, HTML, JSON):
            machine.look(0, headers, "GET")
        machine.manage(0, "GET")

    machine.begin()
    for kind in KINDS:
        make(kind)
        ask()
        machine.use(0, HTML, NONCES[0])
        for _ in range(2):
            machine.manage(0, "DELETE")
            ask()
        machine.use(0, {}, None)
    make("limited")
    for nonce, seconds in ((NONCES[0], 599), (NONCES[0], 2), (NONCES[0], 1), (NONCES[1], 601), (NONCES[1], 0)):
        machine.use(0, {}, nonce)
        machine.wait(seconds)
        ask()
    for kind, change in (("revocable", "record"), ("limited", "record"), ("limited", "rotate")):
        make(kind)
        machine.change(change)
        for _ in range(2):  # without the object, and with it
            machine.delete_or_put_the_object()
            ask()
            machine.use(0, HTML, None)
            ask()
    for kind, owner, change in (("plain", "maker", "owner"), ("page", "jwt", "issuer"), ("limited", "maker", "retire")):
        make(kind, owner)
        for _ in range(4):  # gone, and another entry with the same name; older share keys are retired first
            machine.change(change)
            ask()
    for kind in ("plain", "limited"):
        make(kind, expires="2m")
        for seconds in (119, 1, 1):
            machine.wait(seconds)
            ask()


def test_a_share_answers_as_documented_in_a_life_of_everything(tmp_path: Path) -> None:
    with running_life(tmp_path) as life:
        live_through_everything(life())


def test_a_share_answers_as_documented_whatever_happens_to_it(tmp_path: Path) -> None:
    with running_life(tmp_path) as life:
        explore(life, 8, 50, is_repeatable=True)


@pytest.mark.long
def test_a_share_answers_as_documented_in_many_lives(tmp_path: Path) -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "60"))
    with running_life(tmp_path) as life:
        while time.monotonic() < end:
            explore(life, 10, 60, is_repeatable=False)
