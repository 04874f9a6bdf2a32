"""The clock of the functions is an hour off, either way: OSS and STS refuse what they sign, by their own clocks.

Whoever asks gets a documented code, or a link that OSS refuses with an explanation. Nothing is lost: once the clock is
right, uses, notices and keys are as if nothing had happened.

It is the clock of OSS that moves, or of both functions and OSS: the difference is the same.
"""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from handler.commands.keys import main
from handler.core.cloud import sessions as sessions
from signer import explain
from signer.times import parse_rfc3339
from tests.faults.paths import errors_of
from tests.faults.service import CALLER, Service, service
from tests.handler.client import Answered
from tests.handler.core.keys.command import ADD, environment_of
from tests.handler.keys_fixtures import watch_requests
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created_at,
    event_function,
    links,
    notice,
    received_keys,
    receiver,
)
from tests.local_oss import PLACE, FakeClock
from tests.system import HTML, JSON

HOUR = 3600
OFF = pytest.mark.parametrize("behind", [HOUR, -HOUR], ids=["behind", "ahead"])
UPLOAD = {"path": "/in/", "method": "POST", "upload": {"max_size": 1000}}
REPORT = {"path": "/reports/q3.pdf"}


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """The clock of the functions and of OSS."""
    moving = FakeClock()
    with moving.everywhere():
        yield moving


@pytest.fixture
def running(tmp_path: Path, clock: FakeClock) -> Iterator[Service]:
    """The service, whose instance has read the keys document while the clocks were right."""
    with service(tmp_path) as started:
        for key in ("checked/a.txt", "reports/q3.pdf"):
            started.oss.put(key)
        assert linked(started).status in (200, 302)
        started.kept = True
        yield started


def linked(running: Service) -> Answered:
    return running.request("/reports/q3.pdf", key=CALLER)


def used(running: Service, url: str, nonce: str = "") -> Answered:
    return running.share(url, "POST", JSON, **({"nonce": nonce.ljust(16, "-")} if nonce else {}))


class TestLinks:
    """A link says when it expires by the clock that signed it. OSS's refusal says what is wrong."""

    @OFF
    def test_a_link_is_refused_with_an_explanation(self, running: Service, behind: int) -> None:
        running.oss.clock.moved = behind
        (link,) = running.request("/-/sign", "POST", params={"links": [REPORT]}, key=CALLER).json[
            "links"
        ]
        url = link["url"]
        assert parse_rfc3339(link["expires_at"]) == end_of(url)
        response = requests.get(url, timeout=30)
        assert response.status_code == 403
        assert ("Request has expired." if behind > 0 else "RequestTimeTooSkewed") in response.text
        found = explain(url, error_xml=response.text, now=time.time() + behind).findings
        assert found[0].code == ("expired" if behind > 0 else "date_in_future")


class TestRequestsThatAskOss:
    @OFF
    def test_each_is_a_documented_503_that_may_be_tried_again(
        self, running: Service, behind: int
    ) -> None:
        shares = [
            running.create_share(**params)
            for params in ({}, {"max_uses": 2}, {"password": True}, UPLOAD)
        ]
        params = {"path": "/in/a", "size": 1000}
        running.oss.clock.moved = behind
        answers = [
            running.request("/checked/a.txt"),
            running.request_share(),
            running.request("/-/uploads", "POST", params=params, key=CALLER),
        ]
        assert [errors_of(answer)[0]["code"] for answer in answers] == ["oss_unavailable"] * len(
            answers
        )
        answers = [
            running.request_share(allow_missing=True, max_uses=1),
            running.request("/-/shares", key=CALLER),
            *(running.share(url, headers=accept) for url in shares for accept in (JSON, HTML)),
            *(used(running, url) for url in shares),
        ]
        for answer in answers:
            assert (errors_of(answer)[0]["code"], answer.headers["Retry-After"]) == (
                "state_unavailable",
                "5",
            )
            assert "our clock is" in answer.line["cause"]

    @OFF
    def test_no_use_no_extension_and_no_revocation_is_lost_or_invented(
        self, running: Service, behind: int
    ) -> None:
        limited, kept = running.create_share(max_uses=2), running.request_share(page=False).json
        path = f"/-/shares/{kept['id']}"
        assert used(running, limited, "first").status == 200
        running.oss.clock.moved = behind
        assert used(running, limited, "second").status == 503
        changes = [
            running.request(path, method, params={"expires": "9d"}, key=CALLER)
            for method in ("POST", "DELETE")
        ]
        assert [change.code for change in changes] == ["state_unavailable"] * 2
        running.oss.clock.moved = 0
        assert running.uses_left(limited) == 1
        assert used(running, limited, "first").status == 200
        assert running.uses_left(limited) == 1
        assert used(running, limited, "second").status == 200
        assert used(running, limited).code == "share_used_up"
        assert running.share(kept["url"]).status == 302
        shown = running.request(path, key=CALLER).json
        assert (shown["state"], shown["expires_at"]) == ("active", kept["expires_at"])

    def test_after_the_clock_was_set_back_versioning_is_looked_for_again(
        self, running: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running.oss.clock.moved = -840
        running.create_share(max_uses=1)
        clock.moved -= 840
        running.oss.clock.moved = 0
        keys = watch_requests(monkeypatch)
        running.create_share(max_uses=1)
        assert ".links/state/probe" in keys


class TestKeys:
    @OFF
    def test_a_new_instance_says_that_its_clock_is_refused(
        self, running: Service, behind: int
    ) -> None:
        running = running.restarted()
        running.oss.clock.moved = behind
        answer = linked(running)
        assert answer.code == "keys_unavailable"
        assert "OSS refuses the clock of this instance. Deploy again" in answer.json["detail"]
        running.oss.clock.moved = 0
        running = running.restarted()
        assert linked(running).status in (200, 302)


class TestNotices:
    @pytest.fixture
    def function(self, tmp_path: Path, hook: Receiver) -> Iterator[EventFunction]:
        with event_function(tmp_path, is_wired=True) as started:
            started.add_sink("ops", hook)
            started.toml = notice(["manifest", "ops"]) + notice(
                ["ops"], mount="/exampledir/", every="1h"
            )
            started.toml += notice(["ops"], "message", mount="/exampledir/", every="1h")
            yield started

    @pytest.fixture
    def hook(self) -> Iterator[Receiver]:
        with receiver() as sink:
            yield sink

    def set_clock(self, function: EventFunction, behind: float = 0.0) -> None:
        """Sets the clock of the function, seconds behind that of OSS, which stays as it is."""
        function.clock.moved += function.oss.clock.moved - behind
        function.oss.clock.moved = behind

    KEYS = ("outbox/a.txt", "exampledir/b.txt")

    def created(self, function: EventFunction) -> bytes:
        return created_at(function.oss.clock.now(), *self.KEYS)

    @OFF
    def test_an_event_that_failed_is_sent_once_when_it_comes_again(
        self, function: EventFunction, hook: Receiver, behind: int
    ) -> None:
        event = self.created(function)
        self.set_clock(function, behind)
        outcome = function.invoke(event)
        assert outcome.error is not None
        assert outcome.error.code in ("notices_failed", "state_unavailable")
        assert "our clock is" in outcome.line["cause"]
        assert function.tick().summary["failed"]
        self.set_clock(function)
        assert (hook.received, function.manifest_lines()) == ([], [])
        for _ in range(2):
            assert function.invoke(event).error is None
        function.pass_time(HOUR)
        function.tick()
        function.tick()
        assert received_keys(hook) == Counter(self.KEYS)
        assert [line["key"] for line in function.manifest_lines()] == ["outbox/a.txt"]

    @OFF
    def test_an_instance_whose_clock_was_corrected_sends_a_digest_in_time(
        self, function: EventFunction, behind: int
    ) -> None:
        """Its records of the time of OSS are from before."""
        clock = function.clock.clock()._replace(monotonic=time.monotonic)  # which nobody sets
        self.set_clock(function, behind)
        other = function.with_clock(clock)
        other.tick()
        self.set_clock(function)
        assert other.invoke(links("/exampledir/a.txt")).error is None
        (due,) = (int(name.rpartition("/")[2][:10]) for name in function.state_names("outbox/ops/"))
        assert time.time() < due <= time.time() + HOUR


class TestKeysCommand:
    @OFF
    def test_it_says_how_far_the_clock_is_off_and_changes_nothing(
        self, running: Service, behind: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = running.oss.keys_document()
        running.oss.clock.moved = behind
        with environment_of(running.oss):
            assert main(["--keys", str(PLACE), *ADD], lock_timeout=0) == 1
        said = capsys.readouterr()
        assert said.out == ""
        direction = "behind" if behind > 0 else "ahead of"
        assert re.search(rf"\(our clock is (3599|360[01]) s {direction} that of OSS\)", said.err)
        assert "Set the clock of this machine, and try again." in said.err
        running.oss.clock.moved = 0
        assert running.object_keys(PLACE.key) == [PLACE.key]
        assert running.oss.keys_document() == before


def end_of(url: str) -> int:
    """When a link expires, in Unix seconds."""
    query = parse_qs(urlsplit(url).query)
    return timegm(time.strptime(query["x-oss-date"][0], "%Y%m%dT%H%M%SZ")) + int(
        query["x-oss-expires"][0]
    )
