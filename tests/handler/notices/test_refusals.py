"""A message that a sink refuses is halved until the notice is found, which waits by itself; the others are sent."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.core.cloud.concurrency import THREADS
from handler.notices import session
from handler.notices.sink_queue import DEAD
from handler.notices.sinks import delivery
from handler.notices.timing import MAX_ALONE
from tests.handler.notice_fixtures import (
    STATE,
    EventFunction,
    Outcome,
    Receiver,
    Responder,
    created,
    notice,
    respond,
)

FILES = [f"file{number:02}.txt" for number in range(21)]
EVENT = created(*(f"outbox/{name}" for name in FILES))


class Refusal(NamedTuple):
    """How a service accepts and refuses a message for its content, and the code that we make of the latter."""

    kind: str
    refused: Responder
    accepted: Responder
    code: str


def answer(status: int = 200, **members: Any) -> Responder:
    return respond(status, json.dumps(members).encode())


OK = answer(errcode=0, errmsg="ok")
REFUSALS = {
    "WeCom": Refusal("wecom", answer(errcode=40058, errmsg="invalid Request Parameter"), OK, "40058"),
    "a webhook's 422": Refusal("webhook", respond(422), respond(), "status_422"),
}
ERROR = Refusal("webhook", respond(500), respond(), "status_500")  # that may be the sink's, and not the message's


@pytest.fixture(params=REFUSALS)
def refusal(request: pytest.FixtureRequest) -> Refusal:
    return REFUSALS.get(request.param, ERROR)


class PickySink:
    """A sink that refuses each message that contains a `bad` name, or more names than `limit`.

    `sent` counts the names that it accepted.
    """

    def __init__(self, function: EventFunction, hook: Receiver, refusal: Refusal, bad: list[str]) -> None:
        self.function, self.hook, self.refusal, self.bad, self.limit = function, hook, refusal, bad, 100
        self.sent: Counter[str] = Counter()
        hook.default = self._answer
        function.add_sink("ops", hook, refusal.kind)
        function.toml = notice(["ops"], give="share", every="1m")  # at a webhook, a digest

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.body.decode()  # type: ignore[attr-defined]
        names = [name for name in FILES if name in body]
        if set(names) & set(self.bad) or len(names) > self.limit:
            self.refusal.refused(request)
        else:
            self.sent.update(names)
            self.refusal.accepted(request)

    def tick(self, seconds: float = 60) -> tuple[Outcome, int]:
        """The timer fires after so much time; its outcome and the posts that it took."""
        self.function.pass_time(seconds)
        before = len(self.hook.received)
        outcome = self.function.tick()
        assert outcome.error is None
        return outcome, len(self.hook.received) - before

    def tick_until_sent(self, names: list[str], at_most: int, seconds: float = 60) -> int:
        """Fires the timer until all of these, and no others, are sent once. Returns the number of posts."""
        posts = 0
        for _ in range(at_most):
            posts += self.tick(seconds)[1]
            if len(self.sent) == len(names):
                break
        assert self.sent == Counter(names)
        return posts

    @property
    def waiting(self) -> dict[str, int]:
        """The names of the notices that wait, with the number of their failures."""
        outbox = self.function.queue()
        entries = [outbox.read(entry) for entry in outbox.first()]
        return {each.notice.key.removeprefix("outbox/"): each.tries for each in entries if each and each.notice}

    @property
    def dead(self) -> dict[str, str]:
        """The names of the dead notices, with their reasons."""
        outbox = self.function.queue()
        entries = outbox.first(DEAD)
        keys = [json.loads(self.function.read(f"{STATE}dead/ops/{entry.name}"))["key"] for entry in entries]
        return {key.removeprefix("outbox/"): outbox.reason(entry) for key, entry in zip(keys, entries, strict=True)}

    @property
    def failures(self) -> int:
        """The failures in a row that the sink's pause has, 0 without one."""
        pause = self.function.queue().pause()
        return pause.failures if pause is not None else 0


Picky = Callable[[Refusal, list[str]], PickySink]


@pytest.fixture
def picky(function: EventFunction, hook: Receiver) -> Picky:
    return lambda refusal, bad: PickySink(function, hook, refusal, bad)


@pytest.fixture(autouse=True)
def dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which notice a sink gets first after a pause is the same in each run."""
    monkeypatch.setattr(session, "random", random.Random(1))


class TestOneBadNotice:
    def test_the_others_are_sent_once_at_once_and_it_waits_by_itself(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, [FILES[10]])
        function.invoke(EVENT)
        outcome, posts = sink.tick()
        assert sink.sent == Counter(name for name in FILES if name != FILES[10])
        assert (sink.waiting, sink.dead, sink.failures) == ({FILES[10]: 1}, {}, 0)
        assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
        assert posts <= 16
        assert sink.tick(0)[1] == 0
        function.invoke(EVENT)
        assert sink.tick()[0].summary["notices"] == 0
        assert set(sink.sent.values()) == {1}
        sink.bad = []
        sink.tick_until_sent(FILES, at_most=2, seconds=120)

    def test_it_is_dead_with_the_code_after_an_hour_if_the_sink_takes_another(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, ["file00.txt"])
        function.invoke(created("outbox/file00.txt"))
        for minutes in range(1, 59, 10):
            function.invoke(created("outbox/file01.txt", etag=f"ETAG{minutes}"))
            sink.tick(600 if minutes > 1 else 60)
            assert sink.dead == {}
        assert (sink.waiting["file00.txt"], sink.sent["file01.txt"]) == (5, 6)
        function.invoke(created("outbox/file01.txt", etag="ETAG60"))
        outcome, _ = sink.tick(900)
        assert (sink.waiting, sink.dead) == ({}, {"file00.txt": refusal.code})
        assert outcome.summary["dead"] == [{"sink": "ops", "code": refusal.code, "notices": 1}]

    def test_alone_it_waits_for_days_and_pauses_nothing(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, [FILES[0]])
        function.invoke(created(f"outbox/{FILES[0]}"))
        for failures in range(1, 20):
            outcome, posts = sink.tick(3600)
            assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
            assert (posts, sink.waiting, sink.dead, sink.failures) == (1, {FILES[0]: failures}, {}, 0)

    @pytest.mark.parametrize(("refusal", "hours"), [("WeCom", 2), ("a 500", 23)], indirect=["refusal"])
    def test_neither_an_hour_without_three_tries_nor_a_server_error_before_retry_for_is_enough(
        self, function: EventFunction, picky: Picky, refusal: Refusal, hours: int
    ) -> None:
        sink = picky(refusal, [FILES[0]])
        function.invoke(EVENT)
        for failures in range(1, 4):
            sink.tick(hours * 3600)
            assert (sink.waiting, sink.dead, sink.failures) == ({FILES[0]: failures}, {}, 0)
            function.invoke(created(f"outbox/{FILES[1]}", etag=f"ETAG{failures + 1}"))
        sink.tick(hours * 3600)
        assert (sink.waiting, sink.dead) == ({}, {FILES[0]: refusal.code})


@pytest.mark.parametrize("every", [{"every": "1m"}, {}], ids=["digest", "at once"])
@pytest.mark.parametrize(
    ("bad", "ticks"),
    [(FILES[::5], 1), (FILES[:5], 2), (FILES[-15:], 20)],
    ids=["apart", "first", "most"],
)
def test_all_others_among_several_bad_notices_are_sent_once(
    function: EventFunction, picky: Picky, refusal: Refusal, every: dict[str, str], bad: list[str], ticks: int
) -> None:
    sink = picky(refusal, bad)
    function.toml = notice(["ops"], give="share", **every)
    function.invoke(EVENT)
    posts = sink.tick_until_sent([name for name in FILES if name not in bad], at_most=ticks, seconds=490)
    assert (set(sink.waiting), sink.dead) == (set(bad), {})
    assert posts <= 60


class TestASinkThatRefusesEverything:
    @pytest.mark.parametrize("refusal", ["WeCom", "a webhook's 422", "a 500"], indirect=True)
    def test_nothing_is_dead_few_messages_are_tried_and_all_arrive_once_it_is_repaired(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES)
        function.invoke(EVENT)
        sink.tick(60)
        assert len(sink.hook.received) < THREADS + 2 * MAX_ALONE
        failures = sink.failures
        for _ in range(failures + 1, 30):
            failures += 0 in sink.waiting.values()  # what failed before says nothing new
            outcome, posts = sink.tick(490)
            assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
            assert (posts, sink.failures, sink.dead, len(sink.waiting)) == (1, failures, {}, 21)
        sink.bad = []
        assert sink.tick_until_sent(FILES, at_most=3, seconds=490) <= 21
        assert (function.state_names("dead/"), sink.failures) == ([], 0)

    def test_its_pause_lasts_from_half_a_minute_to_eight(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES)
        function.invoke(EVENT)
        sink.tick()
        for seconds in (30, 60, 120, 240, 480, 480):
            before = len(sink.hook.received)
            function.pass_time(seconds - 3)
            assert function.tick().error is None
            function.invoke(created("outbox/file00.txt", etag=f"ETAG{before}"))
            assert len(sink.hook.received) == before
            function.pass_time(5)
            function.tick()
            assert len(sink.hook.received) == before + 1


@pytest.mark.parametrize("refused", [respond(500), respond(422), respond(429)], ids=[500, 422, 429])
def test_a_sink_that_takes_only_few_at_once_gets_messages_as_large_as_it_takes(
    function: EventFunction, picky: Picky, refused: Responder
) -> None:
    sink = picky(REFUSALS["a webhook's 422"]._replace(refused=refused), [])
    sink.limit = 4
    function.invoke(EVENT)
    posts = sink.tick_until_sent(FILES, at_most=6)
    assert posts <= 20
    assert sink.dead == {}


class TestAMessageThatCannotBeMade:
    @pytest.mark.parametrize("bad", [[FILES[4]], FILES[:8]], ids=["one", "several"])
    def test_its_notices_wait_by_themselves_and_pause_nothing(
        self, function: EventFunction, picky: Picky, bad: list[str]
    ) -> None:
        sink = picky(REFUSALS["WeCom"], [])
        function.invoke(EVENT)

        def fails(kind: Any, receiver: Any, message: Any, *others: Any) -> None:
            if any(each.link.path.endswith(tuple(bad)) for each in message):
                raise ZeroDivisionError
            delivery.deliver(kind, receiver, message, *others)

        with patch.object(session, "deliver", fails):
            outcome, _ = sink.tick()
        assert outcome.summary["failed"] == [{"sink": "ops", "code": "internal_error"}]
        assert sink.sent == Counter(name for name in FILES if name not in bad)
        assert (sink.waiting, sink.dead, sink.failures) == (dict.fromkeys(bad, 1), {}, 0)
        sink.tick_until_sent(FILES, at_most=1, seconds=120)
