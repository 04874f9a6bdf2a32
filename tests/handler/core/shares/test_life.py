"""Shares are made, opened, used up, extended, revoked, lose their owner or their record, and expire, in any order.

Whatever happens, the service answers as docs/shares.md says. `FUZZ_SECONDS` (60) is how long the long test tries.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from handler.core.config import Location
from signer.times import rfc3339
from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import api
from tests.local_oss import BUCKET
from tests.memory_oss import memory_oss
from tests.system import DAY, HTML, JSON, MAKER, OTHER, STATE, service, share_id

OBJECT = "reports/q3.pdf"
NONCES = ("nonce-EXAMPLE-0000", "nonce-EXAMPLE-0001")
REUSE = 600  # seconds in which the same nonce is the same use
LIFETIMES = {"2m": 120, "1h": 3600, "90d": 90 * DAY}
USES = 2
KINDS: dict[str, dict[str, Any]] = {
    "straight": {"page": False},
    "page": {},
    "limited": {"max_uses": USES},
    "locked": {"max_uses": USES, "password": True},
}
numbers = st.sampled_from([0, 0, 0, 1, 2])  # of a share, from the newest on


@dataclass
class Share:
    """What the documents promise for a share: `owner` is its entry in the keys document.

    `total` is how often a limited one can be used; it is looked up once those of its record are used up.
    """

    url: str
    kind: str
    owner: str
    code: str | None
    created_at: int
    expires_at: int
    is_revoked: bool = False
    is_lost: bool = False
    total: int = USES
    uses: list[tuple[str, float]] = field(default_factory=list)  # the nonce and the time of each

    @property
    def is_limited(self) -> bool:
        return "max_uses" in KINDS[self.kind]

    @property
    def left(self) -> int | None:
        used = len(self.uses)
        total = USES if used < USES else self.total
        return total - used if self.is_limited else None

    def repeats(self, nonce: str | None, now: float) -> bool:
        return any(used == nonce and now - at <= REUSE for used, at in self.uses)


class LifeOfShares(RuleBasedStateMachine):
    """The service, and what each share should answer. Each rule is one thing that people or operators do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW  # of all clocks
        self.stack = ExitStack()
        self.oss = self.stack.enter_context(
            memory_oss({Location(BUCKET, OBJECT): b"content"}, lambda: self.now)
        )
        self.empty = service(Path(self.stack.enter_context(TemporaryDirectory())))
        self.shares: list[Share] = []
        self.owner, self.made = "", 0
        self.change("owner")

    def teardown(self) -> None:
        self.stack.close()

    # Rarely, so that most shares live for a while.
    @rule(change=st.sampled_from([*[""] * 12, "owner", "record"]))
    def change(self, change: str) -> None:
        """An operator replaces the owner's entry, which then has another key, or loses the newest record."""
        if change == "owner":
            self.made += 1
            self.owner = f"{MAKER}{self.made}"
            entries = [
                api("maker", self.owner, methods=["SHARE"]),
                api("other", OTHER, methods=["SHARE"]),
            ]
            self.service = self.empty.with_keys(api=entries)
        elif change == "record" and self.shares:
            self.delete(f"{STATE}shares/{share_id(self.shares[-1].url)}.json")
            self.shares[-1].is_lost = True

    @precondition(lambda self: len(self.shares) < 3)  # so that much happens to each
    @rule(
        kind=st.sampled_from([*KINDS, "limited", "locked"]),
        expires=st.sampled_from([*LIFETIMES, "90d", "90d"]),
    )
    def make(self, kind: str, expires: str) -> None:
        now = int(self.now)
        answer = self.service.request_share(
            self.owner, now=self.now, path=f"/{OBJECT}", expires=expires, **KINDS[kind]
        )
        assert answer.status == 201, answer
        url, code = answer.json["url"], answer.json.get("password")
        self.shares.append(Share(url, kind, self.owner, code, now, now + LIFETIMES[expires]))

    @precondition(lambda self: self.shares)
    @rule(
        number=numbers,
        headers=st.sampled_from([{}, HTML, JSON]),
        method=st.sampled_from(["GET", "GET", "HEAD"]),
    )
    def look(self, number: int, headers: dict[str, str], method: str) -> None:
        """Opening is not a use, whoever opens it."""
        share = self.share(number)
        answer = self.service.open(share.url, method, headers, now=self.now)
        also = {"share_used_up"} if share.left == 0 else set()
        also |= {"no_such_object"} if headers == HTML and not self.oss.keys(OBJECT) else set()
        if self.refuses(share, answer, also if share.code is None else set()) or method == "HEAD":
            return
        if headers == HTML and share.kind != "straight":
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
        headers=st.sampled_from([JSON, HTML]),
        nonce=st.sampled_from([*NONCES, None]),
        wrong=st.sampled_from(["", "", "", "wrong"]),
    )
    def use(self, number: int, headers: dict[str, str], nonce: str | None, wrong: str) -> None:
        share = self.share(number)
        fields = {"password": wrong or share.code or ""}
        answer = self.service.use(
            share.url, nonce, now=self.now, accept=headers["Accept"], **fields
        )
        if wrong and share.code:
            assert self.refuses(share, answer, {"wrong_password"})
            return
        # A person who sends the code first sees the page of the file, whose button has a nonce.
        shows = headers == HTML and share.code is not None and nonce is None
        repeats = share.repeats(nonce, self.now) and not shows
        also = {"share_used_up"} if share.left == 0 and not repeats else set()
        also |= {"no_such_object"} if headers == HTML and not self.oss.keys(OBJECT) else set()
        if not self.refuses(share, answer, also):
            assert answer.status == (303 if headers == HTML and not shows else 200)
            if share.left is not None and not repeats and not shows:
                self.made += 1
                share.uses.append((nonce or str(self.made), self.now))

    @precondition(lambda self: self.shares)
    @rule(
        number=numbers,
        expires=st.sampled_from([*LIFETIMES, None]),
        max_uses=st.sampled_from([*[None] * 3, 2, 3, 4, 6, 21]),
    )
    def extend(self, number: int, expires: str | None, max_uses: int | None = None) -> None:
        share = self.share(number)
        params = {"expires": expires, "max_uses": max_uses}
        answer = self.service.post(f"/-/shares/{share_id(share.url)}", params, OTHER, now=self.now)
        end = share.expires_at
        if expires is not None:
            latest = share.created_at + 2 * LIFETIMES["90d"]
            end = min(int(self.now) + LIFETIMES[expires], latest)
        fault = self.fault_of_extension(share, expires, max_uses, end)
        assert answer.line["code"] == fault
        if fault is None:
            share.expires_at = end
            share.total = max_uses or share.total
            assert answer.json["expires_at"] == rfc3339(end)
            if max_uses is not None:
                assert (answer.json["max_uses"], answer.json["state"]) == (max_uses, "active")
                assert answer.json["uses"] == len(share.uses)

    def fault_of_extension(
        self, share: Share, expires: str | None, max_uses: int | None, end: int
    ) -> str | None:
        if share.is_lost:
            return "not_found"
        if expires is None and max_uses is None:
            return "bad_body"
        if share.is_revoked or share.owner != self.owner:
            return "share_revoked" if share.is_revoked else "share_owner_removed"
        if max_uses is not None and not share.is_limited:
            return "share_not_limited"
        if max_uses is not None and not share.total < max_uses <= 20:
            return "bad_body"
        if max_uses is None and share.left == 0:
            return "share_used_up"
        if expires is not None and end <= max(share.expires_at, int(self.now)):
            return "bad_expires"
        return "share_expired" if end <= self.now else None

    @precondition(lambda self: self.shares)
    @rule(number=numbers, method=st.sampled_from(["GET", "GET", "GET", "DELETE"]))
    def manage(self, number: int, method: str) -> None:
        """Who may share the path shows and revokes its shares as long as there is a record."""
        share = self.share(number)
        answer = self.service.request(
            f"/-/shares/{share_id(share.url)}", method, key=OTHER, now=self.now
        )
        if share.is_lost:
            assert answer.code == "not_found"
        elif method == "DELETE":
            assert answer.status == 204
            share.is_revoked = True
        else:
            assert answer.json["uses"] == (len(share.uses) if share.is_limited else None)
            shown = answer.json["max_uses"]
            assert shown == (None if share.left is None else len(share.uses) + share.left)
            state = self.reason(share) or ("share_used_up" if share.left == 0 else "share_active")
            assert f"share_{answer.json['state']}" == state

    @rule()
    def delete_or_put_the_object(self) -> None:
        if self.oss.keys(OBJECT):
            self.delete(OBJECT)
        else:
            self.oss.fill({OBJECT: b"content"})

    @rule(seconds=st.sampled_from([*[1] * 8, *[119, 600, 601] * 2, 3600, 80 * DAY]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    def delete(self, key: str) -> None:
        assert self.oss.answer("DELETE", Location(BUCKET, key), {}, {}).ok

    def refuses(self, share: Share, answer: Answered, also: set[str]) -> bool:
        """Whether the share must be refused; then the answer is the first of its reasons, else one of the others."""
        reason = self.reason(share)
        reasons = {reason} if reason else also
        assert (answer.line["code"] in reasons) if reasons else (answer.status < 400), (
            answer,
            reasons,
        )
        return bool(reasons)

    def reason(self, share: Share) -> str | None:
        if share.is_lost:
            return "share_invalid"
        if share.is_revoked:
            return "share_revoked"
        if self.now >= share.expires_at:
            return "share_expired"
        return "share_owner_removed" if share.owner != self.owner else None

    def share(self, number: int) -> Share:
        return self.shares[-1 - number % len(self.shares)]


def live(examples: int, *, is_repeatable: bool) -> None:
    """Lives through sequences of rules, the same ones each time if `is_repeatable`."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=50,
        deadline=None,
        derandomize=is_repeatable,
        phases=(Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(LifeOfShares, settings=chosen)


def test_a_share_answers_as_documented_whatever_happens_to_it() -> None:
    live(35, is_repeatable=True)


@pytest.mark.parametrize("change", ["owner", "record"])
def test_a_share_answers_as_documented_once_its_owner_or_its_record_is_lost(change: str) -> None:
    life = LifeOfShares()
    life.make("limited", "90d")
    life.use(0, JSON, None, "")
    life.change(change)
    life.look(0, HTML, "GET")
    life.use(0, JSON, None, "")
    life.extend(0, "90d")
    life.manage(0, "GET")
    life.teardown()


@pytest.mark.parametrize("kind", ["limited", "locked"])
def test_a_share_answers_as_documented_once_its_uses_are_raised(kind: str) -> None:
    life = LifeOfShares()
    life.make(kind, "90d")
    for total in (3, 6):
        for _ in range(7):
            life.use(0, JSON, None, "")
            life.look(0, JSON, "GET")
            life.manage(0, "GET")
        life.extend(0, "90d", total)
    life.teardown()


@pytest.mark.long
def test_a_share_answers_as_documented_in_many_lives() -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "60"))
    while time.monotonic() < end:
        live(10, is_repeatable=False)
