"""A message that a sink refuses is halved until the notice is found, which waits by itself; the others are sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.core.cloud.concurrency import THREADS
from handler.notices import session
from handler.notices.sink_queue import DEAD
from handler.notices.sinks import Post, delivery
from handler.notices.sinks.client import WebhookResponse
from handler.notices.timing import MAX_ALONE
from tests.handler.notice_fixtures import Outcome, notice, record
from tests.handler.simulation import Inbox, Simulation, files_in, simulation
from tests.system import STATE

FILES = [f"f{number:06}.txt" for number in range(21)]


class Refusal(NamedTuple):
    """How a kind of sink refuses a message for its content, and the code that we make of it."""

    kind: str
    refused: WebhookResponse
    code: str


WECOM = Refusal("wecom", WebhookResponse(200, {}, b'{"errcode": 40058}', True), "40058")
WEBHOOK = Refusal("webhook", WebhookResponse(422, {}, b"", True), "status_422")
# That may be the sink's.
ERROR = Refusal("webhook", WebhookResponse(500, {}, b"", True), "status_500")
BOTH = pytest.mark.parametrize("refusal", [WECOM, WEBHOOK], ids=["WeCom", "a webhook's 422"])
ALL = pytest.mark.parametrize(
    "refusal", [WECOM, WEBHOOK, ERROR], ids=["WeCom", "a webhook's 422", "a 500"]
)


class PickySink:
    """A sink that refuses each message that contains a `bad` name, or more names than `limit`.

    `sent` counts the names that it accepted.
    """

    def __init__(self, function: Simulation, refusal: Refusal, bad: Iterable[str]) -> None:
        self.function = function
        self.refusal = refusal
        self.bad = set(bad)
        self.limit = 100
        function.toml = notice(["ops"], give="share", every="1m")
        self.inbox = function.inbox("ops", refusal.kind)
        self.inbox.trouble = self._refuse
        self.config = function.config
        self._number = 0

    def _refuse(self, inbox: Inbox, post: Post) -> WebhookResponse | None:
        names = files_in(post.body)
        return self.refusal.refused if self.bad & set(names) or len(names) > self.limit else None

    @property
    def sent(self) -> Counter[str]:
        return self.inbox.files()

    def tell(self, *names: str) -> None:
        """New objects of these names."""
        self._number += 1
        records = [record(f"outbox/{name}", etag=f"ETAG{self._number}") for name in names]
        self.function.succeed(json.dumps({"events": records}).encode(), self.config)

    def tick(self, seconds: float = 60) -> tuple[Outcome, int]:
        """The timer fires after so much time; its outcome and the posts that it took."""
        self.function.pass_time(seconds)
        before = len(self.inbox.tries)
        outcome = self.function.tick(config=self.config)
        assert outcome.error is None
        return outcome, len(self.inbox.tries) - before

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
        queue = self.function.queue()
        found = [queue.read(each) for each in queue.first()]
        return {each.notice.key.removeprefix("outbox/"): each.tries for each in found if each}

    @property
    def dead(self) -> dict[str, str]:
        """The names of the dead notices, with their reasons."""
        found = [
            json.loads(self.function.read(STATE + name))
            for name in self.function.state_names(f"{DEAD}/")
        ]
        return {each["key"].removeprefix("outbox/"): each["reason"] for each in found}

    @property
    def failures(self) -> int:
        """The failures in a row that the sink's pause has, 0 without one."""
        pause = self.function.queue().pause()
        return pause.failures if pause is not None else 0


@pytest.fixture
def picky(tmp_path: Path) -> Iterator[Callable[[Refusal, Iterable[str]], PickySink]]:
    with simulation(tmp_path) as function:
        yield lambda refusal, bad: PickySink(function, refusal, bad)


Picky = Callable[[Refusal, Iterable[str]], PickySink]


class TestOneBadNotice:
    @BOTH
    def test_the_others_are_sent_once_at_once_and_it_waits_by_itself(
        self, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, [FILES[10]])
        sink.tell(*FILES)
        outcome, posts = sink.tick()
        assert sink.sent == Counter(name for name in FILES if name != FILES[10])
        assert (sink.waiting, sink.dead, sink.failures) == ({FILES[10]: 1}, {}, 0)
        assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
        assert posts <= 16
        assert sink.tick(0)[1] == 0
        sink.bad = set()
        sink.tick_until_sent(FILES, at_most=2, seconds=120)

    @BOTH
    def test_it_is_dead_with_the_code_after_an_hour_if_the_sink_takes_another(
        self, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES[:1])
        sink.tell(FILES[0])
        for minutes in range(1, 59, 10):
            sink.tell(FILES[1])
            sink.tick(600 if minutes > 1 else 60)
            assert sink.dead == {}
        assert (sink.waiting[FILES[0]], sink.sent[FILES[1]]) == (5, 6)
        sink.tell(FILES[1])
        outcome, _ = sink.tick(900)
        assert (sink.waiting, sink.dead) == ({}, {FILES[0]: refusal.code})
        assert outcome.summary["dead"] == [{"sink": "ops", "code": refusal.code, "notices": 1}]

    def test_alone_it_waits_for_days_and_pauses_nothing(self, picky: Picky) -> None:
        sink = picky(WEBHOOK, FILES[:1])
        sink.tell(FILES[0])
        for failures in range(1, 20):
            outcome, posts = sink.tick(3600)
            assert outcome.summary["failed"] == [{"sink": "ops", "code": "status_422"}]
            assert (posts, sink.waiting, sink.dead, sink.failures) == (
                1,
                {FILES[0]: failures},
                {},
                0,
            )

    @pytest.mark.parametrize(
        ("refusal", "hours"), [(WECOM, 2), (ERROR, 23)], ids=["WeCom", "a 500"]
    )
    def test_neither_an_hour_without_three_tries_nor_a_server_error_before_retry_for_is_enough(
        self, picky: Picky, refusal: Refusal, hours: int
    ) -> None:
        sink = picky(refusal, FILES[:1])
        sink.tell(*FILES)
        for failures in range(1, 4):
            sink.tick(hours * 3600)
            assert (sink.waiting, sink.dead, sink.failures) == ({FILES[0]: failures}, {}, 0)
            sink.tell(FILES[1])
        sink.tick(hours * 3600)
        assert (sink.waiting, sink.dead) == ({}, {FILES[0]: refusal.code})


@pytest.mark.parametrize(
    ("refusal", "rule"),
    [(WECOM, {"give": "share"}), (WEBHOOK, {"every": "1m"}), (WEBHOOK, {})],
    ids=["WeCom", "a digest", "one by one"],
)
@pytest.mark.parametrize(
    ("bad", "ticks"),
    [(FILES[::5], 1), (FILES[:5], 2), (FILES[-15:], 20)],
    ids=["apart", "first", "most"],
)
def test_all_others_among_several_bad_notices_are_sent_once(
    picky: Picky, refusal: Refusal, rule: dict[str, str], bad: list[str], ticks: int
) -> None:
    sink = picky(refusal, bad)
    sink.function.toml = notice(["ops"], **rule)
    sink.config = sink.function.config
    sink.tell(*FILES)
    posts = sink.tick_until_sent(
        [name for name in FILES if name not in bad], at_most=ticks, seconds=490
    )
    assert (set(sink.waiting), sink.dead) == (set(bad), {})
    assert posts <= 60


def test_one_that_fails_for_two_reasons_by_turns_waits_longer_and_longer(picky: Picky) -> None:
    """Its refusals in a row are counted apart: none makes it dead."""
    sink = picky(WEBHOOK, [])
    posts = 0

    def refuse_by_turns(inbox: Inbox, post: Post) -> WebhookResponse | None:
        nonlocal posts
        if FILES[0] not in files_in(post.body):
            return None
        posts += 1
        return (WEBHOOK, ERROR)[posts % 2].refused

    sink.inbox.trouble = refuse_by_turns
    sink.tell(FILES[0])
    for _ in range(180):
        sink.tell(FILES[1])
        sink.tick()
    assert 10 < posts < 20
    assert (set(sink.waiting), sink.dead) == ({FILES[0]}, {})


class TestASinkThatRefusesEverything:
    @ALL
    def test_nothing_is_dead_few_messages_are_tried_and_all_arrive_once_it_is_repaired(
        self, picky: Picky, refusal: Refusal
    ) -> None:
        sink = picky(refusal, FILES)
        sink.tell(*FILES)
        sink.tick(60)
        assert len(sink.inbox.tries) < THREADS + 2 * MAX_ALONE
        failures = sink.failures
        for _ in range(failures + 1, 15):
            failures += 0 in sink.waiting.values()  # what failed before says nothing new
            outcome, posts = sink.tick(490)
            assert outcome.summary["failed"] == [{"sink": "ops", "code": refusal.code}]
            assert (posts, sink.failures, sink.dead, len(sink.waiting)) == (1, failures, {}, 21)
        sink.bad = set()
        assert sink.tick_until_sent(FILES, at_most=3, seconds=490) <= 21
        assert (sink.dead, sink.failures) == ({}, 0)

    def test_its_pause_lasts_from_half_a_minute_to_eight(self, picky: Picky) -> None:
        sink = picky(WECOM, FILES)
        sink.tell(*FILES)
        sink.tick()
        for seconds in (30, 60, 120, 240, 480, 480):
            assert sink.tick(seconds - 3)[1] == 0
            sink.tell(FILES[0])
            assert sink.tick(5)[1] == 1


@pytest.mark.parametrize("status", [500, 422, 429])
def test_a_sink_that_takes_only_few_at_once_gets_messages_as_large_as_it_takes(
    picky: Picky, status: int
) -> None:
    sink = picky(WEBHOOK._replace(refused=WebhookResponse(status, {}, b"", True)), [])
    sink.limit = 4
    sink.tell(*FILES)
    assert sink.tick_until_sent(FILES, at_most=6) <= 20
    assert sink.dead == {}


@pytest.mark.parametrize("bad", [FILES[4:5], FILES[:8]], ids=["one", "several"])
def test_notices_of_which_no_message_can_be_made_wait_by_themselves_and_pause_nothing(
    picky: Picky, bad: list[str]
) -> None:
    sink = picky(WECOM, [])
    sink.tell(*FILES)

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
