"""Whenever an instance is killed, the next one goes on: nothing is lost, half written or counted twice.

An instance is killed once OSS has carried out a call of it: that is also before the next call. At every moment of an
event, and while it stands still, random worlds do it (tests/handler/notices).
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from tests.faults.instances import KILLED, Instances, Work, instances
from tests.faults.paths import PATHS, errors_of
from tests.faults.service import Service
from tests.handler.notice_fixtures import created, event_function, notice, received_keys, receiver, respond

AFTER = "reset after"


@pytest.fixture(scope="module")
def running() -> Iterator[Instances]:
    with instances() as started:
        yield started


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "the last use" else pytest.mark.long) for name in PATHS]
)
def test_a_request_at_each_call_of_oss(shared_service: Service, running: Instances, name: str) -> None:
    """It is sent again, to another instance."""
    path = PATHS[name]
    for number in count():
        work = Work(shared_service.config, name, path.prepare(shared_service))
        shared_service.faults.arm(AFTER, number, act=running.kill_running)
        first = running.answer(work)
        shared_service.faults.disarm()
        last = running.answer(work)
        assert errors_of(last) == [] or errors_of(last)[0]["code"] == path.later, last
        path.check(shared_service, work.prepared, first, last)
        if first != KILLED:
            assert number, "OSS is not called"
            return


@pytest.mark.parametrize("rule", [{"give": "share"}, {}], ids=["share", "link"])
def test_an_event_while_its_messages_are_sent(running: Instances, tmp_path: Path, rule: dict[str, str]) -> None:
    """What waits is sent once the lease of the killed has ended, some of it twice."""
    files = [f"outbox/{number}.txt" for number in range(40)]
    with event_function(tmp_path, is_wired=True) as function, receiver() as hook:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"], **rule)

        def kill(request: BaseHTTPRequestHandler) -> None:
            running.kill_running()
            respond()(request)

        hook.responses = [respond()] * 12 + [kill]
        assert running.run(Work(function.config, "", created(*files).decode())) is None
        assert 0 < len(function.state_names("outbox/")) < len(files)
        for _ in range(2):
            function.pass_time(60)
            assert function.tick().error is None
        assert set(received_keys(hook)) == set(files)
        assert max(received_keys(hook).values()) <= 2
        assert function.state_names("outbox/") == function.state_names("dead/") == []
