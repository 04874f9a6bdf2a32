"""Notices of shares that were opened: by a POST, of the first use or each, and with nothing of the visitor."""

from __future__ import annotations

import time
from collections import Counter
from threading import Barrier, Event
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.core.cloud.concurrency import map_concurrently
from handler.core.config import Location
from signer.times import rfc3339
from tests import system
from tests.handler.client import Answered
from tests.handler.notice_fixtures import TIMER_EVENT, EventFunction, Receiver, notice
from tests.local_oss import BUCKET
from tests.system import HTML, JSON, LINKS, MAKER, STATE, WRITER, System, secret_of, share_id

NONCE = "nonce-EXAMPLE-000000000"
OPENED = notice(["ops"], on="opened", mount="/reports/") + notice(["ops"], on="opened", mount="/in/")
UPLOADS = {"key": WRITER, "path": "/in/", "method": "POST", "upload": {"max_size": 9, "max_files": 3}}
KINDS: list[dict[str, Any]] = [{"title": "Q3 <@all>"}, {"max_uses": 3}, {"password": True}, UPLOADS]


class Share(NamedTuple):
    service: System
    url: str
    code: str

    def use(self, nonce: str | None = None) -> Answered:
        """A press of the button of its page."""
        if "/?" in self.url and not self.code:
            return self.service.request_form(self.url, **({"nonce": nonce, "again": True} if nonce else {}))
        return self.service.use(self.url, nonce, accept=HTML["Accept"], password=self.code)


class World(NamedTuple):
    """The service, and the event function with the same OSS and links.toml, which notifies a webhook."""

    service: System
    function: EventFunction
    hook: Receiver

    def sent(self) -> list[dict[str, Any]]:
        """What the next tick sends."""
        before = len(self.hook.received)
        outcome = self.function.invoke(TIMER_EVENT, config=self.service.config)
        assert (outcome.error, outcome.summary["links"]) == (None, 0), outcome
        messages = [request.json["data"] for request in self.hook.received[before:]]
        return [each for data in messages for each in data.get("notices", [data])]

    def waiting(self) -> list[str]:
        return self.function.state_names("outbox/")

    def with_rules(self, toml: str) -> World:
        service = System(self.function.folder, LINKS + toml, now=time.time()).with_keys(sinks=self.function.sinks)
        return self._replace(service=service)

    def share(self, **params: Any) -> Share:
        created = self.service.request_share(**params).json
        return Share(self.service, created["url"], created.get("password", ""))


@pytest.fixture
def world(function: EventFunction, hook: Receiver) -> World:
    function.add_sink("ops", hook)
    function.put("reports/q3.pdf")
    return World(system.service(function.folder), function, hook).with_rules(OPENED)


@pytest.mark.parametrize("params", KINDS, ids=["page", "limited", "code", "uploads"])
def test_the_first_use_is_sent_once_with_nothing_of_the_visitor(world: World, params: dict[str, Any]) -> None:
    share, service, key = world.share(**params), world.service, params.get("key", MAKER)
    for headers in (HTML, JSON, {}):
        assert {service.open(share.url, method, headers).status for method in ("GET", "HEAD")} < {200, 302}
    assert (world.waiting(), service.shown(share.url, key)["opened_at"]) == ([], None)
    used = share.use(NONCE)
    assert (used.status in (200, 303), used.line["code"]) == (True, None)
    entries, (sent,) = world.waiting(), world.sent()
    assert entries == [f"outbox/ops/{int(service.now)}-000000-{sent['id']}"]
    path, object_key = ("/in/", "inbox/") if params is UPLOADS else ("/reports/q3.pdf", "reports/q3.pdf")
    left = 2 if params is UPLOADS or "max_uses" in params else None
    owner, shared = "api:writer" if params is UPLOADS else "api:maker", share_id(share.url)
    facts = {"on": "opened", "share": shared, "title": params.get("title"), "owner": owner, "uses_left": left}
    facts |= {"mount": path[: path.rindex("/") + 1], "path": path, "bucket": BUCKET, "key": object_key, "mark": shared}
    facts |= dict.fromkeys(("give", "size", "url", "expires_at", "version"))
    assert sent == {**facts, "id": sent["id"], "happened_at": sent["happened_at"]}
    assert [share.use(nonce).line["code"] for nonce in (NONCE, None)] == [None, None]
    assert (world.sent(), world.waiting()) == ([], [])
    soon = {rfc3339(int(service.now) + late) for late in range(-60, 60)}
    assert {service.shown(share.url, key)["opened_at"], sent["happened_at"]} <= soon
    state = {name: world.function.read(STATE + name) for name in world.function.state_names()}
    written = b"".join([*state.values(), *(request.body for request in world.hook.received)])
    for secret in filter(None, (secret_of(share.url), share.code, used.line["client_ip"])):
        assert secret.encode() not in written
    assert {name.partition("/")[0] for name in state if NONCE.encode() in state[name]} <= {"uses"}


@pytest.mark.parametrize(("params", "left"), [*zip(KINDS, ([None] * 2, [2, 1], [None] * 2, [2, 1]), strict=True)])
def test_every_use_is_sent_once(world: World, params: dict[str, Any], left: list[int | None]) -> None:
    world = world.with_rules(OPENED.replace("opened", "used"))
    share, sent = world.share(**params), list[dict[str, Any]]()
    for nonce in (NONCE, NONCE, NONCE[::-1], NONCE):
        assert share.use(nonce).line["code"] is None
        sent += world.sent()
    assert [(each["on"], each["uses_left"]) for each in sent] == [("used", each) for each in left]


def test_of_many_first_uses_at_once_one_is_sent(world: World) -> None:
    shares = [world.share(), world.share(max_uses=9)]
    map_concurrently(lambda share: share.use(), shares * 8)
    assert sorted(each["share"] for each in world.sent()) == sorted(share_id(share.url) for share in shares)


@pytest.mark.parametrize("is_sent", [False, True])
def test_after_a_crash_before_the_claim_the_next_use_writes_the_same_entry(world: World, is_sent: bool) -> None:
    share = world.share(max_uses=3)
    with world.function.memory.refusing(f"{STATE}opened/"):
        assert share.use().line["code"] == "notice_not_written"
    entries, sent = world.waiting(), world.sent() if is_sent else []
    world.function.pass_time(70)
    assert share.use().line["code"] is None
    assert world.waiting() == entries
    assert len(sent + world.sent() + world.sent()) == 1
    assert world.waiting() == []


def test_where_nothing_can_be_written_the_link_is_given_and_the_next_use_is_sent(world: World) -> None:
    oss, share, answered = world.function.memory, world.share(max_uses=3), Event()
    answer = oss.answer

    def hang(method: str, place: Location, *rest: Any) -> Any:
        if place.key.startswith(f"{STATE}outbox/"):
            assert answered.wait(60)
            return oss.respond(503)
        return answer(method, place, *rest)

    with patch("handler.core.outbox.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        slow = share.use()
        answered.set()
    with oss.refusing(f"{STATE}outbox/", 403, "AccessDenied"):
        refused = share.use()
    for used, cause in (
        (slow, "OSS cannot be reached"),
        (refused, "PutObject: 403 AccessDenied (a missing permission)"),
    ):
        assert (used.status, used.line["code"], used.line["cause"]) == (303, "notice_not_written", cause)
    assert (share.use().line["code"], len(world.sent())) == (None, 1)


@pytest.mark.parametrize("params", [{"max_uses": 3}, UPLOADS])
def test_where_no_thread_can_be_started_the_link_is_given(world: World, params: dict[str, Any]) -> None:
    share = world.share(**params)
    with patch("concurrent.futures.ThreadPoolExecutor", side_effect=RuntimeError("can't start new thread")):
        used = share.use(NONCE)
    assert (used.status, used.line["code"]) == (200 if "upload" in params else 303, "notice_not_written")
    assert share.use(NONCE[::-1]).line["code"] is None
    assert len(world.sent()) == 1


def test_a_use_asks_oss_little_more_and_its_entry_is_written_beside_its_own_claim(world: World) -> None:
    oss, found, together = world.function.memory, list[Counter[str]](), Barrier(2)
    for changed in (world.with_rules(""), world):
        for share in (changed.share(), changed.share(max_uses=3)):
            for _ in range(2):
                oss.calls.clear()
                assert share.use().status == 303
                found.append(+oss.calls)
    more = [dict(after - before) for before, after in zip(found[:4], found[4:], strict=True)]
    assert more == [{"GetObject": 1, "PutObject": 2}, {"GetObject": 1}, {"PutObject": 2}, {"GetObject": 1}]
    share, answer = world.share(max_uses=3), oss.answer

    def meet(method: str, place: Location, *rest: Any) -> Any:
        if method == "PUT" and ("/uses/" in place.key or "/outbox/" in place.key):
            together.wait(60)
        return answer(method, place, *rest)

    with patch.object(oss, "answer", meet):
        assert share.use().line["code"] is None


def test_what_is_refused_is_no_use(world: World) -> None:
    revoked, locked, missing = world.share(), world.share(password=True), world.share(path="/reports/gone.pdf")
    world.service.revoke(revoked.url)
    without = world.with_rules("")
    used_up = without.share(max_uses=1)
    used_up.use()
    refused = (revoked, locked._replace(code="AAAA-AAAA"), missing, used_up._replace(service=world.service))
    codes = ["share_revoked", "wrong_password", "no_such_object", "share_used_up"]
    assert [each.use().line["code"] for each in refused] == codes
    assert world.waiting() == []
    assert "opened_at" not in without.service.shown(locked.url)


def test_a_digest_is_sent_at_the_end_of_its_interval(world: World) -> None:
    world = world.with_rules(notice(["ops"], on="used", mount="/reports/", every="1h"))
    share = world.share()
    for nonce in (NONCE, NONCE, NONCE[::-1]):
        share.use(nonce)
    due = (int(world.service.now) // 3600 + 1) * 3600
    assert [name.split("/")[2][:10] for name in world.waiting()] == [str(due)] * 2
    assert world.sent() == []
    world.function.pass_time(due - time.time() + 1)
    assert len(world.sent()) == 2
