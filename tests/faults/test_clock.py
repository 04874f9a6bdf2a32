"""The clock of the functions is an hour off, either way: OSS and STS refuse what they sign, by their own clocks.

Whoever asks gets a documented code, or a link that OSS refuses with an explanation. Nothing is lost: once the clock is
right, uses, notices and keys are as if nothing had happened.

Where an instance keeps what it knew, it is the clock of OSS that moves: the difference is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from handler.keys.__main__ import main
from handler.times import Clock
from signer import explain
from signer.times import parse_rfc3339
from tests.faults.deployment import BROWSER, CALLER, CONTENT, LINKS, Answer, Deployment, deployment
from tests.handler.keys.command import SleepingClock, environment_of
from tests.handler.keys_fixtures import PLACE, watch_requests
from tests.handler.notice_fixtures import links, respond
from tests.handler.sessions.local_sts import LocalSts, local_sts
from tests.handler.sessions.opener import ROLE

HOUR = 3600
OFF = pytest.mark.parametrize("behind", [HOUR, -HOUR], ids=["behind", "ahead"])
UPLOAD = {"path": "/inbox/", "method": "POST", "upload": {"max_size": 1000}}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Deployment]:
    with deployment(tmp_path) as started:
        # The instance has read the keys document while the clocks were right.
        assert started.request("/reports/q3.pdf", key=CALLER).status == 200
        yield started


def test_this_is_served_while_the_clocks_agree(running: Deployment) -> None:
    """What the other tests lose or refuse works otherwise."""
    assert requests.get(running.request("/open/a.txt").headers["Location"], timeout=30).content == CONTENT
    assert running.request("/checked/a.txt").status == 302
    limited = running.share(max_uses=2)
    assert running.open(limited, "POST").status == 303
    assert running.uses_left(limited) == 1
    assert running.request("/-/uploads", "POST", {"path": "/inbox/a", "size": 1000}, key=CALLER).status == 201
    assert running.invoke(running.created_now("reports/q3.pdf")).code == ""
    assert (running.delivered(), running.manifest()) == (["reports/q3.pdf"], ["reports/q3.pdf"])


class TestLinks:
    """A link says when it expires by the clock that signed it. OSS's refusal says what is wrong."""

    @OFF
    @pytest.mark.parametrize(
        "ask",
        [
            lambda running: running.request("/open/a.txt"),
            lambda running: running.request("/reports/q3.pdf", key=CALLER),
            lambda running: running.open(running.share(allow_missing=True)),
            lambda running: running.open(running.share(allow_missing=True), "POST", accept="application/json"),
        ],
        ids=["redirect", "key", "share", "share as JSON"],
    )
    def test_a_link_is_refused_with_an_explanation(
        self, running: Deployment, behind: int, ask: Callable[[Deployment], Answer]
    ) -> None:
        running.oss.clock.offset = behind
        answer = ask(running)
        assert answer.status in (200, 302, 303)
        url = answer.headers.get("Location") or answer.json["url"]
        if "Location" not in answer.headers:
            assert parse_rfc3339(answer.json["expires_at"]) == end_of(url)
        check_refusal(url, behind)

    @OFF
    def test_links_of_a_batch_are_refused_with_an_explanation(self, running: Deployment, behind: int) -> None:
        running.oss.clock.offset = behind
        answer = running.request("/-/sign", "POST", {"links": [{"path": "/reports/q3.pdf"}]}, key=CALLER)
        link = answer.json["links"][0]
        assert parse_rfc3339(link["expires_at"]) == end_of(link["url"])
        check_refusal(link["url"], behind)

    @OFF
    def test_a_form_is_refused_and_stores_nothing(self, running: Deployment, behind: int) -> None:
        running.oss.clock.offset = behind
        form = running.request("/-/form", "POST", {"path": "/inbox/a.txt"}, key=CALLER).json
        response = requests.post(form["url"], data=form["fields"], files={"file": b"abc"}, timeout=30)
        assert response.status_code == 403
        assert ("Policy expired" if behind > 0 else "RequestTimeTooSkewed") in response.text
        assert running.oss.keys_below("inbox/") == []

    @pytest.mark.parametrize("behind", [-840, 50, 600])
    def test_with_less_than_a_quarter_of_an_hour_links_work_until_the_time_they_say(
        self, running: Deployment, behind: int
    ) -> None:
        running.oss.clock.offset = behind
        url = running.request("/open/a.txt").headers["Location"]
        assert requests.get(url, timeout=30).content == CONTENT
        running.oss.clock.offset = end_of(url) - time.time() - 2
        assert requests.get(url, timeout=30).content == CONTENT
        running.oss.clock.offset = end_of(url) - time.time() + 1
        assert requests.get(url, timeout=30).status_code == 403


class TestRequestsThatAskOss:
    @OFF
    def test_each_is_a_documented_503_that_may_be_tried_again(self, running: Deployment, behind: int) -> None:
        plain, revocable, limited = running.share(), running.share(revocable=True), running.share(max_uses=2)
        upload = running.share(**UPLOAD)
        running.oss.clock.offset = behind
        answers = [
            running.request("/checked/a.txt"),
            running.open(plain, accept=BROWSER),
            running.request("/-/shares", "POST", {"path": "/reports/q3.pdf"}, key=CALLER),
            running.request("/-/uploads", "POST", {"path": "/inbox/a", "size": 1000}, key=CALLER),
        ]
        assert [answer.code for answer in answers] == ["oss_unavailable"] * len(answers)
        counted = {"path": "/reports/q3.pdf", "allow_missing": True, "max_uses": 1}
        answers = [
            running.request("/-/shares", "POST", counted, key=CALLER),
            *(running.open(url, accept=accept) for url in (revocable, limited, upload) for accept in ("*/*", BROWSER)),
            running.open(revocable, "POST"),
            running.open(limited, "POST"),
            running.open(upload, "POST", {"name": "a.txt", "size": 3}),
        ]
        for answer in answers:
            assert (answer.code, answer.headers["Retry-After"]) == ("state_unavailable", "5")
            assert "clock of this instance" in answer.line["cause"]

    @OFF
    def test_no_use_and_no_revocation_is_lost_or_invented(self, running: Deployment, behind: int) -> None:
        limited, revoked = running.share(max_uses=2), running.share(revocable=True)
        answer = running.request("/-/shares", "POST", {"path": "/reports/q3.pdf", "max_uses": 1}, key=CALLER).json
        assert running.open(limited, "POST", {"nonce": "nonce-EXAMPLE-0000"}).status == 303
        running.oss.clock.offset = behind
        assert running.open(limited, "POST", {"nonce": "nonce-EXAMPLE-0001"}).status == 503
        assert running.request(f"/-/shares/{answer['id']}", "DELETE", key=CALLER).code == "state_unavailable"
        running.oss.clock.offset = 0
        assert running.uses_left(limited) == 1
        assert running.open(limited, "POST", {"nonce": "nonce-EXAMPLE-0000"}).status == 303
        assert running.uses_left(limited) == 1
        assert running.open(limited, "POST", {"nonce": "nonce-EXAMPLE-0001"}).status == 303
        assert running.open(limited, "POST").code == "share_used_up"
        assert running.open(revoked).status == 302
        assert running.open(answer["url"], "POST").status == 303

    @pytest.mark.parametrize("behind", [-840, 50])
    def test_a_clock_that_oss_accepts_counts_uses_as_always(self, running: Deployment, behind: int) -> None:
        running.oss.clock.offset = behind
        limited, upload = running.share(max_uses=2), running.share(**UPLOAD)
        first = {"nonce": "nonce-EXAMPLE-0000"}
        assert [running.open(limited, "POST", nonce).status for nonce in (first, first, None, None)] == [303] * 3 + [
            410
        ]
        form = running.open(upload, "POST", {"name": "a.txt", "size": 3}).json
        response = requests.post(form["url"], data=form["fields"], files={"file": b"abc"}, timeout=30)
        assert response.status_code in (200, 204)
        assert running.open(upload, "POST", {"name": "b.txt", "size": 3}).code == "share_full"

    def test_after_the_clock_was_set_back_versioning_is_looked_for_again(
        self, running: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running.set_clock(behind=-840)
        running.share(max_uses=1)
        running.set_clock()
        keys = watch_requests(monkeypatch)
        running.share(max_uses=1)
        assert ".links/state/probe" in keys


class TestKeys:
    @OFF
    def test_a_new_instance_says_that_its_clock_is_refused(self, tmp_path: Path, behind: int) -> None:
        with deployment(tmp_path) as running:
            running.oss.clock.offset = behind
            answer = running.request("/reports/q3.pdf", key=CALLER)
            assert answer.code == "keys_unavailable"
            assert "OSS refuses the clock of this instance. Deploy again" in answer.json["detail"]
            running.oss.clock.offset = 0
            assert running.request("/reports/q3.pdf", key=CALLER).status == 200

    @OFF
    def test_an_instance_uses_the_last_keys_for_eleven_minutes(
        self, running: Deployment, behind: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        running.oss.clock.offset = behind
        for passed, status in ((61, 200), (590, 200), (10, 503)):
            running.pass_time(passed)
            assert running.request("/reports/q3.pdf", key=CALLER).status == status
        running.oss.clock.offset = 0
        assert running.request("/reports/q3.pdf", key=CALLER).status == 200


class TestNotices:
    @OFF
    def test_an_event_that_failed_is_sent_once_when_it_comes_again(self, running: Deployment, behind: int) -> None:
        event = running.created_now("reports/q3.pdf", "checked/a.txt")
        running.set_clock(behind=behind)
        for _ in range(3):
            invoked = running.invoke(event)
            assert invoked.code in ("notices_failed", "state_unavailable")
            assert "clock of this instance" in invoked.line["cause"]
        assert (running.delivered(), running.manifest()) == ([], [])
        running.set_clock()
        for _ in range(2):
            assert running.invoke(event).code == ""
        running.pass_time(HOUR)
        running.tick()
        running.tick()
        assert sorted(running.delivered()) == ["checked/a.txt", "reports/q3.pdf"]
        assert running.manifest() == ["reports/q3.pdf"]

    @OFF
    def test_notices_that_wait_are_kept_and_sent_later(self, running: Deployment, behind: int) -> None:
        running.hook.responses = [respond(500)] * 20
        running.invoke(running.created_now("reports/q3.pdf", "checked/a.txt"))
        running.hook.responses = []
        running.set_clock(behind=behind)
        for _ in range(3):
            running.pass_time(60)
            assert running.tick().summary["failed"]
        assert running.oss.keys_below(".links/state/dead/") == []
        running.set_clock()
        received = len(running.hook.received)
        running.pass_time(HOUR)
        running.tick()
        running.tick()
        messages = [request.json["data"] for request in running.hook.received[received:]]
        assert sorted(entry["key"] for data in messages for entry in data.get("notices", [data])) == [
            "checked/a.txt",
            "reports/q3.pdf",
        ]
        assert running.oss.keys_below(".links/state/outbox/") == []

    @OFF
    def test_an_instance_whose_clock_was_corrected_sends_a_digest_in_time(
        self, running: Deployment, behind: int
    ) -> None:
        """Its records of the time of OSS are from before."""
        running.set_clock(behind=behind)
        running.tick()
        running.set_clock()
        assert running.invoke(links("/open/a.txt")).code == ""
        (due,) = (int(key.rpartition("/")[2][:10]) for key in running.oss.keys_below(".links/state/outbox/ops/"))
        assert time.time() < due <= time.time() + HOUR

    @OFF
    def test_a_sink_is_never_called_with_a_notice_that_cannot_be_marked(self, running: Deployment, behind: int) -> None:
        running.set_clock(behind=behind)
        running.invoke(running.created_now("reports/q3.pdf"))
        running.tick()
        assert running.hook.received == []


class TestSessions:
    @pytest.fixture
    def sts(self) -> Iterator[LocalSts]:
        with local_sts() as running:
            yield running

    @OFF
    def test_without_a_session_mounts_answer_503_and_open_one_when_the_clock_is_right(
        self, sts: LocalSts, tmp_path: Path, behind: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with deployment(tmp_path, LINKS + f'[assume_role]\nrole = "{ROLE}"\n') as running:
            running.config = running.config._replace(
                assume_role=running.config.assume_role and running.config.assume_role._replace(url=sts.url)
            )
            sts.now = lambda: time.time() + behind
            monkeypatch.setattr("handler.startup.config", lambda: running.config)
            answer = running.request("/open/a.txt")
            assert (answer.code, answer.line["cause"]) == (
                "credentials_unavailable",
                "AssumeRole: InvalidTimeStamp.Expired",
            )
            sts.now = lambda: time.time()
            running.pass_time(int(answer.headers["Retry-After"]))
            assert running.request("/open/a.txt").status == 302


class TestKeysCommand:
    ADD = ("add-api-key", "ci", "--path", "/reports/", "--method", "GET")

    def run(self, running: Deployment, *arguments: str, clock: Clock | None = None) -> int:
        with environment_of(running.oss):
            return main(
                ["--keys", str(PLACE), *arguments],
                lock_timeout=0,
                clock=clock or Clock(lambda: time.time(), time.monotonic, time.sleep),
            )

    def stored(self, running: Deployment) -> list[str]:
        running.oss.clock.offset = 0
        return running.oss.keys_below(".links/keys.json")

    @OFF
    def test_it_says_how_far_the_clock_is_off_and_changes_nothing(
        self, running: Deployment, behind: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = running.oss.get()
        running.oss.clock.offset = behind
        assert self.run(running, *self.ADD) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "because the clock of this machine is" in said.err
        assert f"seconds {'behind' if behind > 0 else 'ahead of'} that of OSS" in said.err
        assert self.stored(running) == [PLACE.key]
        assert running.oss.get() == before

    @OFF
    def test_a_lock_that_was_left_when_the_clock_jumped_can_be_broken(
        self, running: Deployment, behind: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def jump(*arguments: Any) -> Any:
            running.oss.clock.offset = behind
            raise Jumped

        with patch("handler.keys.__main__._read", jump), pytest.raises(Jumped):
            self.run(running, *self.ADD)
        assert self.stored(running) == [PLACE.key, f"{PLACE.key}.lock"]
        assert self.run(running, *self.ADD) == 1
        running.pass_time(301)
        assert self.run(running, *self.ADD, "--break-lock", clock=SleepingClock().clock) == 0
        assert capsys.readouterr().out.startswith("fcp_")
        assert self.stored(running) == [PLACE.key]
        assert running.oss.get()["api"][-1]["id"] == "ci"

    @pytest.mark.parametrize("behind", [-840, 50])
    def test_a_clock_that_oss_accepts_changes_keys_as_always(
        self, running: Deployment, behind: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        running.oss.clock.offset = behind
        assert self.run(running, *self.ADD) == 0
        assert capsys.readouterr().out.startswith("fcp_")
        assert self.run(running, "revoke-api-key", "ci") == 0
        assert self.stored(running) == [PLACE.key]


class Jumped(Exception):
    """Ends a command in the middle."""


def end_of(url: str) -> int:
    """When a link expires, in Unix seconds."""
    from calendar import timegm

    query = parse_qs(urlsplit(url).query)
    return timegm(time.strptime(query["x-oss-date"][0], "%Y%m%dT%H%M%SZ")) + int(query["x-oss-expires"][0])


def check_refusal(url: str, behind: int) -> None:
    """OSS refuses a link, and its answer leads to the reason."""
    response = requests.get(url, timeout=30)
    assert response.status_code == 403
    assert ("Request has expired." if behind > 0 else "RequestTimeTooSkewed") in response.text
    assert "<ServerTime>" in response.text
    findings = [finding.code for finding in explain(url, error_xml=response.text, now=time.time() + behind).findings]
    assert findings[0] == ("expired" if behind > 0 else "date_in_future")
