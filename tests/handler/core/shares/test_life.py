"""Shares are made, opened, used up, extended, revoked, lose their owner or their record, and expire, in any order.

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

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from handler.core.config import Location
from signer.times import rfc3339
from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import api, issuer, token
from tests.memory_oss import BUCKET, MemoryOss, memory_oss
from tests.worlds import HTML, JSON, MAKER, OTHER, STATE, Service, service, share_id

OBJECT = "reports/q3.pdf"
NONCES = ("nonce-EXAMPLE-0000", "nonce-EXAMPLE-0001")
REUSE = 600  # seconds in which the same nonce is the same use
LIFETIMES = {"2m": 120, "1h": 3600, "90d": 90 * 86_400}
KINDS: dict[str, dict[str, Any]] = {
    "straight": {"page": False},
    "page": {},
    "limited": {"max_uses": 2},
    "locked": {"max_uses": 2, "password": True},
}
# Rarely, so that most shares live for a while.
CHANGES = (*[""] * 12, "owner", "issuer", "record")
numbers = st.sampled_from([0, 0, 0, 1, 2])


@dataclass
class Share:
    """What the documents promise for a share: `owner` is its entry in the keys document."""

    url: str
    kind: str
    owner: str
    code: str | None
    created_at: int
    expires_at: int
    is_revoked: bool = False
    is_lost: bool = False
    uses: list[tuple[str, float]] = field(default_factory=list)  # the nonce and the time of each

    @property
    def left(self) -> int | None:
        return 2 - len(self.uses) if "max_uses" in KINDS[self.kind] else None

    def repeats(self, nonce: str | None, now: float) -> bool:
        return any(used == nonce and now - at <= REUSE for used, at in self.uses)


class LifeOfShares(RuleBasedStateMachine):
    """The service, and what each share should answer. Each rule is one thing that people or operators do."""

    empty: Service
    oss: MemoryOss
    now: float  # of all clocks

    @initialize()
    def begin(self) -> None:
        type(self).now = NOW
        self.shares: list[Share] = []
        self.owners = {"maker": "maker-0", "jwt": "jwt-0"}
        self.made = 0
        self.exists = True
        self.oss.forget()
        self.oss.fill({OBJECT: b"content"})
        self._write_keys()

    def _write_keys(self) -> None:
        """Writes the entries that exist; another entry with the same name has another key or id."""
        callers = [api("other", OTHER, methods=["SHARE"])]
        if number := self.owners.get("maker"):
            callers.append(api("maker", MAKER + number, methods=["SHARE"]))
        jwts = [issuer(id=self.owners["jwt"], methods=["SHARE"])] if "jwt" in self.owners else []
        self.service = self.empty.with_keys(api=callers, jwt=jwts)

    @rule(
        owner=st.sampled_from(["maker", "maker", "jwt"]),
        kind=st.sampled_from([*KINDS, "limited", "limited"]),
        expires=st.sampled_from([*LIFETIMES, "90d"]),
    )
    def make(self, owner: str, kind: str, expires: str) -> None:
        entry = self.owners.get(owner)
        credential = token(self.now) if owner == "jwt" else MAKER + (entry or "gone")
        answer = self.service.request_share(credential, now=self.now, path=f"/{OBJECT}", expires=expires, **KINDS[kind])
        if entry is None:
            assert (answer.status, answer.code) == (401, "unknown_credential")
            return
        assert answer.status == 201, answer
        created, now = answer.json, int(self.now)
        self.shares.append(Share(created["url"], kind, entry, created.get("password"), now, now + LIFETIMES[expires]))

    @precondition(lambda self: self.shares)
    @rule(number=numbers, headers=st.sampled_from([{}, HTML, JSON]), method=st.sampled_from(["GET", "GET", "HEAD"]))
    def look(self, number: int, headers: dict[str, str], method: str) -> None:
        """Opening is not a use, whoever opens it."""
        share = self._share(number)
        answer = self.service.open(share.url, method, headers, now=self.now)
        shows_page = headers == HTML and share.kind != "straight"
        also = {"share_used_up"} if share.left == 0 and share.code is None else set()
        if not self.exists and headers == HTML and share.code is None:
            also.add("no_such_object")
        if self._refuses(share, answer, also) or method == "HEAD":
            return
        if shows_page:
            assert answer.headers["Content-Type"].startswith("text/html")
            assert (answer.body.count('name="password"') == 1) is (share.code is not None)
        elif share.left is not None:
            assert answer.json["expires_at"] == rfc3339(share.expires_at)
            assert answer.json.get("uses_left") == (share.left if share.code is None else None)
        else:
            assert answer.expires_in <= share.expires_at - int(self.now)

    @precondition(lambda self: self.shares)
    @rule(
        number=numbers,
        headers=st.sampled_from([{}, HTML]),
        nonce=st.sampled_from([*NONCES, None]),
        code=st.sampled_from([None, None, None, "wrong"]),
    )
    def use(self, number: int, headers: dict[str, str], nonce: str | None, code: str | None = None) -> None:
        share = self._share(number)
        fields = {"password": code or share.code or "none"}
        answer = self.service.use(share.url, nonce, now=self.now, accept=headers.get("Accept", "*/*"), **fields)
        if code is not None and share.code is not None:
            assert self._refuses(share, answer, {"wrong_password"})
            assert answer.line["code"] != "share_used_up"
            return
        also = {"share_used_up"} if share.left == 0 and not share.repeats(nonce, self.now) else set()
        if not self.exists and headers == HTML:
            also.add("no_such_object")
        if not self._refuses(share, answer, also):
            assert answer.status == 303
            if share.left is not None and not share.repeats(nonce, self.now):
                self.made += 1
                share.uses.append((nonce or str(self.made), self.now))

    @precondition(lambda self: self.shares)
    @rule(number=numbers, expires=st.sampled_from([*LIFETIMES]))
    def extend(self, number: int, expires: str) -> None:
        share = self._share(number)
        end = min(int(self.now) + LIFETIMES[expires], share.created_at + 2 * LIFETIMES["90d"])
        answer = self.service.extend(share.url, expires, OTHER, self.now)
        ended = {"share_owner_removed"} if share.owner not in self.owners.values() else set()
        ended |= {"share_revoked"} if share.is_revoked else set()
        if share.is_lost:
            assert answer.code == "not_found"
        elif ended:
            assert answer.code in ended
        elif end <= max(share.expires_at, int(self.now)):
            assert answer.code == "bad_expires"
        else:
            assert answer.json["expires_at"] == rfc3339(end)
            share.expires_at = end

    @precondition(lambda self: self.shares)
    @rule(number=numbers, method=st.sampled_from(["GET", "GET", "DELETE"]))
    def manage(self, number: int, method: str) -> None:
        """Who may share the path shows and revokes its shares as long as there is a record."""
        share = self._share(number)
        answer = self.service.request(f"/-/shares/{share_id(share.url)}", method, key=OTHER, now=self.now)
        if share.is_lost:
            assert answer.code == "not_found"
        elif method == "DELETE":
            assert answer.status == 204
            share.is_revoked = True
        else:
            assert answer.json["uses"] == (len(share.uses) if share.left is not None else None)
            assert f"share_{answer.json['state']}" in (self._reasons(share) or {"share_active", "share_used_up"})

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
            for share in self.shares[-1:]:
                self._delete(f"{STATE}shares/{share_id(share.url)}.json")
                share.is_lost = True
        self._write_keys()

    @rule()
    def delete_or_put_the_object(self) -> None:
        if self.exists:
            self._delete(OBJECT)
        else:
            self.oss.fill({OBJECT: b"content"})
        self.exists = not self.exists

    @rule(seconds=st.sampled_from([1, 1, 1, 119, 599, 601, 601, 3600, 30 * 86_400]))
    def wait(self, seconds: int) -> None:
        type(self).now += seconds

    def _delete(self, key: str) -> None:
        assert self.oss.answer("DELETE", Location(BUCKET, key), {}, {}).ok

    def _refuses(self, share: Share, answer: Answered, also: set[str]) -> bool:
        """Whether the share must be refused; then the answer is one of the refusals."""
        reasons = also | self._reasons(share)
        assert (answer.status >= 400) == bool(reasons), (answer.status, reasons)
        if reasons:
            assert answer.line["code"] in reasons
        return bool(reasons)

    def _reasons(self, share: Share) -> set[str]:
        if share.is_lost:
            return {"share_invalid"}
        reasons = {
            "share_expired": self.now >= share.expires_at,
            "share_owner_removed": share.owner not in self.owners.values(),
            "share_revoked": share.is_revoked,
        }
        return {code for code, applies in reasons.items() if applies}

    def _share(self, number: int) -> Share:
        """A share by its number from the newest on."""
        return self.shares[-1 - number % len(self.shares)]


@contextmanager
def running_life(folder: Path) -> Iterator[type[LifeOfShares]]:
    """The rules for a service whose clock and that of OSS they move."""

    class RunningLife(LifeOfShares):
        now = NOW

    with memory_oss({}, now=lambda: RunningLife.now) as oss:
        RunningLife.empty, RunningLife.oss = service(folder), oss
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


def test_a_share_answers_as_documented_whatever_happens_to_it(tmp_path: Path) -> None:
    with running_life(tmp_path) as life:
        explore(life, 30, 50, is_repeatable=True)


@pytest.mark.long
def test_a_share_answers_as_documented_in_many_lives(tmp_path: Path) -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "60"))
    with running_life(tmp_path) as life:
        while time.monotonic() < end:
            explore(life, 10, 60, is_repeatable=False)
