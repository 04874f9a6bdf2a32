"""A message that a sink refuses for its content is split until the one notice is found; the others are told."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.cloud.oss import THREADS
from handler.notices import holding
from handler.notices.holding import MAX_PROBES
from handler.notices.outbox import DEAD, Outbox
from handler.notices.sinks import delivery
from tests.handler.notice_fixtures import (
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
CARD_OK = answer(code=0, msg="success")
REFUSALS = {
    "WeCom": Refusal("wecom", answer(errcode=40058, errmsg="invalid Request Parameter"), OK, "40058"),
    "DingTalk": Refusal("dingtalk", answer(errcode=460101, errmsg="message too long"), OK, "460101"),
    "DingTalk's keyword": Refusal("dingtalk", answer(errcode=310000, errmsg="keywords not in content"), OK, "310000"),
    "Feishu": Refusal("feishu", answer(code=11246, msg="content invalid"), CARD_OK, "11246"),
    "Feishu's 400": Refusal("feishu", answer(400, code=9499, msg="Bad Request"), CARD_OK, "status_400"),
    "Slack": Refusal("slack", respond(400, b"invalid_blocks"), respond(200, b"ok"), "invalid_blocks"),
    "a webhook's 422": Refusal("webhook", respond(422), respond(), "status_422"),
    "a webhook's 413": Refusal("webhook", respond(413), respond(), "status_413"),
}


# One robot that says so in a 200, one in a 400, and a webhook; the others differ in their first test.
typical = pytest.mark.parametrize("refusal", ["WeCom", "Feishu's 400", "a webhook's 422"], indirect=True)


@pytest.fixture(params=REFUSALS)
def refusal(request: pytest.FixtureRequest) -> Refusal:
    return REFUSALS[request.param]


class PickySink:
    """A sink that refuses each message that contains a `bad` name. `told` counts the names that it accepted."""

    def __init__(self, function: EventFunction, hook: Receiver, refusal: Refusal, bad: list[str]) -> None:
        self.function, self.hook, self.refusal, self.bad = function, hook, refusal, bad
        self.told: Counter[str] = Counter()
        hook.default = self._answer
        function.add_sink("ops", hook, refusal.kind)
        function.toml = notice(["ops"], give="share", every="1m")  # at a webhook, a digest

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        # The signature among the headers tells requests of the same time apart.
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = next(each.body.decode() for each in reversed(self.hook.received) if each.headers == headers)
        names = [name for name in FILES if name in body]
        if set(names) & set(self.bad):
            self.refusal.refused(request)
        else:
            self.told.update(names)
            self.refusal.accepted(request)

    def hold(self) -> tuple[Outcome, int]:
        """The timer fires when no lease is left; its outcome and the posts that it took."""
        self.function.pass_time(60)
        before = len(self.hook.received)
        outcome = self.function.tick()
        assert outcome.error is None
        return outcome, len(self.hook.received) - before

    def hold_until_done(self, at_most: int) -> int:
        """Fires the timer until nothing waits. Returns the number of posts."""
        posts = 0
        for _ in range(at_most):
            if not self.function.state_names("outbox/"):
                break
            posts += self.hold()[1]
        assert self.function.state_names("outbox/") == []
        return posts

    @property
    def dead(self) -> dict[str, str]:
        """The names of the dead notices, with their reasons."""
        outbox = Outbox(self.function.state())
        entries = outbox.entries("ops", DEAD)
        keys = [json.loads(outbox.read(entry, DEAD) or b"{}")["key"] for entry in entries]
        return {key.removeprefix("outbox/"): outbox.reason(entry) for key, entry in zip(keys, entries, strict=True)}


Picky = Callable[[Refusal, list[str]], PickySink]


@pytest.fixture
def picky(function: EventFunction, hook: Receiver) -> Picky:
    return lambda refusal, bad: PickySink(function, hook, refusal, bad)


@pytest.fixture(autouse=True)
def dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which notices a sink is asked with is the same in each run."""
    monkeypatch.setattr(holding, "sample", random.Random(1).sample)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Decides which notice a sink is asked with first."""

    def choose(place: int) -> None:
        monkeypatch.setattr(holding, "sample", lambda items, count: [*items[place:], *items[:place]][:count])

    return choose


class TestOneBadNotice:
    def test_the_others_are_told_once_and_it_is_dead_with_the_code(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, [FILES[10]])
        function.invoke(EVENT)
        _, posts = sink.hold()
        assert sink.told == Counter(name for name in FILES if name != FILES[10])
        assert sink.dead == {FILES[10]: refusal.code}
        assert function.state_names("outbox/") == []
        assert posts <= 16
        assert sink.hold()[1] == 0

    @typical
    def test_that_it_is_chosen_first_changes_nothing(
        self, function: EventFunction, picky: Picky, refusal: Refusal, chosen: Callable[[int], None]
    ) -> None:
        sink = picky(refusal, [FILES[0]])
        chosen(0)
        function.invoke(EVENT)
        sink.hold()
        assert sink.told == Counter(FILES[1:])
        assert sink.dead == {FILES[0]: refusal.code}

    @typical
    def test_alone_it_waits_until_the_sink_takes_another(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, ["file00.txt"])
        function.invoke(created("outbox/file00.txt"))
        for _ in range(3):
            outcome, posts = sink.hold()
            assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
            assert posts == 1
        assert sink.dead == {}
        function.invoke(created("outbox/file01.txt"))
        sink.hold()
        assert (dict(sink.told), sink.dead) == ({"file01.txt": 1}, {"file00.txt": refusal.code})

    @typical
    def test_the_same_event_again_tells_nobody_twice(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, [FILES[3]])
        function.invoke(EVENT)
        sink.hold()
        function.invoke(EVENT)
        for _ in range(3):
            sink.hold()
        assert set(sink.told.values()) == {1}


class TestSeveralBadNotices:
    @typical
    @pytest.mark.parametrize(
        "bad", [FILES[5:7], FILES[::5], FILES[:5], FILES[-5:]], ids=["two", "apart", "first", "last"]
    )
    def test_all_others_are_told_once(
        self, function: EventFunction, picky: Picky, refusal: Refusal, bad: list[str]
    ) -> None:
        sink = picky(refusal, bad)
        function.invoke(EVENT)
        posts = sink.hold_until_done(4)
        assert sink.told == Counter(name for name in FILES if name not in bad)
        assert sink.dead == dict.fromkeys(bad, refusal.code)
        assert posts <= 60

    @pytest.mark.parametrize("kind", ["WeCom", "a webhook's 422"])
    def test_a_few_good_notices_among_many_bad_ones_are_found(
        self, function: EventFunction, picky: Picky, kind: str
    ) -> None:
        sink = picky(REFUSALS[kind], FILES[:15])
        function.invoke(EVENT)
        sink.hold_until_done(30)
        assert sink.told == Counter(FILES[15:])
        assert sink.dead == dict.fromkeys(FILES[:15], REFUSALS[kind].code)

    @pytest.mark.parametrize("bad", [1, 5, 15])
    @pytest.mark.parametrize("first", [True, False])
    def test_notices_that_a_webhook_gets_one_by_one(
        self, function: EventFunction, picky: Picky, bad: int, first: bool
    ) -> None:
        """However many bad ones come before a good one."""
        names = FILES[:bad] if first else FILES[-bad:]
        sink = picky(REFUSALS["a webhook's 422"], names)
        function.toml = notice(["ops"])
        function.invoke(EVENT)
        sink.hold_until_done(10)
        assert sink.told == Counter(name for name in FILES if name not in names)
        assert sink.dead == dict.fromkeys(names, "status_422")


class TestASinkThatRefusesEverything:
    @typical
    def test_nothing_is_dead_few_messages_are_tried_and_all_arrive_once_it_is_mended(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES)
        function.invoke(EVENT)
        for _ in range(3):
            outcome, posts = sink.hold()
            assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
            assert 0 < posts <= 12
        assert sink.dead == {}
        assert len(function.state_names("outbox/")) == 21
        sink.bad = []
        _, posts = sink.hold()
        assert sink.told == Counter(FILES)
        assert posts <= 3
        assert function.state_names("dead/") == []

    def test_a_webhook_that_gets_them_one_by_one(self, function: EventFunction, picky: Picky) -> None:
        sink = picky(REFUSALS["a webhook's 422"], FILES)
        function.toml = notice(["ops"])
        function.invoke(EVENT)
        for _ in range(3):
            assert 0 < sink.hold()[1] <= THREADS + MAX_PROBES
        assert sink.dead == {}
        sink.bad = []
        sink.hold()
        assert sink.told == Counter(FILES)

    @typical
    def test_its_lease_is_the_pause_before_the_next_try(
        self, function: EventFunction, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES)
        function.invoke(EVENT)
        sink.hold()
        before = len(sink.hook.received)
        function.tick()
        function.invoke(created("outbox/file00.txt", etag="ETAG2"))
        assert len(sink.hook.received) == before

    def test_a_notice_whose_message_cannot_be_made_is_dead_like_one_that_is_refused(
        self, function: EventFunction, picky: Picky
    ) -> None:
        sink = picky(REFUSALS["WeCom"], [])
        function.invoke(EVENT)

        def fails(kind: Any, receiver: Any, message_id: str, notifications: Any, **options: Any) -> None:
            if any(each.name == FILES[4] for each in notifications):
                raise ZeroDivisionError
            delivery.deliver(kind, receiver, message_id, notifications, **options)

        with patch.object(holding, "deliver", fails):
            sink.hold()
        assert sink.dead == {FILES[4]: "internal_error"}
        assert sink.told == Counter(name for name in FILES if name != FILES[4])
