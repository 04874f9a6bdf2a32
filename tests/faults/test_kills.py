"""Whenever an instance is killed or stopped, the next one goes on: nothing is lost, half written or counted twice.

An instance is killed once OSS has carried out a call of it: that is also before the next call. One that was stopped
goes on later, as if nothing had happened.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy, fault_proxy
from tests.faults.instances import KILLED, Instances, SharedClock, Work, instances
from tests.faults.paths import PATHS, errors_of
from tests.faults.service import Service
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Receiver,
    created,
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
    "name", [pytest.param(name, marks=() if name == "the last use" else pytest.mark.long) for name in PATHS]
)
def test_a_request_at_each_call_of_oss(shared_service: Service, running: Instances, name: str) -> None:
    """It is sent again, to another instance."""
    path = PATHS[name]
    for number in count():
        work = Work(shared_service.config, name, path.prepare(shared_service))
        shared_service.faults.arm(AFTER, number, act=running.interrupt_running)
        first = running.answer(work)
        shared_service.faults.disarm()
        last = running.answer(work)
        assert errors_of(last) == [] or errors_of(last)[0]["code"] == path.later, last
        path.check(shared_service, work.prepared, first, last)
        if first != KILLED:
            assert number, "OSS is not called"
            return


# The sink and the rule: messages of one, or one message of all.
HOW: dict[str, tuple[str, dict[str, str]]] = {
    "webhook": ("webhook", {"give": "share"}),
    "digest": ("webhook", {"every": "1m"}),
    "robot": ("wecom", {"give": "share"}),
}
FILES = [f"outbox/{number}.txt" for number in range(3)]


class TestNotices:
    """An event whose instance was killed is run again, and later the timer fires."""

    clock: SharedClock

    @pytest.fixture(params=["webhook", *(pytest.param(how, marks=pytest.mark.long) for how in ("digest", "robot"))])
    def function(self, request: pytest.FixtureRequest, tmp_path: Path, hook: Receiver) -> Iterator[EventFunction]:
        kind, rule = HOW[request.param]
        self.clock = SharedClock(tmp_path / "clock")
        with ExitStack() as ends:
            started = EventFunction(tmp_path, ends, is_wired=True, clock=self.clock)
            started.add_sink("ops", hook, kind)
            started.toml = notice(["ops"], **rule)
            yield started

    @pytest.fixture
    def hook(self) -> Iterator[Receiver]:
        with receiver(respond(200, b'{"errcode": 0}')) as sink:
            yield sink

    @pytest.fixture
    def faults(self, function: EventFunction) -> Iterator[FaultProxy]:
        with fault_proxy(function.url) as proxy:
            yield proxy

    @staticmethod
    def recover(function: EventFunction) -> None:
        """The timer fires twice, after the leases of the killed have ended."""
        for _ in range(2):
            function.pass_time(60)
            assert function.tick().error is None
        assert function.state_names("outbox/") == []
        assert function.state_names("dead/") == []

    @pytest.mark.parametrize(
        ("at", "how"),
        [
            pytest.param("call", "killed", marks=pytest.mark.ci),
            ("message", "killed"),
            pytest.param("message", "stopped", marks=pytest.mark.ci),
            pytest.param("call", "stopped", marks=pytest.mark.long),
        ],
    )
    def test_at_each_request_nothing_is_lost_and_each_notice_is_repeated_once_at_most(
        self, function: EventFunction, faults: FaultProxy, hook: Receiver, running: Instances, at: str, how: str
    ) -> None:
        """An event of three notices and a tick, killed or stopped at each call of OSS or each message.

        While it is stopped, its lease ends, and another instance sends what is due.
        """
        respond_usually = hook.default
        config, interrupted = function.config(faults.url), list[int]()
        for number in count():
            event = created(*FILES, etag=f"ETAG{number}")
            received, sent = len(hook.received), list[int]()  # `sent` when an instance was interrupted

            def tick_meanwhile(sent: list[int] = sent) -> None:
                while any(call.ended > time.monotonic() for call in faults.calls):
                    time.sleep(0.005)
                sent.append(len(hook.received))
                function.pass_time(60)
                assert function.tick().error is None

            def interrupt(number: int = number) -> None:
                interrupted.append(number)
                running.interrupt_running(tick_meanwhile if how == "stopped" else None)

            def interrupt_at_message(request: BaseHTTPRequestHandler, place: int = received + number) -> None:
                if hook.received[place : place + 1] and hook.received[place].body is request.body:  # type: ignore[attr-defined]
                    interrupt()
                respond_usually(request)

            if at == "message":
                hook.default = interrupt_at_message
                faults.disarm()
            else:
                faults.arm(AFTER if how == "killed" else "slow", number, act=interrupt)
            results = [running.run(Work(config, "", each, self.clock.file)) for each in (event.decode(), TIMER_EVENT)]
            sent.append(len(hook.received))
            hook.default = respond_usually
            faults.disarm()
            if number not in interrupted:
                assert None not in results
                assert number > (0 if at == "message" else 18)  # three notices of four requests, a lease, a tick
                return
            if None in results:
                assert function.invoke(event).error is None  # Function Compute runs it again
            self.recover(function)
            told = told_files(hook, received)
            assert set(told) == set(FILES)
            assert set(told.values()) <= ({1, 2} if sent[0] > received else {1})
            marks = [name for name in function.state_names("done/") if name != "done/probe"]
            assert len(marks) == 3 * (number + 1)
            for folder in ("shares/", "index/") if "share" in function.toml else ():
                assert len(function.state_names(folder)) == len(marks)


def told_files(hook: Receiver, first: int) -> Counter[str]:
    """How often each object was told in the requests from one on, by a sink of any kind."""
    bodies = [request.body.decode() for request in hook.received[first:]]
    return Counter(key for body in bodies for key in FILES if f"{key[7:]}?" in body)
