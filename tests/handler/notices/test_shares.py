"""A share in a notice: all tries and sinks find the same one, and its sender can take it back."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import requests

from handler.core.shares import record as records
from handler.core.shares.record import Record
from signer.times import rfc3339
from tests.handler.client import Answered
from tests.handler.keys_fixtures import base64url
from tests.handler.notice_fixtures import EventFunction, ReceivedRequest, Receiver, created, notice, respond
from tests.handler.simulation import simulation
from tests.system import JSON, STATE, share_id

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


def test_it_opens_through_the_service_and_is_in_the_list(wired: EventFunction, hook: Receiver) -> None:
    assert wired.invoke(EVENT).counts() == (1, 1, 2, 0)
    (url,) = {url for request in hook.received for url in urls(request)}
    assert url.startswith("https://links.example.com/-/s/%E6%8A%A5%E5%91%8A%201.txt?share=")
    opened = open_share(wired, url)
    assert opened.status == 200, opened
    assert requests.get(opened.json["url"], timeout=10).content == b"content"
    record = record_of(wired, share_id(url))
    assert (record.owner, record.path, record.page, record.uses) == ("notice", f"/{OBJECT}", True, None)
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
    assert len(set.union(*periods)) == len(shared.state_names("shares/")) == len(shared.state_names("index/")) == 3
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


@pytest.mark.parametrize("other", [{"hash": "same-id-here"}, {"target": "oss://examplebucket/"}, {"path": "/outbox/b"}])
def test_another_share_with_its_id_is_left_alone(shared: EventFunction, hook: Receiver, other: dict[str, str]) -> None:
    """Of the same secret, one of a place that the mount had before. A second one is another, so the notice waits."""
    hook.default = respond(500)
    for taken in (1, 2):
        shared.invoke(EVENT)
        shared.pass_time(490)
        names = shared.state_names("shares/")
        assert len(names) == taken
        for name in names:
            document = json.loads(shared.read(STATE + name))
            change = {**other, "hash": f"{document['hash'][:12]}{'x' * 31}"} if "hash" in other else other
            shared.put(STATE + name, json.dumps(document | change).encode())
        kept = [shared.read(STATE + name) for name in names]
    received = len(hook.received)
    outcome = shared.tick()
    assert [entry["code"] for entry in outcome.summary["failed"]] == ["state_unavailable"] * 2
    assert len(hook.received) == received
    assert [shared.read(STATE + name) for name in shared.state_names("shares/")] == kept


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


def test_in_a_bucket_with_versioning_a_revoked_one_is_not_written_again(wired: EventFunction) -> None:
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
