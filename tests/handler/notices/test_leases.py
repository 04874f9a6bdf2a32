"""Who may send to a sink: leases on slots of OSS's clock, which exclude each other whatever instances and clocks do."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud.lease import Lease
from handler.core.cloud.oss import OssClient, OssResponse
from handler.core.config import Location
from handler.notices.sink_queue import sink_lease
from handler.notices.sinks import Post, client, delivery
from handler.notices.sinks.client import Network, WebhookResponse
from handler.notices.timing import NEED, SLOT
from tests.handler.notice_fixtures import (
    TIMER_EVENT,
    EventFunction,
    Killed,
    Receiver,
    created,
    created_at,
    kill,
    notice,
    received_keys,
    respond,
)
from tests.handler.simulation import files_in
from tests.system import STATE


def instance(function: EventFunction) -> Lease:
    """An instance that knows the time of OSS and has no lease yet."""
    state = function.state()
    state.read("probe")
    return sink_lease(state, "ops")


def slot_names(function: EventFunction) -> list[str]:
    return [name.removeprefix("lease/ops/") for name in function.state_names("lease/")]


def slot() -> int:
    return int(time.time() // SLOT)


class TestSlots:
    def test_another_one_leaves_until_the_slot_has_ended(self, function: EventFunction) -> None:
        function.go_to(1.5)
        assert instance(function).acquire()
        assert not instance(function).acquire()
        function.go_to(27)
        assert not instance(function).acquire()
        function.pass_time(6)
        assert instance(function).acquire()

    def test_only_the_holder_takes_the_next_slot_ahead(self, function: EventFunction) -> None:
        function.go_to(20)
        first, second = instance(function), instance(function)
        assert first.acquire()
        assert not second.acquire()
        assert not second.acquire()
        assert slot_names(function) == [str(slot())]
        assert first.has_time()
        assert slot_names(function) == [str(slot()), str(slot() + 1)]
        assert not second.acquire()
        assert first.has_time()
        assert len(slot_names(function)) == 2
        function.pass_time(SLOT)
        function.state().replace(f"lease/ops/{slot() + 1}", b"another one")
        assert not first.has_time()

    @pytest.mark.parametrize("phase", [0.5, 12.5, 13.5, 29.5])
    def test_a_try_that_is_covered_ends_two_seconds_before_the_slot(
        self, function: EventFunction, phase: float
    ) -> None:
        function.go_to(phase)
        held = instance(function)
        assert held.acquire()
        for _ in range(20):
            if not held.has_time():
                break
            ends = (max(map(int, slot_names(function))) + 1) * SLOT
            assert time.time() + NEED <= ends
            function.pass_time(3.7)
        else:
            return
        pytest.fail("The holder lost its lease although nobody else wanted it.")

    @pytest.mark.parametrize(("phase", "slots", "passed"), [(5, 1, SLOT), (20, 2, 10 * SLOT)])
    def test_a_lease_that_has_ended_covers_nothing_and_takes_nothing(
        self, function: EventFunction, phase: float, slots: int, passed: int
    ) -> None:
        function.go_to(phase)
        held = instance(function)
        assert held.acquire()
        assert held.has_time()
        function.pass_time(passed + slots * SLOT - SLOT)
        assert not held.has_time()
        assert len(slot_names(function)) == slots

    def test_a_slot_that_is_taken_after_the_one_before_has_ended_covers_nothing(
        self, function: EventFunction
    ) -> None:
        """Another one may have held it, and released it, before."""
        function.go_to(20)
        held = instance(function)
        assert held.acquire()
        function.memory.latency = 12
        assert not held.has_time()
        assert slot_names(function) == [str(slot() - 1), str(slot())]

    @pytest.mark.parametrize("phase", [28.2, 29.95, 0.001])
    def test_one_that_takes_a_slot_that_ends_takes_the_next_one_too(
        self, function: EventFunction, phase: float
    ) -> None:
        """The `Date` of OSS has no fractions, so at the end of a slot nobody knows exactly which one it is."""
        held = instance(function)
        function.go_to(phase)
        assert held.acquire()
        assert held.has_time()


def test_a_lease_whose_answer_was_lost_is_ours_if_it_has_our_nonce(function: EventFunction) -> None:
    function.go_to(5)
    answer = function.memory.answer

    def lose(method: str, place: Location, *rest: Any) -> OssResponse:
        response = answer(method, place, *rest)
        is_lost = method == "PUT" and place.key.startswith(f"{STATE}lease/")
        return function.memory.respond(500, code="InternalError") if is_lost else response

    with patch.object(function.memory, "answer", lose):
        held, other = instance(function), instance(function)
        assert (held.acquire(), other.acquire()) == (True, False)
    assert held.release()
    assert slot_names(function) == []


class TestKilledWithALease:
    @pytest.mark.parametrize("phase", [0.5, 29.9])
    def test_the_sink_is_blocked_for_47_seconds_at_most(
        self, notified: EventFunction, hook: Receiver, phase: float
    ) -> None:
        notified.go_to(phase)
        with patch.object(delivery, "send", kill), pytest.raises(Killed):
            notified.invoke(created())
        assert hook.received == []
        notified.pass_time(48)  # OSS says the time in full seconds
        assert notified.tick().summary["notices"] == 1


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_by_a_wrong_clock_a_digest_is_sent_neither_early_nor_late_and_others_at_once(
    notified: EventFunction, hook: Receiver, ahead: int
) -> None:
    """The time of day of an instance says nothing about when a notice is due."""
    wrong = notified.with_clock(notified.clock.clock()._replace(now=lambda: time.time() + ahead))
    wrong.invoke(created_at(time.time() - 1, "outbox/a.txt"))
    wrong.invoke(created_at(time.time() + 1800, "outbox/b.txt"))
    assert received_keys(hook) == Counter(["outbox/a.txt", "outbox/b.txt"])
    wrong.toml = notice(["ops"], every="1h")
    notified.pass_time(3600 - time.time() % 3600 + 1800)
    wrong.invoke(created_at(time.time(), "outbox/c.txt"))
    notified.pass_time(1740)
    assert wrong.tick().summary["notices"] == 0
    notified.pass_time(62)
    assert wrong.tick().summary["notices"] == 1


def test_by_a_wrong_clock_nothing_is_given_up_early(
    notified: EventFunction, hook: Receiver
) -> None:
    hook.default = respond(500)
    wrong = notified.with_clock(
        notified.clock.clock()._replace(now=lambda: time.time() + 4 * 86_400)
    )
    wrong.invoke(created())
    notified.pass_time(60)
    wrong.tick()
    assert (len(notified.state_names("outbox/")), len(hook.received)) == (1, 2)


def test_a_holder_that_stalls_repeats_only_the_message_before_which_it_stalled(
    function: EventFunction, hook: Receiver
) -> None:
    """Between its look at the lease and its message a minute passes, in which another instance takes over."""
    hook.default = respond(200, b'{"errcode": 0}')
    function.add_sink("ops", hook, "wecom")
    function.toml = notice(["ops"], give="share")
    config, stalls = function.config, [60]

    def stall(post: Post, network: Network, *, allow_loopback: bool) -> WebhookResponse:
        if stalls:
            function.pass_time(stalls.pop())
            function.answer(TIMER_EVENT, config)
        return client.send(post, network, allow_loopback=allow_loopback)

    with patch.object(delivery, "send", stall):
        function.invoke(
            created(*(f"outbox/f{number:06}.txt" for number in range(60))), config=config
        )
    messages = [tuple(files_in(request.body)) for request in hook.received]
    assert len({name for names in messages for name in names}) == 60
    assert len(messages) == len(set(messages)) + 1 > 2
    assert function.state_names("outbox/") == []


class TestNothingWaitsForTheNextMinute:
    """What arrives while another instance has the lease is sent by that one, before it ends."""

    def test_a_notice_that_arrives_while_a_message_is_sent(
        self, notified: EventFunction, hook: Receiver
    ) -> None:
        config = notified.config
        arrivals = [created("outbox/b.txt"), created("outbox/c.txt")]
        summaries: list[dict[str, Any]] = []

        def arrive(request: Any) -> None:
            if arrivals:
                summaries.append(notified.answer(arrivals.pop(0), config))
            respond()(request)

        hook.default = arrive
        outcome = notified.invoke(created("outbox/a.txt"), config=config)
        assert [summary["queued"] for summary in summaries] == [1, 1]
        assert outcome.summary["notices"] == 3
        assert notified.state_names("outbox/") + notified.state_names("lease/") == []

    @pytest.mark.parametrize("is_released", [False, True])
    def test_a_notice_that_arrives_while_the_lease_is_deleted(
        self, notified: EventFunction, hook: Receiver, is_released: bool
    ) -> None:
        """After that, its own instance sends it."""
        config = notified.config
        release = Lease.release
        arrivals = [created("outbox/b.txt")]

        def arrive(self: Lease) -> None:
            if is_released:
                release(self)
            if arrivals:
                summary = notified.answer(arrivals.pop(), config)
                assert (summary["notices"], summary["queued"]) == (
                    (1, 0) if is_released else (0, 1)
                )
            if not is_released:
                release(self)

        with patch.object(Lease, "release", arrive):
            outcome = notified.invoke(created("outbox/a.txt"), config=config)
        assert outcome.summary["notices"] == (1 if is_released else 2)
        assert received_keys(hook) == Counter(["outbox/a.txt", "outbox/b.txt"])


def test_the_latest_slot_is_deleted_first_and_each_once(function: EventFunction) -> None:
    function.go_to(20)
    held = instance(function)
    assert held.acquire()
    assert held.acquire()
    assert held.has_time()
    deleted: list[str] = []
    delete = OssClient.delete

    def note(self: OssClient, location: Location, **options: Any) -> OssResponse:
        deleted.append(location.key.rpartition("/")[2])
        # A second deletion could delete the lease of the next holder.
        assert options == {"retry": False}
        return delete(self, location, **options)

    with patch.object(OssClient, "delete", note):
        held.release()
    assert deleted == [str(slot() + 1), str(slot())]
