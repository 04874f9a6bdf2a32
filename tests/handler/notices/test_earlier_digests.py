"""Digests that wait in the form of an earlier release are sent once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from handler.notices import earlier_digests
from handler.notices.notice import rule_id
from tests.handler.notice_fixtures import EventFunction, Receiver, created, event_function, notice, respond


@pytest.fixture
def function(tmp_path: Path, hook: Receiver) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        started.add_sink("ops", hook)
        started.toml = notice(["ops"], every="1m", expires="20m")
        yield started


def stream(function: EventFunction) -> str:
    (rule,) = function.config().notices
    return "digests/" + sha256(json.dumps([rule_id(rule), "ops"]).encode()).hexdigest()[:24]


def write_event(function: EventFunction, number: int, *names: str, expires: str | None = None) -> None:
    """The notices of one event as the earlier release queued them."""
    entries: list[dict[str, Any]] = [
        {
            "id": sha256(name.encode()).hexdigest()[:32],
            "bucket": "examplebucket",
            "key": f"outbox/{name}",
            "path": f"/outbox/{name}",
            "mark": "ETAG1",
            "size": 1234,
            "happened_at": 1772347543.0,
            "expires": expires,
            "download": None,
        }
        for name in names
    ]
    body = json.dumps({"by": "nonce-EXAMPLE", "entries": entries}).encode()
    function.state().write(f"{stream(function)}/entries/{number}", body)


def write_lease(function: EventFunction, digest: int, status: str, end: int, sent: int = 0) -> None:
    body = f"{status}\n" + json.dumps({"end": end, "sent": sent})
    function.state().write(f"{stream(function)}/sent/{digest}/1", body.encode())


def told(hook: Receiver) -> list[str]:
    messages = [request.json["data"] for request in hook.received]
    return [entry["key"] for data in messages for entry in data.get("notices", [data])]


def restart() -> None:
    earlier_digests._moved.clear()


def run(function: EventFunction) -> None:
    """Two ticks of a new instance: the first one moves what waits in the earlier form."""
    restart()
    for _ in range(2):
        function.tick()
        function.pass_time(60)


def test_what_waits_is_sent_by_the_first_ticks_and_never_again(function: EventFunction, hook: Receiver) -> None:
    write_event(function, 1, "a.txt", "b.txt")
    write_event(function, 2, "c.txt", expires="5m")
    for _ in range(3):
        run(function)
    assert told(hook) == ["outbox/a.txt", "outbox/b.txt", "outbox/c.txt"]
    urls = [entry["url"] for entry in hook.received[0].json["data"]["notices"]]
    assert ["x-oss-expires=1200" in url for url in urls] == [True, True, False]


def test_digests_that_were_sent_are_not_sent_again(function: EventFunction, hook: Receiver) -> None:
    for number in range(1, 6):
        write_event(function, number, f"{number}.txt")
    function.state().write(f"{stream(function)}/last", json.dumps({"number": 1, "end": 1}).encode())
    write_lease(function, 1, "done", 1)
    write_lease(function, 2, "done", 3)
    run(function)
    assert told(hook) == ["outbox/4.txt", "outbox/5.txt"]


def test_a_digest_continues_where_it_stopped(function: EventFunction, hook: Receiver) -> None:
    write_event(function, 1, "a.txt", "b.txt")
    write_event(function, 2, "c.txt", "d.txt")
    write_lease(function, 1, "failed", 2, sent=3)
    run(function)
    assert told(hook) == ["outbox/d.txt"]


def test_what_an_instance_of_the_earlier_release_adds_meanwhile_is_sent_too(
    function: EventFunction, hook: Receiver
) -> None:
    write_event(function, 1, "a.txt")
    run(function)
    write_event(function, 2, "b.txt")
    run(function)
    assert told(hook) == ["outbox/a.txt", "outbox/b.txt"]


def test_a_damaged_document_keeps_nothing_else_from_being_sent(function: EventFunction, hook: Receiver) -> None:
    function.state().write(f"{stream(function)}/last", b"no JSON")
    function.toml += notice(["ops"])
    hook.default = respond(503)
    function.invoke(created("outbox/a.txt"))
    hook.default, hook.received = respond(), []
    function.pass_time(60)
    assert function.tick().summary["failed"] == [{"sink": "digests", "code": "internal_error"}]
    assert set(told(hook)) == {"outbox/a.txt"}
