"""Whoever shared something is told when it was opened: by a POST, once or each time, and without its visitor."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from threading import Barrier, Event
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.core.cloud.concurrency import map_concurrently
from handler.core.config import Location
from handler.core.config.rights import policy
from local.oss import create_app
from local.ram import Principal, Principals
from local.rights import role_statements
from local.server import listen, serve
from signer.times import rfc3339
from tests import worlds
from tests.handler.client import KEYS, Answered
from tests.handler.keys_fixtures import BUCKET, REGION
from tests.handler.notice_fixtures import STATE, TIMER_EVENT, EventFunction, Receiver, notice
from tests.worlds import HTML, JSON, LINKS, MAKER, WRITER, Service, secret_of, share_id

NONCE = "nonce-EXAMPLE-000000000"
OPENED = notice(["ops"], on="opened", mount="/reports/") + notice(["ops"], on="opened", mount="/in/")


class World(NamedTuple):
    """The service, and the event function with the same OSS and links.toml, which tells a webhook."""

    service: Service
    function: EventFunction
    hook: Receiver

    def told(self) -> list[dict[str, Any]]:
        """What the next tick tells."""
        before = len(self.hook.received)
        outcome = self.function.invoke(TIMER_EVENT, config=self.service.config)
        assert (outcome.error, outcome.summary["links"]) == (None, 0), outcome
        messages = [request.json["data"] for request in self.hook.received[before:]]
        return [each for data in messages for each in data.get("notices", [data])]

    def waiting(self) -> list[str]:
        return self.function.state_names("outbox/")

    def with_rules(self, toml: str) -> World:
        service = worlds.service(self.function.folder, LINKS + toml).with_keys(sinks=self.function.sinks)
        return self._replace(service=service._replace(now=time.time()))

    def share(self, **params: Any) -> Shared:
        created = self.service.request_share(**params).json
        return Shared(self.service, created["url"], created.get("password", ""))


class Shared(NamedTuple):
    service: Service
    url: str
    code: str

    def use(self, nonce: str | None = None) -> Answered:
        """A press of the button of its page."""
        if "/?" in self.url and not self.code:
            return self.service.request_form(self.url, **({"nonce": nonce, "again": True} if nonce else {}))
        return self.service.use(self.url, nonce, accept=HTML["Accept"], password=self.code)


@pytest.fixture
def world(function: EventFunction, hook: Receiver) -> World:
    function.add_sink("ops", hook)
    function.put("reports/q3.pdf")
    return World(worlds.service(function.folder), function, hook).with_rules(OPENED)


UPLOADS = {"key": WRITER, "path": "/in/", "method": "POST", "upload": {"max_size": 9, "max_files": 3}}
KINDS = [{"title": "Q3 <@all>"}, {"max_uses": 3}, {"password": True}, UPLOADS]


@pytest.mark.parametrize("params", KINDS, ids=["page", "limited", "code", "uploads"])
def test_the_first_use_of_a_share_is_told_once_and_nothing_of_its_visitor(world: World, params: dict[str, Any]) -> None:
    shared, service, key = world.share(**params), world.service, params.get("key", MAKER)
    for headers in (HTML, JSON, {}):
        assert {service.open(shared.url, method, headers).status for method in ("GET", "HEAD")} < {200, 302}
    assert (world.waiting(), service.shown(shared.url, key)["opened_at"]) == ([], None)
    used = shared.use(NONCE)
    assert (used.status in (200, 303), used.line["code"]) == (True, None)
    entries, (told,) = world.waiting(), world.told()
    assert entries == [f"outbox/ops/{int(service.now)}-000000-{told['id']}"]
    path, object_key = ("/in/", "inbox/") if params is UPLOADS else ("/reports/q3.pdf", "reports/q3.pdf")
    left = 2 if params is UPLOADS or "max_uses" in params else None
    assert told == {
        "id": told["id"],
        "on": "opened",
        "mount": path[: path.rindex("/") + 1],
        "path": path,
        "bucket": BUCKET,
        "key": object_key,
        "mark": share_id(shared.url),
        "happened_at": told["happened_at"],
        **dict.fromkeys(("give", "size", "url", "expires_at", "version")),
        "share": share_id(shared.url),
        "title": params.get("title"),
        "uses_left": left,
        "owner": "api:writer" if params is UPLOADS else "api:maker",
    }
    shared.use(NONCE)
    shared.use()
    assert (world.told(), world.waiting()) == ([], [])
    soon = {rfc3339(int(service.now) + late) for late in range(-60, 60)}
    assert {service.shown(shared.url, key)["opened_at"], told["happened_at"]} <= soon
    state = {name: world.function.read(STATE + name) for name in world.function.state_names()}
    written = [*state.values(), *(request.body for request in world.hook.received), used.printed.encode()]
    for secret in (secret_of(shared.url), shared.code):
        assert not secret or secret.encode() not in b"".join(written)
    assert {name.partition("/")[0] for name in state if NONCE.encode() in state[name]} <= {"uses"}
    assert used.line["client_ip"].encode() not in b"".join(written[:-1])


@pytest.mark.parametrize(("params", "left"), [*zip(KINDS, ([None] * 2, [2, 1], [None] * 2, [2, 1]), strict=True)])
def test_every_use_is_told_once(world: World, params: dict[str, Any], left: list[int | None]) -> None:
    world = world.with_rules(OPENED.replace("opened", "used"))
    shared = world.share(**params)
    for nonce in (NONCE, NONCE, NONCE[::-1], NONCE):
        assert shared.use(nonce).line["code"] is None
    told = world.told()
    assert {each["on"] for each in told} == {"used"}
    assert sorted((each["uses_left"] for each in told), key=lambda each: -(each or 0)) == left
    assert shared.use(NONCE).line["code"] is None
    assert world.told() == []


def test_of_many_first_uses_at_once_one_is_told(world: World) -> None:
    shared = [world.share(), world.share(max_uses=9)]
    map_concurrently(lambda each: each.use(), shared * 8)
    assert sorted(each["share"] for each in world.told()) == sorted(share_id(each.url) for each in shared)
    assert world.told() == []


@pytest.mark.parametrize("is_sent", [False, True])
def test_after_a_crash_before_the_claim_the_next_use_writes_the_same_entry(world: World, is_sent: bool) -> None:
    shared = world.share(max_uses=3)
    with world.function.oss.refusing(f"{STATE}opened/"):
        assert shared.use().line["code"] == "notice_not_written"
    entries, told = world.waiting(), world.told() if is_sent else []
    assert shared.use().line["code"] is None
    assert world.waiting() == entries
    assert len(told + world.told() + world.told()) == 1
    assert world.waiting() == []


def test_where_nothing_can_be_written_the_link_is_given_and_the_next_use_is_told(world: World) -> None:
    oss, shared, answered = world.function.oss, world.share(max_uses=3), Event()

    def hang(method: str, place: Location, *rest: Any) -> Any:
        assert not place.key.startswith(f"{STATE}outbox/") or answered.wait(60)
        return oss.respond(503) if answered.is_set() else answer(method, place, *rest)

    answer = oss.answer
    with patch("handler.core.outbox.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        slow = shared.use()
    answered.set()
    with oss.refusing(f"{STATE}outbox/", 403, "AccessDenied"):
        refused = shared.use()
    for used, cause in (
        (slow, "OSS cannot be reached"),
        (refused, "PutObject: 403 AccessDenied (a missing permission)"),
    ):
        assert (used.status, used.line["code"], used.line["cause"]) == (303, "notice_not_written", cause)
    assert (shared.use().line["code"], len(world.told())) == (None, 1)


def test_a_use_asks_oss_little_more_and_its_entry_is_written_beside_its_own_claim(world: World) -> None:
    oss, found, together = world.function.oss, list[Counter[str]](), Barrier(2)
    for changed in (world.with_rules(""), world):
        for shared in (changed.share(), changed.share(max_uses=3)):
            for _ in range(2):
                oss.calls.clear()
                assert shared.use().status == 303
                found.append(+oss.calls)
    more = [dict(after - before) for before, after in zip(found[:4], found[4:], strict=True)]
    entry_and_claim = {"PutObject": 2}
    assert more == [{"GetObject": 1, **entry_and_claim}, {"GetObject": 1}, entry_and_claim, {"GetObject": 1}]

    def meet(method: str, place: Location, *rest: Any) -> Any:
        if method == "PUT" and ("/uses/" in place.key or "/outbox/" in place.key):
            together.wait(60)
        return answer(method, place, *rest)

    shared, answer = world.share(max_uses=3), oss.answer
    with patch.object(oss, "answer", meet):
        assert shared.use().line["code"] is None


def test_what_is_refused_is_no_use(world: World) -> None:
    revoked, locked, missing = world.share(), world.share(password=True), world.share(path="/reports/gone.pdf")
    world.service.revoke(revoked.url)
    untold = world.with_rules("")
    used_up = untold.share(max_uses=1)
    used_up.use()
    refused = (revoked, locked._replace(code="AAAA-AAAA"), missing, used_up._replace(service=world.service))
    codes = ["share_revoked", "wrong_password", "no_such_object", "share_used_up"]
    assert [each.use().line["code"] for each in refused] == codes
    assert world.waiting() == []
    assert "opened_at" not in untold.service.shown(locked.url)


def test_a_digest_tells_at_the_end_of_its_interval(world: World) -> None:
    world = world.with_rules(notice(["ops"], on="used", mount="/reports/", every="1h"))
    shared = world.share()
    for nonce in (NONCE, NONCE, NONCE[::-1]):
        shared.use(nonce)
    due = (int(world.service.now) // 3600 + 1) * 3600
    assert [name.split("/")[2][:10] for name in world.waiting()] == [str(due)] * 2
    assert world.told() == []
    world.function.pass_time(due - time.time() + 1)
    assert len(world.told()) == 2


def test_only_the_role_of_a_service_with_such_a_notice_may_write_it(tmp_path: Path) -> None:
    """On a local OSS that evaluates the policy of the function's role."""
    principals, arn = Principals.of_account([]), "acs:ram::1000000000000001:assumed-role/links-http/links"
    app = create_app(tmp_path / "oss", region=REGION, credentials=principals, buckets=[BUCKET], now=time.time)
    server = serve(app, listen(0))
    try:
        service = worlds.service(tmp_path, LINKS + OPENED).at(server.url)._replace(now=time.time())
        for toml, code in (("", "notice_not_written"), (OPENED, None)):
            role = policy(role_statements(worlds.service(tmp_path, LINKS + toml).config, web=True, events=False))
            principals.add(Principal.of(KEYS, arn, None, [[role]]))
            used = service.restarted().use(service.create_share(max_uses=2))
            assert (used.status, used.line["code"]) == (303, code)
    finally:
        server.close()
