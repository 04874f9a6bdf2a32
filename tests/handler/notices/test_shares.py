"""Shares in notices, which all tries and sinks find and their sender can take back, and notices of uses of shares."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from handler.core.cloud.concurrency import map_concurrently
from handler.core.config import Config, Location, Mounts, Target
from handler.core.errors import Problem
from handler.core.outbox import MAX_BYTES
from handler.core.request import Request
from handler.core.shares import new
from handler.core.shares import record as records
from handler.core.shares.record import Record
from handler.web import app
from signer.times import rfc3339
from tests import system
from tests.handler.client import Answered, context
from tests.handler.keys_fixtures import api, base64url
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    ReceivedRequest,
    Receiver,
    created,
    notice,
    record,
    respond,
)
from tests.handler.simulation import simulation
from tests.local_oss import BUCKET
from tests.system import HTML, JSON, LINKS, MAKER, STATE, WRITER, System, secret_of, share_id

HALF = 1800  # seconds: half the lifetime of the shares
RULE = notice(["ops", "chat"], give="share", expires="1h")
WITH_MANIFEST = notice(["ops", "chat", "manifest"], give="share", expires="1h")
OBJECT = "outbox/报告 1.txt"
EVENT = created(OBJECT)
_URL = re.compile(r"https://links\.example\.com/-/s/[^\"?]*\?share=[A-Za-z0-9_-]{22}")


@pytest.fixture
def shared(function: EventFunction, hook: Receiver) -> EventFunction:
    return prepare(function, hook)


@pytest.fixture
def wired(wired: EventFunction, hook: Receiver) -> EventFunction:
    wired.put(OBJECT)
    return prepare(wired, hook)


def prepare(function: EventFunction, hook: Receiver) -> EventFunction:
    """Two sinks get a share of each object, for an hour, a webhook and a robot. A period begins."""
    hook.default = respond(200, b'{"errcode": 0}')
    function.add_sink("ops", hook)
    function.add_sink("chat", hook, "wecom")
    function.toml = RULE
    begin_period(function)
    return function


def begin_period(function: EventFunction) -> None:
    function.pass_time(HALF - time.time() % HALF)


def urls(request: ReceivedRequest) -> list[str]:
    """The addresses in a message."""
    return _URL.findall(request.body.decode())


def record_of(function: EventFunction, share: str) -> Record:
    found = records.load(function.state(), share)
    assert found is not None
    return found


def revoke(function: EventFunction, share: str) -> None:
    records.save(function.state(), record_of(function, share)._replace(revoked_at=int(time.time())))


def open_share(function: EventFunction, url: str) -> Answered:
    return function.open(url, headers=JSON)


def test_it_opens_through_the_service_and_is_in_the_list(
    wired: EventFunction, hook: Receiver
) -> None:
    assert wired.invoke(EVENT).counts() == (1, 1, 2, 0)
    (url,) = {url for request in hook.received for url in urls(request)}
    assert url.startswith("https://links.example.com/-/s/%E6%8A%A5%E5%91%8A%201.txt?share=")
    opened = open_share(wired, url)
    assert opened.status == 200, opened
    assert requests.get(opened.json["url"], timeout=10).content == b"content"
    record = record_of(wired, share_id(url))
    assert (record.owner, record.path, record.page, record.uses) == (
        "notice",
        f"/{OBJECT}",
        True,
        None,
    )
    entry = f"{records.index_of('notice', 'notice')}{9_999_999_999 - record.created_at}-{record.id}"
    assert wired.state_names("index/") == [entry]
    revoke(wired, record.id)
    assert open_share(wired, url).code == "share_revoked"


def test_all_tries_and_sinks_of_a_period_find_the_same_share_with_half_its_lifetime_left(
    shared: EventFunction, hook: Receiver
) -> None:
    shared.toml = WITH_MANIFEST
    hook.default = respond(500)
    shared.invoke(EVENT)
    for _ in range(14):
        shared.pass_time(290)
        shared.tick()
    sent = [(request, share_id(url)) for request in hook.received for url in urls(request)]
    times = sorted({request.at // HALF for request, _ in sent})
    periods = [{share for request, share in sent if request.at // HALF == each} for each in times]
    assert [len(found) for found in periods] == [1, 1, 1]
    assert (
        len(set.union(*periods))
        == len(shared.state_names("shares/"))
        == len(shared.state_names("index/"))
        == 3
    )
    assert {share_id(line["url"]) for line in shared.manifest_lines()} == periods[0]
    for request, share in sent:
        end = record_of(shared, share).expires_at
        assert end - request.at >= HALF
        assert request.json.get("data", {"expires_at": rfc3339(end)})["expires_at"] == rfc3339(end)


def test_one_that_was_revoked_is_dropped_like_a_deleted_object_and_never_opens_again(
    shared: EventFunction, hook: Receiver
) -> None:
    hook.default = respond(500)
    shared.invoke(EVENT)
    (name,) = shared.state_names("shares/")
    revoke(shared, name[7:-5])
    received = len(hook.received)
    hook.default = respond(200, b'{"errcode": 0}')
    shared.pass_time(600)
    assert shared.tick().summary["reasons"] == {"unlinkable": 2}
    shared.toml = WITH_MANIFEST
    assert shared.invoke(EVENT).summary["notices"] == 0
    assert (len(hook.received), shared.manifest_lines()) == (received, [])
    assert shared.state_names("outbox/") + shared.state_names("dead/") == []
    assert record_of(shared, name[7:-5]).revoked_at is not None


@pytest.mark.parametrize(
    "other", [{"hash": "same-id-here"}, {"target": "oss://examplebucket/"}, {"path": "/outbox/b"}]
)
def test_another_share_with_its_id_is_left_alone(
    shared: EventFunction, hook: Receiver, other: dict[str, str]
) -> None:
    """Of the same secret, one of a place that the mount had before. A second one is another, so the notice waits."""
    hook.default = respond(500)
    for taken in (1, 2):
        shared.invoke(EVENT)
        shared.pass_time(490)
        names = shared.state_names("shares/")
        assert len(names) == taken
        for name in names:
            document = json.loads(shared.read(STATE + name))
            change = (
                {**other, "hash": f"{document['hash'][:12]}{'x' * 31}"}
                if "hash" in other
                else other
            )
            shared.put(STATE + name, json.dumps(document | change).encode())
        kept = [shared.read(STATE + name) for name in names]
    received = len(hook.received)
    outcome = shared.tick()
    assert [entry["code"] for entry in outcome.summary["failed"]] == ["state_unavailable"] * 2
    assert len(hook.received) == received
    assert [shared.read(STATE + name) for name in shared.state_names("shares/")] == kept


def moved(config: Config, *earlier: Location) -> Config:
    """The configuration after /outbox/ moved into another bucket."""
    target = Location("newbucket", "sent/")
    mounts = (
        mount._replace(target=target, earlier_targets=earlier)
        if mount.path == "/outbox/"
        else mount
        for mount in config.mounts
    )
    return config._replace(mounts=Mounts(mounts, config.mounts.reserved))


def test_after_a_move_a_notice_that_waited_has_the_share_that_it_had(
    shared: EventFunction, hook: Receiver
) -> None:
    hook.default = respond(500)
    shared.invoke(EVENT)
    (name,) = shared.state_names("shares/")
    hook.default = respond(200, b'{"errcode": 0}')
    shared.pass_time(600)
    received = len(hook.received)
    outcome = shared.tick(config=moved(shared.config, Location(BUCKET, "outbox/")))
    assert (outcome.summary["notices"], "failed" in outcome.summary) == (2, False)
    sent = {share_id(url) for request in hook.received[received:] for url in urls(request)}
    assert sent == {name[7:-5]}


def test_after_a_move_a_notice_that_waited_has_a_link_into_todays_bucket(
    shared: EventFunction, hook: Receiver
) -> None:
    """Without the version that it had, which no other bucket has. A bucket that no mount names has no link."""
    shared.toml = notice(["ops"])
    hook.default = respond(500)
    event = json.loads(created())
    event["events"][0]["oss"]["object"]["versionId"] = "CAEQ"
    shared.invoke(json.dumps(event).encode())
    hook.default = respond(200)
    shared.pass_time(600)
    received = len(hook.received)
    other = Location("otherbucket", "outbox/")
    (failed,) = shared.tick(config=moved(shared.config, other)).summary["failed"]
    assert (failed["code"], len(hook.received)) == ("mount_changed", received)
    shared.pass_time(600)
    again = shared.tick(config=moved(shared.config, Location(BUCKET, "outbox/")))
    assert (again.summary["notices"], "failed" in again.summary) == (1, False)
    url = hook.received[-1].json["data"]["url"]
    assert "/newbucket/sent/a.txt?" in url
    assert "versionId" not in url


def test_its_secret_is_made_by_the_newest_share_key(shared: EventFunction) -> None:
    made = []
    for names in ("s", "st", "t"):
        config = shared.config
        path = Path(str(config.keys_document))
        keys = [{"id": name, "secret": base64url(name.encode() * 32)} for name in names]
        path.write_text(json.dumps({**json.loads(path.read_text()), "share": keys}))
        shared.memory.forget()
        shared.invoke(EVENT, config=config)
        made += shared.state_names("shares/")
    assert len(made) == 3
    assert made[0] != made[1] == made[2]


def test_in_a_bucket_with_versioning_a_revoked_one_is_not_written_again(
    wired: EventFunction,
) -> None:
    wired.toml = notice(["manifest"], give="share", expires="1h")
    wired.invoke(EVENT)
    (name,) = wired.state_names("shares/")
    revoke(wired, name[7:-5])
    wired.oss.bucket().change(versioning="Enabled")
    wired.restart()
    outcome = wired.invoke(EVENT)
    assert outcome.error is not None
    assert "manifest (state_bucket_versioned)" in str(outcome.error)
    assert record_of(wired, name[7:-5]).revoked_at is not None


def test_those_of_one_object_of_a_sink_are_made_side_by_side(tmp_path: Path) -> None:
    with simulation(tmp_path) as function:
        function.toml = notice(["manifest"], give="share")
        function.world.latency = 1.0
        began = time.time()
        function.succeed(function.upload(48), function.config)
        assert len(function.manifest_lines()) == 48
        assert time.time() - began < 30


def test_a_rule_of_mounts_holds_for_shares_of_requests_and_of_notices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds one adds it once."""
    world = world.with_rules(notice(["ops"], mount="/reports/", give="share"))

    def made(version: str) -> tuple[str | None, list[dict[str, str]]]:
        """The codes with which a share is refused to a request and to a notice."""
        response = world.service.request_share()
        event = created("reports/q3.pdf", etag=version)
        outcome = world.function.invoke(event, config=world.service.config)
        return response.line["code"], outcome.summary.get("failed", [])

    assert made("ETAG1") == (None, [])

    def refuse(config: Config, target: Target, wish: new.Wish) -> None:
        raise Problem("too_large")

    monkeypatch.setattr(new, "RULES", (*new.RULES, refuse))
    assert made("ETAG2") == ("too_large", [{"sink": "ops", "code": "too_large"}])


NONCE = "nonce-EXAMPLE-000000000"
OPENED = notice(["ops"], on="opened", mount="/reports/") + notice(
    ["ops"], on="opened", mount="/team/"
)
UPLOADS = {
    "key": WRITER,
    "path": "/team/",
    "method": "POST",
    "upload": {"max_size": 9, "max_files": 3},
}
KINDS: list[dict[str, Any]] = [{"title": "Q3 <@all>"}, {"max_uses": 3}, {"password": True}, UPLOADS]


class Share(NamedTuple):
    service: System
    url: str
    code: str

    def use(self, nonce: str | None = None) -> Answered:
        """A press of the button of its page."""
        if "/?" in self.url and not self.code:
            return self.service.request_form(
                self.url, **({"nonce": nonce, "again": True} if nonce else {})
            )
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
        service = System(self.function.folder, LINKS + toml, now=time.time()).with_keys(
            sinks=self.function.sinks
        )
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
def test_the_first_use_is_sent_once_with_nothing_of_the_visitor(
    world: World, params: dict[str, Any]
) -> None:
    share = world.share(**params)
    service = world.service
    key = params.get("key", MAKER)
    for headers in (HTML, JSON, {}):
        assert {service.open(share.url, method, headers).status for method in ("GET", "HEAD")} < {
            200,
            302,
        }
    assert (world.waiting(), service.shown(share.url, key)["opened_at"]) == ([], None)
    used = share.use(NONCE)
    assert (used.status in (200, 303), used.line["code"]) == (True, None)
    (entry,), (sent,) = world.waiting(), world.sent()
    due, *rest = entry.removeprefix("outbox/ops/").split("-")
    assert rest == ["000000", sent["id"]]
    # The clock of OSS goes on, and that of the service stands.
    assert int(service.now) <= int(due) <= time.time()
    path, object_key = (
        ("/team/", "team/") if params is UPLOADS else ("/reports/q3.pdf", "reports/q3.pdf")
    )
    left = 2 if params is UPLOADS or "max_uses" in params else None
    owner, shared = "api:writer" if params is UPLOADS else "api:maker", share_id(share.url)
    facts = {
        "on": "opened",
        "share": shared,
        "title": params.get("title"),
        "owner": owner,
        "uses_left": left,
    }
    facts |= {
        "mount": path[: path.rindex("/") + 1],
        "path": path,
        "bucket": BUCKET,
        "key": object_key,
        "mark": shared,
    }
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


@pytest.mark.parametrize(
    ("params", "left"), [*zip(KINDS, ([None] * 2, [2, 1], [None] * 2, [2, 1]), strict=True)]
)
def test_every_use_is_sent_once(
    world: World, params: dict[str, Any], left: list[int | None]
) -> None:
    world = world.with_rules(OPENED.replace("opened", "used"))
    share, sent = world.share(**params), list[dict[str, Any]]()
    for nonce in (NONCE, NONCE, NONCE[::-1], NONCE):
        assert share.use(nonce).line["code"] is None
        sent += world.sent()
    assert [(each["on"], each["uses_left"]) for each in sent] == [("used", each) for each in left]


USED = notice(["ops"], on="used", mount="/reports/")
PERIOD = 600  # seconds in which presses of one page are one use


def test_a_use_is_due_when_it_happened_so_that_it_passes_nothing_that_waits(world: World) -> None:
    world = world.with_rules(USED)
    share = world.share()
    world.function.pass_time(5000 - time.time() % PERIOD)
    times = [int(time.time())]
    share.use(NONCE)
    world.function.pass_time(7)
    times.append(int(time.time()))
    share.use(NONCE)
    assert [int(name.split("/")[2][:10]) for name in world.waiting()] == times
    assert len(world.sent() + world.sent()) == 1  # the second is known by its id
    assert world.waiting() == []


def test_presses_of_a_page_that_stays_open_are_one_use_within_ten_minutes_and_more_later(
    world: World,
) -> None:
    share = world.with_rules(USED).share(expires="30d")
    world.function.pass_time(PERIOD - time.time() % PERIOD)
    sent = 0
    for day in range(1, 11):
        for _ in range(2):
            share.use(NONCE)
            world.function.pass_time(PERIOD / 2 - 1)
        sent += len(world.sent())
        assert sent == day
        world.function.pass_time(system.DAY - PERIOD + 2)


def status_of(world: World, method: str, url: str) -> int:
    """The status of a request to the address of a share, which others may send at the same time."""
    parts = urlsplit(url)
    request = Request(method, parts.path, dict(parse_qsl(parts.query)), {}, b"", "")
    instance = world.service.instance
    return app.answer(request, lambda: instance, context(), request_id="req-EXAMPLE").status


def test_of_many_first_uses_at_once_one_is_sent(world: World) -> None:
    shares = [world.share(), world.share(max_uses=9)]
    addresses = [share.url for share in shares] * 8
    assert set(map_concurrently(partial(status_of, world, "POST"), addresses)) == {303}
    assert sorted(each["share"] for each in world.sent()) == sorted(
        share_id(share.url) for share in shares
    )


@pytest.mark.parametrize("is_sent", [False, True])
def test_after_a_crash_before_the_claim_the_next_use_writes_the_same_entry(
    world: World, is_sent: bool
) -> None:
    share = world.share(max_uses=3)
    with world.function.memory.refusing(f"{STATE}opened/"):
        assert share.use().line["code"] == "notice_not_written"
    entries, sent = world.waiting(), world.sent() if is_sent else []
    world.function.pass_time(70)
    assert share.use().line["code"] is None
    assert world.waiting() == entries
    assert len(sent + world.sent() + world.sent()) == 1
    assert world.waiting() == []


def test_where_nothing_can_be_written_the_link_is_given_and_the_next_use_is_sent(
    world: World,
) -> None:
    oss = world.function.memory
    share = world.share(max_uses=3)
    answered = Event()
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
        (slow, "OSS did not answer in time"),
        (refused, "PutObject: 403 AccessDenied (a missing permission)"),
    ):
        assert (used.status, used.line["code"], used.line["cause"]) == (
            303,
            "notice_not_written",
            cause,
        )
    assert (share.use().line["code"], len(world.sent())) == (None, 1)


def test_where_oss_does_not_take_a_notice_it_is_tried_once(world: World) -> None:
    oss = world.function.memory
    share, answer, tries = world.share(), oss.answer, list[str]()

    def refuse(method: str, place: Location, *rest: Any) -> Any:
        if method == "PUT" and place.key.startswith(f"{STATE}outbox/"):
            tries.append(place.key)
            return oss.respond(503)
        return answer(method, place, *rest)

    with patch.object(oss, "answer", refuse):
        assert share.use().line["code"] == "notice_not_written"
    assert len(tries) == 1


def test_of_an_outbox_that_hangs_eight_writers_wait_and_a_ninth_writes_nothing_at_once(
    world: World,
) -> None:
    oss = world.function.memory
    share, answer, answered, hanging = world.share(), oss.answer, Event(), list[str]()

    def hang(method: str, place: Location, *rest: Any) -> Any:
        if method == "PUT" and place.key.startswith(f"{STATE}outbox/"):
            hanging.append(place.key)
            assert answered.wait(60)
        return answer(method, place, *rest)

    with patch("handler.core.outbox.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        waited = [share.use() for _ in range(8)]
        assert len(hanging) == 8
        with patch("handler.core.outbox.PAGE_TIMEOUT", 60):
            refused = share.use()
        answered.set()
    assert {each.line["code"] for each in (*waited, refused)} == {"notice_not_written"}
    assert {each.status for each in (*waited, refused)} == {303}
    assert len(hanging) == 8
    assert refused.line["cause"] == "8 uses are being written already."


@pytest.mark.parametrize("params", [{"max_uses": 3}, UPLOADS])
def test_where_no_thread_can_be_started_the_link_is_given(
    world: World, params: dict[str, Any]
) -> None:
    share = world.share(**params)
    with patch(
        "concurrent.futures.ThreadPoolExecutor", side_effect=RuntimeError("can't start new thread")
    ):
        used = share.use(NONCE)
    assert (used.status, used.line["code"]) == (
        200 if "upload" in params else 303,
        "notice_not_written",
    )
    assert share.use(NONCE[::-1]).line["code"] is None
    assert len(world.sent()) == 1


def test_a_use_asks_oss_little_more_and_its_entry_is_written_beside_its_own_claim(
    world: World,
) -> None:
    oss = world.function.memory
    found = list[Counter[str]]()
    together = Barrier(2)
    for changed in (world.with_rules(""), world):
        for share in (changed.share(), changed.share(max_uses=3)):
            for _ in range(2):
                oss.calls.clear()
                assert share.use().status == 303
                found.append(+oss.calls)
    more = [dict(after - before) for before, after in zip(found[:4], found[4:], strict=True)]
    assert more == [
        {"GetObject": 1, "PutObject": 2},
        {"GetObject": 1},
        {"PutObject": 2},
        {"GetObject": 1},
    ]
    share, answer = world.share(max_uses=3), oss.answer

    def meet(method: str, place: Location, *rest: Any) -> Any:
        if method == "PUT" and ("/uses/" in place.key or "/outbox/" in place.key):
            together.wait(60)
        return answer(method, place, *rest)

    with patch.object(oss, "answer", meet):
        assert share.use().line["code"] is None


def test_what_is_refused_is_no_use(world: World) -> None:
    revoked = world.share()
    locked = world.share(password=True)
    missing = world.share(path="/reports/gone.pdf")
    world.service.revoke(revoked.url)
    without = world.with_rules("")
    used_up = without.share(max_uses=1)
    used_up.use()
    refused = (
        revoked,
        locked._replace(code="AAAA-AAAA"),
        missing,
        used_up._replace(service=world.service),
    )
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


def folder_world(world: World, on: str) -> tuple[World, str]:
    """A share of a folder of three files, on a mount whose uses are notified: the address of its list."""
    for name in ("a.txt", "b.txt", "c.txt"):
        world.function.put(f"reports/2026/{name}")
    world = world.with_rules(notice(["ops"], on=on, mount="/reports/"))
    service = world.service.with_mount("/reports/", lists=True)
    service = service.with_keys(
        api=[api("maker", MAKER, methods=["GET", "LIST", "SHARE"])], sinks=world.function.sinks
    )
    world = world._replace(service=service)
    return world, world.share(path="/reports/2026/").url


def file_of(url: str, name: str) -> str:
    """The address of a file in a shared folder."""
    path, _, query = url.partition("?")
    return f"{path}{name}?{query}"


def test_a_folder_is_opened_once_at_the_first_file_that_is_fetched(world: World) -> None:
    world, url = folder_world(world, "opened")
    service = world.service
    for headers in (HTML, JSON, {}):
        assert service.open(url, headers=headers).status == 200
        assert service.open(file_of(url, "a.txt"), "HEAD", headers).status in (200, 302)
    assert service.open(file_of(url, "gone.txt"), headers=HTML).status == 404
    assert (world.waiting(), service.shown(url)["opened_at"]) == ([], None)
    assert service.open(file_of(url, "b.txt"), headers=HTML).status == 302
    (sent,) = world.sent()
    assert (sent["path"], sent["key"]) == ("/reports/2026/", "reports/2026/")
    assert (sent["on"], sent["share"], sent["uses_left"]) == ("opened", share_id(url), None)
    assert service.shown(url)["opened_at"] is not None
    for name, headers in (("b.txt", HTML), ("a.txt", JSON), ("c.txt", {})):
        assert service.open(file_of(url, name), headers=headers).status in (200, 302)
    assert (world.sent(), world.waiting()) == ([], [])


def test_a_folder_with_a_code_is_opened_once_too(world: World) -> None:
    world, _ = folder_world(world, "opened")
    share = world.share(path="/reports/2026/", password=True)
    assert world.service.use(share.url, password=share.code).status == 200  # its list
    assert world.waiting() == []
    for name in ("b.txt", "a.txt"):
        used = world.service.use(file_of(share.url, name), password=share.code)
        assert used.status == 303
    assert [each["share"] for each in world.sent()] == [share_id(share.url)]


def test_a_folder_that_many_fetch_at_once_is_opened_once(world: World) -> None:
    world, url = folder_world(world, "opened")
    addresses = [file_of(url, f"{name}.txt") for name in "abc"] * 4
    assert set(map_concurrently(partial(status_of, world, "GET"), addresses)) == {302}
    assert [each["share"] for each in world.sent()] == [share_id(url)]


def test_a_file_of_a_folder_that_is_followed_is_no_use(world: World) -> None:
    world, url = folder_world(world, "used")
    assert world.service.open(file_of(url, "a.txt"), headers=HTML).status == 302
    assert world.waiting() == []


def test_a_file_of_a_folder_is_fetched_where_no_notice_can_be_written(world: World) -> None:
    world, url = folder_world(world, "opened")
    with world.function.memory.refusing(f"{STATE}outbox/", 403, "AccessDenied"):
        fetched = world.service.open(file_of(url, "a.txt"), headers=HTML)
    assert (fetched.status, fetched.line["code"]) == (302, "notice_not_written")
    assert world.service.open(file_of(url, "a.txt"), headers=HTML).line["code"] is None
    assert len(world.sent()) == 1


ARRIVED = notice(["ops"], mount="/team/")


class Inbox(NamedTuple):
    """An upload share with a title, of a mount whose new files are notified."""

    world: World
    url: str

    @property
    def id(self) -> str:
        return share_id(self.url)

    def title(self, key: str) -> object:
        """The title in the notice of a new file, which is sent in any case."""
        before = len(self.world.hook.received)
        outcome = self.world.function.invoke(created(key), config=self.world.service.config)
        assert outcome.error is None, outcome
        (request,) = self.world.hook.received[before:]
        sent = request.json["data"]
        assert (sent["key"], "share" in sent) == (key, False)
        assert sent.get("title", "absent") is not None
        return sent.get("title")


@pytest.fixture
def inbox(world: World) -> Inbox:
    world = world.with_rules(ARRIVED)
    share = world.share(key=WRITER, path="/team/ann/", method="POST", title="Your photos")
    return Inbox(world, share.url)


def test_a_notice_has_the_title_of_the_upload_share_whose_id_the_key_begins_with(
    inbox: Inbox,
) -> None:
    folder = f"team/ann/{inbox.id}/"
    assert inbox.title(f"{folder}1-a.jpg") == "Your photos"
    assert inbox.title(f"{folder}1234-beach.jpg") == "Your photos"
    for key in (
        f"{folder}a.jpg",
        f"{folder}0-a.jpg",
        f"{folder}1-a/b.jpg",
        f"team/{inbox.id}/1-a.jpg",
        f"team/ben/{inbox.id}/1-a.jpg",
        f"team/ann/2026/{inbox.id}/1-a.jpg",
        "team/ann/AAAAAAAAAAAA/1-a.jpg",
        "team/ann/1-a.jpg",
    ):
        assert inbox.title(key) is None


def test_only_an_upload_share_that_is_not_revoked_titles_its_files(inbox: Inbox) -> None:
    world = inbox.world
    other = world.share(key=WRITER, path="/team/ann/a.txt", title="A file")
    bare = world.share(key=WRITER, path="/team/", method="POST")
    assert inbox.title(f"team/ann/{share_id(other.url)}/1-a.jpg") is None
    assert inbox.title(f"team/{share_id(bare.url)}/1-a.jpg") is None
    world.service.revoke(inbox.url, WRITER)
    assert inbox.title(f"team/ann/{inbox.id}/1-a.jpg") is None


def test_a_title_that_cannot_be_read_holds_no_notice_up(inbox: Inbox) -> None:
    key = f"team/ann/{inbox.id}/1-a.jpg"
    oss = inbox.world.function.memory
    with oss.refusing(f"{STATE}shares/", 403, "AccessDenied"):
        assert inbox.title(key) is None
    answered = Event()
    answer = oss.answer

    def hang(method: str, place: Location, *rest: Any) -> Any:
        if place.key.startswith(f"{STATE}shares/"):
            assert answered.wait(60)
        return answer(method, place, *rest)

    with patch("handler.core.cloud.oss.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        assert inbox.title(f"team/ann/{inbox.id}/2-a.jpg") is None
        answered.set()


def test_a_title_costs_one_read_for_each_share_where_there_are_upload_pages(inbox: Inbox) -> None:
    oss = inbox.world.function.memory
    files = [f"team/ann/{inbox.id}/{number}-a.jpg" for number in (1, 2, 3)]

    def reads(config: Config, *keys: str) -> int:
        before = oss.calls["GetObject"]
        outcome = inbox.world.function.invoke(created(*keys), config=config)
        assert outcome.summary["notices"] == len(keys), outcome
        return oss.calls["GetObject"] - before

    config = inbox.world.service.config
    without = inbox.world.service.with_mount("/team/", max_share=None).config
    (rule,) = config.notices
    without = without._replace(notices=(rule._replace(mount=without.mounts.by_path["/team/"]),))
    plain = [f"team/{number}.jpg" for number in (1, 2, 3)]
    least = reads(config, *plain)
    assert reads(config, *files) == least + 1
    assert reads(without, *(f"{each}.png" for each in files)) == least


@pytest.mark.parametrize(("spare", "is_shown"), [(3000, True), (1000, False)])
def test_a_title_that_would_make_a_notice_too_long_is_left_out(
    world: World, spare: int, is_shown: bool
) -> None:
    title = "\N{WAVING HAND SIGN}" * 120
    world = world.with_rules(ARRIVED)
    inbox = Inbox(world, world.share(key=WRITER, path="/team/", method="POST", title=title).url)
    key = f"team/{inbox.id}/1-a.jpg"
    event = json.dumps({"events": [record(key, etag="E" * (MAX_BYTES - spare))]}).encode()
    outcome = world.function.invoke(event, config=world.service.config)
    assert (outcome.error, outcome.summary["notices"]) == (None, 1), outcome
    (request,) = world.hook.received
    assert request.json["data"].get("title") == (title if is_shown else None)
