"""Whenever an instance is killed, the next one goes on: nothing is lost, half written or counted twice.

An instance is killed once OSS has carried out a call of it: that is also before the next call.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from queue import SimpleQueue

import pytest

from handler.cloud.oss import THREADS
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.faults.instances import KILLED, Instances, Run, Work, instances
from tests.faults.paths import PATHS, errors_of
from tests.faults.service import Service
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Receiver,
    created,
    event_function,
    notice,
    receiver,
    respond,
)

AFTER = "reset after"
SEED = int(os.environ.get("KILLS_SEED") or random.randrange(1_000_000))


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


def kill_after(run: Run, seconds: float) -> None:
    time.sleep(max(0.0, run.began + seconds - time.monotonic()))
    run.kill()


# The sink, the rule, and how many notices are on their way at a time, at most: messages of one, or one message of all.
HOW = {"webhook": ("webhook", {}, THREADS), "digest": ("webhook", {"every": "1m"}, 48), "robot": ("wecom", {}, 48)}
FILES = [f"outbox/{number}.txt" for number in range(3)]


class TestNotices:
    """An event whose instance was killed is run again, and later the timer fires."""

    parallel: int

    @pytest.fixture(params=["webhook", *(pytest.param(how, marks=pytest.mark.long) for how in ("digest", "robot"))])
    def function(self, request: pytest.FixtureRequest, tmp_path: Path, hook: Receiver) -> Iterator[EventFunction]:
        kind, rule, self.parallel = HOW[request.param]
        with event_function(tmp_path, is_wired=True) as started:
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
        """The timer fires a few times, after the leases of the killed have ended."""
        for _ in range(3):
            function.pass_time(60)
            assert function.tick().error is None
        assert function.state_names("outbox/") == []
        assert function.state_names("dead/") == []

    @pytest.mark.parametrize("at", ["call", "message"])
    def test_at_each_request_nothing_is_lost_and_each_notice_is_repeated_once_at_most(
        self, function: EventFunction, faults: FaultProxy, hook: Receiver, running: Instances, at: str
    ) -> None:
        """An event of three notices and a tick, killed at each call of OSS or each message."""
        respond_usually = hook.default
        config = function.config(faults.url)
        for number in count():
            event = created(*FILES, etag=f"ETAG{number}")
            received = len(hook.received)

            def kill_at_message(request: BaseHTTPRequestHandler, last: int = received + number + 1) -> None:
                running.kill_running() if len(hook.received) == last else respond_usually(request)

            if at == "message":
                hook.default = kill_at_message
                faults.disarm()
            else:
                faults.arm(AFTER, number, act=running.kill_running)
            results = [
                running.run(Work(config, "", each, function.clock.moved)) for each in (event.decode(), TIMER_EVENT)
            ]
            at_kill = len(hook.received)
            hook.default = respond_usually
            faults.disarm()
            if None not in results:
                assert number > (0 if at == "message" else 18)  # three notices of four requests, a lease, a tick
                return
            assert function.invoke(event).error is None  # Function Compute runs it again
            self.recover(function)
            told = told_files(hook, received)
            assert set(told) == set(FILES)
            assert set(told.values()) <= ({1, 2} if at_kill > received else {1})
            assert len(function.state_names("done/")) == 3 * (number + 1)

    @pytest.mark.long
    @pytest.mark.parametrize("function", HOW, indirect=True)
    def test_at_random_moments_while_others_are_at_work(
        self, function: EventFunction, faults: FaultProxy, hook: Receiver
    ) -> None:
        """Four instances at a time; OSS fails at random too."""
        print(f"KILLS_SEED={SEED}")
        chance, work, killed = random.Random(SEED), SimpleQueue[bytes](), list[int]()
        files = [f"outbox/{number:03}.txt" for number in range(48)]
        for first in range(0, 48, 4):
            work.put(created(*files[first : first + 4]))
            work.put(TIMER_EVENT)
        config = function.config(faults.url)
        faults.shuffle(SEED)

        def serve(instance: Instances) -> None:
            while not work.empty():
                event = work.get()
                seconds = chance.choice([chance.uniform(0, 0.3), 60.0])
                result = instance.run(Work(config, "", event.decode(), function.clock.moved), timed(seconds))
                if result is None or "failed" in result or "not_marked" in result:
                    killed.append(1)
                    if len(killed) < 40:
                        work.put(event)

        def timed(seconds: float) -> Callable[[Run], None]:
            return lambda run: kill_after(run, seconds) if seconds < 1 else None

        with ExitStack() as ends, ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(serve, ends.enter_context(instances())) for _ in range(4)]:
                done.result(300)
        faults.disarm()
        for first in range(0, 48, 4):
            assert function.invoke(created(*files[first : first + 4])).error is None
        self.recover(function)
        told = told_files(hook, 0, files)
        assert set(told) == set(files)
        assert len(killed) > 5
        assert sum(told.values()) - len(told) <= self.parallel * len(killed)


def told_files(hook: Receiver, first: int, files: list[str] = FILES) -> Counter[str]:
    """How often each object was told in the requests from one on, by a sink of any kind."""
    bodies = [request.body.decode() for request in hook.received[first:]]
    return Counter(key for body in bodies for key in files if f"{key[7:]}?" in body)
