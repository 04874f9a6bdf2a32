"""Whenever an instance is killed, the next one goes on: nothing is lost, half written or counted twice.

An instance is killed once OSS has carried out a call of it: that is also before the next call. At any moment of an
event, and while an instance stands still, random worlds do it (tests/handler/notices).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from tests.fault_proxy import fault_proxy
from tests.faults.instances import KILLED, Instances, Work, instances
from tests.faults.paths import PATHS, errors_of
from tests.faults.service import Service
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    created,
    event_function,
    notice,
    receiver,
    respond,
)

AFTER = "reset after"


@pytest.fixture(scope="module")
def running() -> Iterator[Instances]:
    with instances() as started:
        yield started


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "the last use" else pytest.mark.long)
        for name in PATHS
    ],
)
def test_a_request_at_each_call_of_oss(
    shared_service: Service, running: Instances, name: str
) -> None:
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


FILES = [f"outbox/{number}.txt" for number in range(3)]


@pytest.mark.parametrize("at", ["message", pytest.param("call", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("webhook", {"give": "share"}),
        ("webhook", {}),
        pytest.param("wecom", {"give": "share"}, marks=pytest.mark.long),
    ],
    ids=["share", "link", "robot"],
)
def test_an_event_and_a_tick_at_each_request(
    running: Instances, tmp_path: Path, at: str, kind: str, rule: dict[str, str]
) -> None:
    """The event is run again where it was killed, and the timer fires after the lease of the killed has ended."""
    ended = list[int]()  # those that a kill met
    for number in count():
        with ExitStack() as ends:
            function = ends.enter_context(event_function(tmp_path / str(number), is_wired=True))
            hook = ends.enter_context(receiver(respond(200, b'{"errcode": 0}')))
            faults = ends.enter_context(fault_proxy(function.oss.url))
            function.add_sink("ops", hook, kind)
            function.toml = notice(["ops"], **rule)
            killed = list[bool]()

            def kill(
                request: BaseHTTPRequestHandler | None = None, killed: list[bool] = killed
            ) -> None:
                killed.append(True)
                running.kill_running()

            if at == "message":
                hook.responses = [hook.default] * number + [kill]
            else:
                faults.arm(AFTER, number, act=kill)
            event, config = created(*FILES), function.config_at(faults.url)
            results = [
                running.run(Work(config, "", each.decode())) for each in (event, TIMER_EVENT)
            ]
            faults.disarm()
            if not killed:
                assert None not in results
                # Three notices of four requests, a lease, a tick.
                assert len(ended) > (0 if at == "message" else 18)
                return
            if None in results:
                ended.append(number)
                assert function.invoke(event).error is None
            for _ in range(2):
                function.pass_time(60)
                assert function.tick().error is None
            assert function.state_names("outbox/") == function.state_names("dead/") == []
            told = Counter(
                key
                for request in hook.received
                for key in FILES
                if f"{key[7:]}?" in request.body.decode()
            )
            assert set(told) == set(FILES)
            assert max(told.values()) <= 2
            marks = [name for name in function.state_names("done/") if name != "done/probe"]
            assert len(marks) == len(FILES)
            for folder in ("shares/", "index/") if "give" in rule else ():
                assert len(function.state_names(folder)) == len(marks)
