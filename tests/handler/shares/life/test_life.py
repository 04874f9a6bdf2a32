"""Shares are made, opened, used up, revoked, lose their maker or their key, and expire, in any order and at once.

Whatever happens, the service answers as docs/shares.md and docs/keys.md say. `FUZZ_SECONDS` (60) is how long the long
test tries.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from handler.errors import ERRORS
from signer.times import parse_rfc3339
from tests.handler.keys_fixtures import ISSUER, api, base64url, issuer, token
from tests.handler.keys_fixtures import SECRET as SECRET_BYTES
from tests.handler.shares.life.model import OK, SEEN_WITHIN, Maker, ModelShare, Use, entry_of, origin_of, owners
from tests.handler.shares.life.running import BROWSER, JSON, PLAIN, START, THREADS, Answer, Service, running_service

DAY = 86_400
KEEPER = "fcp_keeper_EXAMPLE_0000000000000000000000000000"
READER = "fcp_reader_EXAMPLE_0000000000000000000000000000"
ANN = "fcp_ann_EXAMPLE_0000000000000000000000000000000"
BOB = "fcp_bob_EXAMPLE_0000000000000000000000000000000"
SECRET = base64url(SECRET_BYTES)
REPORTS = ("q1.pdf", "q2.pdf")
NONCES = ("nonce-EXAMPLE-0000", "nonce-EXAMPLE-0001", "nonce-EXAMPLE-0002")

SHARE_METHODS = ("--method", "GET", "--method", "SHARE")
WAITS = (1, 59, 60, 61, 300, 599, 601, 3600, 30 * DAY)

numbers = st.sampled_from([0, 0, 0, 1, 2, 3])


def document() -> dict[str, Any]:
    """The keys document at the beginning: who shares, and who may only read."""
    sharing = {"methods": ["GET", "SHARE"]}
    return {
        "version": 1,
        "share": [{"id": "first", "secret": base64url(b"f" * 32)}],
        "api": [
            api("keeper", KEEPER, **sharing),
            api("reader", READER),
            api("ann", ANN, **sharing),
            api("bob", BOB, **sharing, expires_at="2026-03-01T07:41:11Z"),
        ],
        "jwt": [issuer(id="first", secret=SECRET, **sharing)],
        "sinks": {},
    }


class LifeOfShares(RuleBasedStateMachine):
    """The service, and what a model of it expects. Each rule is one thing that people or operators do."""

    service: Service

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[ModelShare] = []
        self.makers = [Maker(ANN), Maker(BOB), Maker(SECRET, ISSUER), Maker(READER)]
        self.existing = set(REPORTS)
        # Each keys document since the beginning, and when it was written.
        self.documents: list[tuple[float, Any]] = []

    @initialize()
    def begin(self) -> None:
        self.service.renew()
        self.service.put_keys(document())
        self.documents = [(START, document())]
        for name in REPORTS:
            self.service.put_report(name)

    # What callers do.

    @precondition(lambda self: sum(OK in self._outcomes(share) for share in self.shares) < 3)
    @rule(
        maker=numbers,
        name=st.sampled_from(REPORTS),
        kind=st.sampled_from(["plain", "page", "revocable", "limited", "limited"]),
        expires=st.sampled_from(["2m", "1h", "90d", "90d"]),
        max_uses=st.sampled_from([1, 2, 3, 5]),
        allow_missing=st.booleans(),
    )
    def make(self, maker: int, name: str, kind: str, expires: str, max_uses: int, allow_missing: bool) -> None:
        who = self.makers[maker % len(self.makers)]
        members: dict[str, object] = {"path": f"/reports/{name}", "expires": expires, "allow_missing": allow_missing}
        members |= {"plain": {}, "page": {"page": True}, "revocable": {"revocable": True}}.get(
            kind, {"max_uses": max_uses}
        )
        credential = token(self.service.now) if who.issuer else who.secret
        answer = self._as(credential, "/-/shares", "POST", members)
        missing = name not in self.existing and not allow_missing
        outcomes = {"no_such_object" if missing and code == OK else code for code in self._may_make(who)}
        self._expect(answer, outcomes, 201)
        if answer.status == 201:
            created = answer.json
            origins = {origin for keys in self._documents() if (origin := origin_of(who, keys))}
            if kind in ("plain", "page"):
                origins = {origin for origin in origins if created["id"] == f"plain.{origin.signer}"}
            assert origins, created
            seconds = {"2m": 120, "1h": 3600, "90d": 90 * DAY}[expires]
            self.shares.append(
                ModelShare(
                    url=created["url"],
                    id=created["id"],
                    origins=frozenset(origins),
                    expires_at=int(self.service.now) + seconds,
                    page=kind in ("page", "limited"),
                    max_uses=max_uses if kind == "limited" else None,
                    has_record=kind in ("revocable", "limited"),
                )
            )

    @precondition(lambda self: self.shares)
    @rule(number=numbers, accept=st.sampled_from([PLAIN, BROWSER, JSON]), head=st.booleans())
    def look(self, number: int, accept: str, head: bool) -> None:
        """Opening is not a use, whoever opens it."""
        share = self._share(number)
        answer = self.service.open(share.url, "HEAD" if head else "GET", accept)
        limited_as_json = share.max_uses is not None and accept == JSON
        shows_page = share.page and accept != JSON
        also = []
        if share.left is not None and share.left <= 0:
            also.append("share_used_up")
        if not self._exists(share) and (shows_page or accept == BROWSER):
            also.append("no_such_object")
        status = 200 if shows_page or accept == JSON else 302
        if not self._expect(answer, self._outcomes(share, *also), status) or head:
            return
        if limited_as_json:
            assert answer.json["uses_left"] == share.left
        elif shows_page:
            assert answer.headers["Content-Type"].startswith("text/html")
        else:
            self._check_link(share, answer)

    @precondition(lambda self: self.shares)
    @rule(
        number=numbers,
        accept=st.sampled_from([PLAIN, BROWSER, JSON]),
        nonce=st.sampled_from([*NONCES, None, None]),
        as_form=st.booleans(),
    )
    def use(self, number: int, accept: str, nonce: str | None, as_form: bool) -> None:
        share = self._share(number)
        answer = self.service.open(share.url, "POST", accept, nonce, as_form)
        status = 200 if accept == JSON else 303
        if self._expect(answer, self._may_use(share, accept, nonce), status):
            self._check_link(share, answer)
            self._count(share, nonce)

    @precondition(lambda self: self.shares)
    @rule(number=numbers, by=st.sampled_from([KEEPER, READER, READER]))
    def revoke(self, number: int, by: str) -> None:
        share = self._share(number)
        answer = self._as(by, f"/-/shares/{share.id}", "DELETE")
        self._expect(answer, self._may_manage(share, by), 204)
        if answer.status == 204:
            share.is_revoked = True

    @precondition(lambda self: self.shares)
    @rule(number=numbers, by=st.sampled_from([KEEPER, READER]))
    def show(self, number: int, by: str) -> None:
        share = self._share(number)
        answer = self._as(by, f"/-/shares/{share.id}")
        if self._expect(answer, self._may_manage(share, by), 200):
            shown = answer.json
            assert (shown["max_uses"], shown["revoked"]) == (share.max_uses, share.is_revoked)
            assert shown["uses"] == (None if share.max_uses is None else len(share.uses))

    # What operators do.

    @rule(change=st.sampled_from(["ann", "bob", "issuer", "rotate", "retire", "restore", "report", "report", "record"]))
    def change(self, change: str) -> None:
        """One change by an operator; in one rule, so that most shares live for a while."""
        changes: dict[str, Callable[[], None]] = {
            "ann": partial(self.add_or_revoke_api_key, "ann"),
            "bob": partial(self.add_or_revoke_api_key, "bob", "--expires", "1h"),
            "issuer": self.add_or_remove_issuer,
            "rotate": self.rotate,
            "retire": partial(self.rotate, 0),
            "restore": self.restore_keys,
            "report": partial(self.delete_or_put_report, REPORTS[0]),
            "record": self.lose_record,
        }
        changes[change]()

    def add_or_revoke_api_key(self, name: str, *options: str) -> None:
        if any(entry["id"] == name for entry in self._newest["api"]):
            self.service.change_keys("revoke-api-key", name)
        else:
            self.makers.append(Maker(self.service.add_api_key(name, *SHARE_METHODS, *options)))
        self._note_keys()

    def add_or_remove_issuer(self) -> None:
        if self._newest["jwt"]:
            self.service.change_keys("remove-issuer", ISSUER)
        else:
            # The secret is the same: a new entry of an issuer does not own the shares of an earlier one.
            options = ("--aud", "links", "--alg", "HS256", "--secret", SECRET, "--path", "/reports/", *SHARE_METHODS)
            self.service.change_keys("add-issuer", ISSUER, *options)
        self._note_keys()

    def rotate(self, retired: int | None = None) -> None:
        """Adds a share key, or removes the one at an index."""
        ids = [key["id"] for key in self._newest["share"]]
        options = () if retired is None else ("--retire", ids[retired])
        self.service.change_keys("rotate-share", *options)
        self._note_keys()

    def restore_keys(self) -> None:
        """An operator uploads the first document again: whoever and whatever is in it counts again."""
        self.service.put_keys(self.documents[0][1])
        self._note_keys()

    def lose_record(self, share: ModelShare | None = None) -> None:
        """The record of a share, or of the newest that has one, is removed from the state."""
        share = share or next((share for share in reversed(self.shares) if share.has_record), None)
        if share is not None and share.has_record:
            self.service.delete_record(share.id)
            share.is_lost = True

    def delete_or_put_report(self, name: str) -> None:
        if name in self.existing:
            self.service.delete_report(name)
        else:
            self.service.put_report(name)
        self.existing ^= {name}

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        self.service.now += seconds

    # What happens at once.

    @precondition(lambda self: self.shares)
    @rule(number=numbers, nonces=st.lists(st.sampled_from([*NONCES, None, None]), min_size=2, max_size=THREADS))
    def use_at_once(self, number: int, nonces: list[str | None]) -> None:
        share = self._share(number)
        sent = [nonce or token_urlsafe(18) for nonce in nonces]
        repeated = {nonce for nonce in sent if share.is_repeated(nonce, self.service.now)}
        answers = self.service.at_once([self._using(share, nonce) for nonce in sent])
        self._check_uses(share, sent, answers, self._outcomes(share), repeated)

    @precondition(lambda self: self.shares)
    @rule(
        number=numbers,
        users=st.integers(1, THREADS - 1),
        change=st.sampled_from(["revoke", "rotate", "retire", "remove maker", "lose record"]),
    )
    def use_during(self, number: int, users: int, change: str) -> None:
        """While something is changed, each answer is one from before or from after."""
        share = self._share(number)
        sent = [token_urlsafe(18) for _ in range(users)]
        before = self._outcomes(share)
        changes: dict[str, Callable[[], None]] = {
            "revoke": partial(self.revoke, number, KEEPER),
            "rotate": self.rotate,
            "retire": partial(self.rotate, 0),
            "remove maker": partial(self._remove_owner, share),
            "lose record": partial(self.lose_record, share),
        }
        functions: list[Callable[[], Answer | None]] = [self._using(share, nonce) for nonce in sent]
        answers = [answer for answer in self.service.at_once([*functions, changes[change]]) if answer is not None]
        self._check_uses(share, sent, answers, before | self._outcomes(share), set())
        self.look(number, JSON, False)

    @invariant()
    def nothing_unexpected_is_logged(self) -> None:
        self.service.check_log()

    def _remove_owner(self, share: ModelShare) -> None:
        for kind, name, _ in owners(self._newest) & {origin.owner for origin in share.origins}:
            self.service.change_keys("revoke-api-key" if kind == "api" else "remove-issuer", name)
            self._note_keys()

    def _note_keys(self) -> None:
        self.documents.append((self.service.now, self.service.keys()))

    @property
    def _newest(self) -> Any:
        return self.documents[-1][1]

    def _documents(self) -> list[Any]:
        """The keys documents that the service may know now, the newest last."""
        ends = [start for start, _ in self.documents[1:]] + [float("inf")]
        since = self.service.now - SEEN_WITHIN
        return [keys for (_, keys), end in zip(self.documents, ends, strict=True) if end > since]

    def _outcomes(self, share: ModelShare, *also: str) -> frozenset[str]:
        return share.outcomes(self._documents(), self.service.now, *also)

    def _may_make(self, maker: Maker) -> Iterator[str]:
        for keys in self._documents():
            entry = entry_of(maker, keys)
            if entry is None:
                yield "unknown_credential"
            elif entry.get("expires_at") and _has_ended(entry["expires_at"], self.service.now):
                yield "authorization_expired"
            else:
                yield OK if "SHARE" in entry["methods"] else "share_not_allowed"

    def _may_use(self, share: ModelShare, accept: str, nonce: str | None) -> frozenset[str]:
        also = []
        if share.left is not None and share.left <= 0 and not share.is_repeated(nonce, self.service.now):
            also.append("share_used_up")
        if not self._exists(share) and accept == BROWSER:
            also.append("no_such_object")
        return self._outcomes(share, *also)

    def _may_manage(self, share: ModelShare, by: str) -> frozenset[str]:
        """Who may share the path, may show and revoke its shares as long as there is a record."""
        if share.has_record:
            return frozenset({OK if by == KEEPER and not share.is_lost else "not_found"})
        signers = {origin.signer for origin in share.origins}
        present = [signers <= {key["id"] for key in keys["share"]} for keys in self._documents()]
        return frozenset("share_is_plain" if by == KEEPER and is_present else "not_found" for is_present in present)

    def _using(self, share: ModelShare, nonce: str) -> Callable[[], Answer]:
        return partial(self.service.open, share.url, "POST", PLAIN, nonce)

    def _check_uses(
        self, share: ModelShare, sent: list[str], answers: list[Answer], outcomes: frozenset[str], repeated: set[str]
    ) -> None:
        """Of simultaneous forms exactly as many succeed as there are uses left, and a repeated one counts once."""
        left = share.left
        also = frozenset() if left is None else frozenset({"share_used_up"})
        for answer in answers:
            if self._expect(answer, outcomes | also, 303):
                self._check_link(share, answer)
        accepted = {nonce for nonce, answer in zip(sent, answers, strict=True) if answer.status == 303}
        new = accepted - repeated
        if left is not None:
            assert len(new) <= max(left, 0)
            if outcomes == {OK}:
                assert len(new) == min(left, len(set(sent) - repeated))
                assert repeated <= accepted
        elif outcomes == {OK}:
            assert len(answers) == Counter(answer.status for answer in answers)[303]
        for nonce in new:
            self._count(share, nonce)
        if left is not None and not share.is_lost:
            assert self._as(KEEPER, f"/-/shares/{share.id}").json["uses"] == len(share.uses)

    def _count(self, share: ModelShare, nonce: str | None) -> None:
        if share.max_uses is not None and not share.is_repeated(nonce, self.service.now):
            share.uses.append(Use(nonce or token_urlsafe(18), self.service.now))

    def _expect(self, answer: Answer, outcomes: set[str] | frozenset[str], status: int) -> bool:
        """Whether the answer is the success that may come; otherwise it must be one of the refusals."""
        if answer.status < 400:
            assert OK in outcomes, (answer.status, sorted(outcomes))
            assert answer.status == status
            return True
        refusals = outcomes - {OK}
        if answer.code:
            assert answer.code in refusals, (answer.code, sorted(outcomes))
        else:  # of a HEAD request
            assert answer.status in {ERRORS[code].status for code in refusals}, (answer.status, sorted(outcomes))
        return False

    def _check_link(self, share: ModelShare, answer: Answer) -> None:
        self.service.check_link(answer, exists=self._exists(share), expires_at=share.expires_at)

    def _exists(self, share: ModelShare) -> bool:
        return share.url.partition("?")[0].rpartition("/")[2] in self.existing

    def _as(self, credential: str, path: str, method: str = "GET", members: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": JSON}
        return self.service.request(path, method, None, headers, "" if members is None else json.dumps(members))

    def _share(self, number: int) -> ModelShare:
        """A share by its number from the newest on."""
        return self.shares[-1 - number % len(self.shares)]


def _has_ended(expires_at: str, now: float) -> bool:
    return int(parse_rfc3339(expires_at) or 0) <= int(now)


@contextmanager
def running_life(folder: Path) -> Iterator[type[LifeOfShares]]:
    """The rules for a service that runs until the block ends; no fixture, since it reads what the test prints."""
    with running_service(folder) as service:
        yield type("RunningLife", (LifeOfShares,), {"service": service})


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
    """Each thing that can happen, once."""
    machine.begin()

    def make(maker: int, kind: str = "limited", expires: str = "90d", *, max_uses: int = 2) -> None:
        machine.make(maker, REPORTS[0], kind, expires, max_uses, allow_missing=True)

    def ask() -> None:
        """Everything that a recipient and the sender can do without using up the newest share."""
        for accept in (PLAIN, BROWSER, JSON):
            machine.look(0, accept, False)
        machine.show(0, KEEPER)

    for kind in ("plain", "page", "revocable", "limited"):
        make(0, kind)
        ask()
        machine.use(0, BROWSER, NONCES[0], True)
        machine.revoke(0, READER)
        machine.revoke(0, KEEPER)
        ask()
        machine.use(0, PLAIN, None, True)
    make(0)
    machine.use(0, BROWSER, NONCES[0], True)
    for seconds in (1, 599, 1, 601):
        machine.use(0, PLAIN, NONCES[0], False)
        machine.wait(seconds)
        ask()
    machine.use(0, PLAIN, NONCES[1], False)
    make(0, max_uses=5)
    machine.use_at_once(0, [NONCES[0], NONCES[0], NONCES[1], None])
    machine.use_at_once(0, [None] * THREADS)
    make(0)
    machine.lose_record()
    ask()
    make(0, "plain", "2m")
    machine.wait(119)
    ask()
    machine.wait(1)
    ask()
    for maker, name in enumerate(("ann", "bob", "issuer")):
        make(maker, "plain")
        machine.change(name)
        machine.wait(59)
        ask()
        machine.wait(1)
        ask()
        machine.change(name)  # another entry with the same name
        machine.wait(60)
        ask()
    machine.change("restore")
    machine.wait(60)
    ask()
    make(0, "revocable")
    machine.rotate()
    machine.wait(60)
    ask()
    for change in ("rotate", "revoke", "remove maker", "retire"):
        make(0, max_uses=5)
        machine.use_during(0, THREADS - 1, change)
        machine.wait(60)
        machine.use(0, PLAIN, None, False)
        machine.change("restore")
        machine.wait(60)
    machine.nothing_unexpected_is_logged()


def test_a_share_answers_as_documented_in_a_life_of_everything(tmp_path: Path) -> None:
    with running_life(tmp_path) as life:
        live_through_everything(life())


def test_a_share_belongs_to_the_entry_that_its_instance_knew(tmp_path: Path) -> None:
    """The issuer is added again, but the instance still knows the first entry, which makes the share."""
    with running_life(tmp_path) as life:
        machine = life()
        machine.begin()
        machine.change("ann")
        machine.make(0, REPORTS[0], "plain", "2m", 1, allow_missing=False)  # the instance reads the keys
        for change in ("issuer", "retire", "issuer"):
            machine.change(change)
        machine.make(2, REPORTS[0], "plain", "2m", 1, allow_missing=False)
        machine.look(0, PLAIN, False)
        machine.wait(60)
        machine.look(0, PLAIN, False)


def test_a_share_answers_as_documented_whatever_happens_to_it(tmp_path: Path) -> None:
    with running_life(tmp_path) as life:
        explore(life, 2, 30, is_repeatable=True)


@pytest.mark.long
def test_a_share_answers_as_documented_in_many_lives(tmp_path: Path) -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "60"))
    with running_life(tmp_path) as life:
        while time.monotonic() < end:
            explore(life, 10, 60, is_repeatable=False)
