"""Whatever is killed, gone or at work at the same time: nothing is lost, and a fault repeats a notice once at most."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest.mock import patch

import pytest

from handler.cloud.store import Store
from handler.config import Config
from handler.notices.outbox import DEAD, Outbox
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Killed,
    Receiver,
    at_once,
    created,
    notice,
    received_ids,
    received_keys,
    respond,
)

KEYS_OF_EVENT = [f"outbox/{number}.txt" for number in range(3)]
EVENT = created(*KEYS_OF_EVENT)


def recover(function: EventFunction, config: Config | None = None) -> None:
    """The timer fires a few times, after the leases of the killed have ended."""
    for _ in range(3):
        function.pass_time(60)
        assert function.tick(config=config).error is None
    assert function.state_names("outbox/") == []


def told_files(hook: Receiver) -> Counter[str]:
    """How often each object of the event was told, by a sink of any kind."""
    bodies = [request.body.decode() for request in hook.received]
    return Counter(key for body in bodies for key in KEYS_OF_EVENT if f"{key[7:]}?" in body)


@contextmanager
def killed_before(method: str, folder: str) -> Iterator[None]:
    """The instance is killed before OSS gets its first call of this method of `Store` for an object in a folder."""
    call = getattr(Store, method)

    def call_or_die(state: Store, name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith(folder):
            raise Killed
        return call(state, name, *arguments, **options)

    with patch.object(Store, method, call_or_die), pytest.raises(Killed):
        yield


class TestCrashPoints:
    """The table of the guarantee, row by row."""

    @pytest.fixture(autouse=True)
    def sink(self, function: EventFunction, hook: Receiver) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])

    def test_marked_and_not_deleted(self, function: EventFunction, hook: Receiver) -> None:
        with killed_before("delete", "outbox/"):
            function.invoke(created())
        assert (len(function.state_names("outbox/")), len(function.state_names("done/"))) == (1, 1)
        recover(function)
        assert received_keys(hook) == Counter(["outbox/a.txt"])

    def test_a_late_put_of_the_entry(self, function: EventFunction, hook: Receiver) -> None:
        entries: list[tuple[str, bytes]] = []
        write = Store.replace

        def note(state: Store, name: str, body: bytes) -> None:
            entries.append((name, body))
            write(state, name, body)

        with patch.object(Store, "replace", note):
            function.invoke(created())
        assert function.state_names("outbox/") == []
        function.state().replace(*entries[0])
        function.pass_time(60)
        assert function.tick().summary["repeated"] == 1
        assert received_keys(hook) == Counter(["outbox/a.txt"])
        assert function.state_names("outbox/") == []

    @pytest.mark.parametrize("every", [None, "1m"])
    @pytest.mark.parametrize("failures", [1, 2, 3])
    def test_moved_to_a_later_name_and_not_deleted(
        self, function: EventFunction, hook: Receiver, failures: int, every: str | None
    ) -> None:
        """Of the two names, the first one alone is tried; once it is sent, the other one is found done."""
        function.toml = notice(["ops"], **({"every": every} if every else {}))
        hook.responses = [respond(500)] * failures
        with killed_before("delete", "outbox/"):
            function.invoke(created())
            function.tick()
        first, later = Outbox(function.state()).entries("ops")
        assert (first.id, first.place, first.tries + 1) == (later.id, later.place, later.tries)
        function.pass_time(120)
        outcome = function.tick()
        assert len(hook.received) == 2
        if failures == 1:
            assert (outcome.summary["notices"], outcome.summary["repeated"]) == (1, 1)
        recover(function)
        assert received_keys(hook) == Counter({"outbox/a.txt": failures + 1})

    def test_paused_and_not_released(self, function: EventFunction, hook: Receiver) -> None:
        hook.responses = [respond(429)]
        function.go_to(1)
        with killed_before("delete", "lease/"):
            function.invoke(created())
        assert (function.state_names("pause/"), len(function.state_names("lease/"))) == (["pause/ops"], 1)
        assert function.tick().summary["notices"] == 0
        function.pass_time(48)
        assert function.tick().summary["notices"] == 1
        assert (len(hook.received), function.state_names("pause/")) == (2, [])

    def test_moved_to_the_dead_and_not_deleted(self, function: EventFunction, hook: Receiver) -> None:
        sink = function.sinks.pop("ops")
        function.invoke(created())
        function.pass_time(4 * 86_400)
        with killed_before("delete", "outbox/"):
            function.tick()
        (waiting,), (dead,) = function.state_names("outbox/"), function.state_names("dead/")
        body = function.read(f".links/state/{dead}")
        function.pass_time(60)
        function.tick()
        assert function.state_names("outbox/") == []
        assert function.state_names("dead/") == [dead]
        assert dead.rpartition("/")[2] == waiting.rpartition("/")[2]
        assert function.read(f".links/state/{dead}") == body
        function.sinks["ops"] = sink
        recover(function)
        assert hook.received == []

    def test_made_due_again_and_not_deleted_among_the_dead(self, function: EventFunction, hook: Receiver) -> None:
        function.sinks.pop("ops")
        function.invoke(created())
        outbox = Outbox(function.state())
        (entry,) = outbox.entries("ops")
        outbox.bury(entry, "status_422")
        with killed_before("delete", "dead/"):
            outbox.revive(entry)
        assert (len(outbox.entries("ops")), len(outbox.entries("ops", DEAD))) == (1, 1)
        function.add_sink("ops", hook)
        recover(function)
        outbox.revive(entry)
        recover(function)
        assert received_keys(hook) == Counter(["outbox/a.txt"])
        assert outbox.entries("ops", DEAD) == []


class TestMarksAndLeasesThatAreGone:
    """Any object below done/ and lease/ may be gone at any moment."""

    @pytest.mark.parametrize("every", [None, "1m"])
    @pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])
    def test_nothing_is_lost_and_only_what_lost_its_mark_or_lease_is_repeated(
        self, function: EventFunction, hook: Receiver, seed: int, every: str | None
    ) -> None:
        dice, gone, lock = random.Random(seed), Counter[str](), threading.Lock()

        def lose(share: float) -> None:
            for name in function.state_names("done/") + function.state_names("lease/"):
                if dice.random() < share:
                    function.state().delete(name)
                    folder, _, rest = name.partition("/")
                    with lock:
                        gone[rest if folder == "done" else folder] += 1

        def lose_and_answer(request: BaseHTTPRequestHandler) -> None:
            lose(0.1)
            respond()(request)

        hook.default = lose_and_answer
        function.add_sink("ops", hook)
        function.toml = notice(["ops"], **({"every": every} if every else {}))
        config, keys = function.config(), [f"outbox/{number}" for number in range(8)]
        for _ in range(5):
            events = [created(*dice.sample(keys, 3)), created(*dice.sample(keys, 3)), TIMER_EVENT]
            at_once([lambda event=event: function.answer(event, config) for event in events])  # type: ignore[misc]
            lose(0.4)
            function.pass_time(dice.choice([0, 20, 60]))
        function.answer(created(*keys), config)
        recover(function, config)
        assert set(received_keys(hook)) == set(keys)
        told = received_ids(hook)
        assert len(told) == len(keys)
        assert {id_: times for id_, times in told.items() if times > 1 + gone[id_] + gone["lease"]} == {}
        assert gone

    @pytest.mark.parametrize("which", [(), (0,), (1,), (0, 1, 2), (0, 2)])
    def test_any_subset_of_the_marks(self, notified: EventFunction, hook: Receiver, which: tuple[int, ...]) -> None:
        notified.invoke(EVENT)
        marks = notified.state_names("done/")
        for number in which:
            notified.state().delete(marks[number])
        for _ in range(3):
            notified.invoke(EVENT)
        assert len(hook.received) == 3 + len(which)
        assert sorted(notified.state_names("done/")) == marks

    def test_a_lease_that_is_gone_while_its_holder_sends_repeats_each_notice_once_at_most(
        self, notified: EventFunction, hook: Receiver
    ) -> None:
        config, is_first = notified.config(), threading.Lock()

        def take_over(request: Any) -> None:
            if is_first.acquire(blocking=False):
                for name in notified.state_names("lease/"):
                    notified.state().delete(name)
                notified.answer(TIMER_EVENT, config)
            respond()(request)

        hook.default = take_over
        notified.invoke(EVENT, config=config)
        recover(notified, config)
        assert set(received_keys(hook)) == set(KEYS_OF_EVENT)
        assert set(received_keys(hook).values()) <= {1, 2}


class TestTheSameEventAtOnce:
    @pytest.mark.parametrize("kind", ["webhook", "wecom"])
    def test_in_five_threads_it_is_told_once(self, function: EventFunction, hook: Receiver, kind: str) -> None:
        hook.default = respond(200, b'{"errcode": 0}')
        function.add_sink("ops", hook, kind)
        function.toml = notice(["ops"])
        config = function.config()
        at_once([lambda: function.answer(EVENT, config)] * 5)
        # Each was told before anybody waited for a timer, and is not told again.
        assert function.state_names("outbox/") == []
        recover(function)
        assert told_files(hook) == Counter(KEYS_OF_EVENT)


class TestDifferentEventsAtOnce:
    @pytest.mark.parametrize("every", [None, "1m"])
    def test_nothing_is_lost_repeated_or_left(self, function: EventFunction, hook: Receiver, every: str | None) -> None:
        dice = random.Random(1)
        function.add_sink("ops", hook)
        function.toml = notice(["ops"], **({"every": every} if every else {}))
        config, keys = function.config(), [f"outbox/{number}" for number in range(10)]
        events = [*(created(*dice.sample(keys, 3)) for _ in range(4)), created(*keys)]
        at_once([lambda event=event: function.answer(event, config) for event in events])  # type: ignore[misc]
        if every:
            assert hook.received == []
            at_once([lambda: function.answer(TIMER_EVENT, config)] * 4)
            assert len(hook.received) == 1
        assert received_keys(hook) == Counter(keys)
        assert function.state_names("outbox/") == []
