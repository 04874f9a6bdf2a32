"""What a session with a sink does with its time: which notices it tries, and whom it blames for a failure.

A sink or a notice that fails keeps no other waiting, and costs little.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from handler.core.cloud.lease import Lease
from handler.core.cloud.oss import UNREACHABLE, OssClient, OssResponse, OssUnavailable, StoreError
from handler.core.cloud.store import Store
from handler.core.config import Config, Location
from handler.core.outbox import NO_LINK, REFUSED, Delivery
from handler.notices import timing
from handler.notices.session import sort_due
from handler.notices.sink_queue import Pause
from handler.notices.sinks import Post
from handler.notices.sinks.client import NoResponse, WebhookResponse
from handler.notices.timing import TRY
from signer.times import rfc3339
from tests.handler.notice_fixtures import TIMER_EVENT, notice, record
from tests.handler.simulation import (
    HOUR,
    MINUTE,
    Inbox,
    Simulation,
    Trouble,
    answers,
    fails,
    files_in,
    hangs,
    most_within,
    refuses,
    simulation,
    use_pages_of,
)
from tests.system import STATE
from tests.virtual_time import Process

# Of each robot, as its service documents it: so many messages in so many seconds.
LIMITS = {
    "dingtalk": [(20, 60.0)],
    "wecom": [(20, 60.0)],
    "feishu": [(100, 60.0), (5, 1.0)],
    "slack": [(1, 1.0)],
}
ROUNDED = 0.001  # seconds
IDLE_TICK = 2  # requests to OSS
FAR = '\n[[mount]]\npath = "/far/"\ntarget = "oss://examplebucket/far/"\ncheck = true\nmax_share = "30d"\n'


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Simulation]:
    with simulation(tmp_path) as started:
        started.toml = notice(["ops"])
        yield started


def ticks(function: Simulation, config: Config, number: int) -> None:
    """So many ticks of the timer, each at the beginning of a minute or when the last one has ended."""
    for _ in range(number):
        function.wait_until((time.time() // MINUTE + 1) * MINUTE + 2)
        function.succeed(TIMER_EVENT, config)


@pytest.fixture
def slow_oss(function: Simulation, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Each request takes a number of seconds between these two."""
    bounds = [0.0, 0.0]
    request = OssClient.request
    dice = random.Random(1)

    def slow(client: OssClient, *asked: Any, **options: Any) -> OssResponse:
        function.world.wait(dice.uniform(*bounds))
        return request(client, *asked, **options)

    monkeypatch.setattr(OssClient, "request", slow)
    return bounds


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Prefixes that OSS lets nobody look at."""
    prefixes, request = {"far/"}, OssClient.request

    def forbid(client: OssClient, method: str, location: Location, **options: Any) -> OssResponse:
        if location.key.startswith(tuple(prefixes)):
            return OssResponse(403, {}, b"", "AccessDenied")
        return request(client, method, location, **options)

    monkeypatch.setattr(OssClient, "request", forbid)
    return prefixes


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Objects below far/cold/ must be restored first; while it has a word, nobody can look at any."""
    troubles, head = set[str](), OssClient.head

    def look(client: OssClient, location: Location, *query: Any) -> OssResponse:
        response = head(client, location, *query)
        if troubles:
            return OssResponse(503, response.headers, b"", "ServiceUnavailable")
        if location.key.startswith("far/cold/"):
            cold = {**response.headers, "x-oss-storage-class": "Archive"}
            return response._replace(headers=cold)
        return response

    monkeypatch.setattr(OssClient, "head", look)
    return troubles


class TestTime:
    @pytest.mark.parametrize(("every", "give"), [("1m", "share"), (None, "link")])
    def test_600_notices_are_sent_within_a_few_ticks_while_oss_takes_a_second(
        self, function: Simulation, slow_oss: list[float], every: str | None, give: str
    ) -> None:
        function.toml = notice(["ops"], give=give, **({"every": every} if every else {}))
        inbox, config = function.inbox("ops", "webhook"), function.config
        function.succeed(function.upload(600), config)
        slow_oss[:] = 0.6, 1.0
        for _ in range(8):
            began = time.time()
            ticks(function, config, 1)
            assert time.time() - began < 3 * MINUTE
        assert sorted(inbox.files().elements()) == function.uploaded

    def test_marks_end_before_the_function_where_oss_takes_three_or_four_seconds(
        self, function: Simulation, slow_oss: list[float]
    ) -> None:
        function.toml = notice(["ops"], every="1m")
        inbox, config = function.inbox("ops", "webhook"), function.config
        function.succeed(function.upload(100), config)
        slow_oss[:] = 3.0, 4.0
        for _ in range(15):
            function.wait_until((time.time() // MINUTE + 1) * MINUTE + 2)
            began = time.time()
            function.succeed(TIMER_EVENT, config)
            assert time.time() - began < 120
        assert sorted(inbox.files().elements()) == function.uploaded

    def test_shares_are_sent_while_oss_takes_one_to_five_seconds_a_request(
        self, function: Simulation, slow_oss: list[float]
    ) -> None:
        """Each needs four or five requests, a mark two."""
        function.toml = notice(["ops"], give="share", every="1m")
        inbox, config = function.inbox("ops", "webhook"), function.config
        function.succeed(function.upload(200), config)
        slow_oss[:] = 1.0, 5.0
        end = time.time() + 20 * MINUTE
        while time.time() < end:
            began = time.time()
            ticks(function, config, 1)
            assert time.time() - began < 3 * MINUTE
        assert inbox.files().total() >= 100
        assert max(inbox.files().values()) == 1

    def test_a_digest_begins_with_25_notices_and_doubles_with_each_success(
        self, function: Simulation
    ) -> None:
        """Each time, at a receiver that takes 0.2 s for a notice: no message takes longer than a try may."""
        function.toml = notice(["ops"], every="5m")
        inbox, sizes = function.inbox("ops", "webhook"), list[int]()

        def slowly(inbox: Inbox, post: Post) -> None:
            sizes.append(len(files_in(post.body)))
            function.pass_time(min(0.14 * sizes[-1], TRY))
            if 0.14 * sizes[-1] > TRY:
                raise NoResponse("too_slow")

        inbox.trouble, config = slowly, function.config
        for _ in range(3):
            sizes.clear()
            function.succeed(function.upload(175), config)
            function.pass_minutes(6, config, uploads=False)
            assert sizes == [25, 50, 100]
        assert sorted(inbox.files().elements()) == function.uploaded

    def test_a_webhook_that_takes_a_second_gets_eight_messages_at_a_time(
        self, function: Simulation
    ) -> None:
        inbox = function.inbox("ops", "webhook")
        config = function.config
        began = time.time()
        inbox.trouble = lambda inbox, post: inbox.clock.sleep(1.0)
        function.world.latency = 0.02
        function.succeed(function.upload(300), config, timeout=70)
        assert time.time() - began < 300 / 8 * 1.5
        function.pass_minutes(1, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded

    @pytest.mark.parametrize("kind", LIMITS)
    def test_instances_at_the_same_time_keep_the_pace_of_a_robot_together(
        self, function: Simulation, kind: str
    ) -> None:
        inbox, config = function.inbox("ops", kind), function.config
        inbox.delays = [2.0]  # a message that arrives late does not come closer to the next
        events = [function.upload() for _ in range(40)]

        def instance(number: int) -> None:
            for event in events[number::4]:
                function.answer(event, config)

        function.at_once([partial(instance, number) for number in range(4)])
        function.pass_minutes(1, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded
        for limit, seconds in LIMITS[kind]:
            assert most_within(seconds - ROUNDED, inbox.tries) <= limit


class TestChoice:
    def test_what_failed_at_the_sink_does_not_wait_for_a_mount_whose_links_fail(
        self, function: Simulation, forbidden: set[str]
    ) -> None:
        """The mount gets ten objects a minute, and nobody can look at them; the notice met two errors."""
        function.toml = FAR + notice(["ops"]) + notice(["ops"], mount="/far/")
        inbox, config = function.inbox("ops", "webhook"), function.config
        inbox.trouble = lambda inbox, post: fails(inbox, post) if len(inbox.tries) <= 2 else None
        function.start_at(5)
        for minute in range(30):
            if minute == 15:
                function.succeed(function.upload(), config)
            now = rfc3339(time.time())
            far = [record(f"far/{minute}-{number}.txt", eventTime=now) for number in range(10)]
            function.succeed(json.dumps({"events": far}).encode(), config)
            function.wait_until((time.time() // MINUTE + 1) * MINUTE + 5)
            function.succeed(TIMER_EVENT, config)
        assert list(inbox.files().elements()) == function.uploaded
        assert inbox.accepted[0].at - inbox.tries[0] < 5 * MINUTE

    def test_healthy_ones_are_chosen_among_many_whose_objects_have_no_link(
        self, function: Simulation, archive: set[str]
    ) -> None:
        """The region could not be reached for three minutes, and each minute ten archived objects arrive."""
        function.toml = FAR + notice(["ops"], mount="/far/")
        inbox, config = function.inbox("ops", "webhook"), function.config
        healthy = [f"far/f{number:06}.txt" for number in range(5)]
        function.fill(dict.fromkeys(healthy, b"content"))
        function.start_at(5)
        began = time.time()
        archive.add("unreachable")
        for minute in range(60):
            if minute == 3:
                archive.clear()
            now = rfc3339(time.time())
            cold = [f"far/cold/{minute}-{number}.apk" for number in range(10)]
            function.fill(dict.fromkeys(cold, b"content"))
            keys = [*cold, *(healthy if minute == 0 else ())]
            records = [record(key, eventTime=now) for key in keys]
            function.succeed(json.dumps({"events": records}).encode(), config)
            function.wait_until((time.time() // MINUTE + 1) * MINUTE + 5)
            function.succeed(TIMER_EVENT, config)
        sent = [json.loads(message.body)["data"]["key"] for message in inbox.accepted]
        assert sorted(sent) == healthy
        assert inbox.accepted[-1].at - began < 15 * MINUTE

    def test_of_many_objects_without_a_link_each_session_looks_at_few(
        self, function: Simulation, archive: set[str]
    ) -> None:
        function.toml = FAR + notice(["ops"], mount="/far/")
        function.inbox("ops", "webhook")
        config = function.config
        records = [record(f"far/cold/{number}.apk") for number in range(300)]
        function.fill({f"far/cold/{number}.apk": b"content" for number in range(300)})
        function.succeed(json.dumps({"events": records}).encode(), config)
        function.pass_time(20 * MINUTE)
        function.memory.calls.clear()
        function.succeed(TIMER_EVENT, config)
        assert function.memory.calls["HeadObject"] == 50

    def test_what_failed_before_is_in_no_message_with_what_did_not(
        self, function: Simulation
    ) -> None:
        function.toml = notice(["ops"], every="1m")
        inbox, mixed = function.inbox("ops", "webhook"), list[list[str]]()

        def fail(inbox: Inbox, post: Post) -> WebhookResponse | None:
            files = files_in(post.body)
            if len(inbox.tries) > 8 and "f000000.txt" in files and len(files) > 1:
                mixed.append(files)
            return answers(500, "f000000.txt")(inbox, post)

        inbox.trouble, config = fail, function.config
        function.succeed(function.upload(5), config)
        function.pass_minutes(2, config, uploads=False)
        for _ in range(30):
            function.succeed(function.upload(5), config)
            function.pass_minutes(1, config, uploads=False)
        assert mixed == []
        assert len(inbox.tries) > 36


class TestBlame:
    def test_what_failed_for_longer_than_retry_for_is_dead_and_the_younger_arrives(
        self, function: Simulation
    ) -> None:
        inbox, config = function.inbox("ops", "webhook", retry_for="1h"), function.config
        inbox.trouble = fails
        function.pass_minutes(75, config)
        assert 7 <= len(function.state_names("dead/")) <= 15  # the sink is asked each eight minutes
        inbox.trouble = None
        function.pass_minutes(30, config)
        dead = [json.loads(function.read(STATE + name)) for name in function.state_names("dead/")]
        assert {entry["reason"] for entry in dead} == {"status_500"}
        names = [entry["key"].removeprefix("outbox/") for entry in dead]
        assert set(names) <= set(function.uploaded[:20])
        assert sorted([*names, *inbox.files().elements()]) == function.uploaded

    @pytest.mark.parametrize("trouble", ["403", "reset"])
    def test_a_name_that_brings_a_quiet_sink_down_delays_few_others(
        self, function: Simulation, trouble: str
    ) -> None:
        """Six hours with another upload about each ten minutes."""
        inbox = function.inbox("ops", "webhook")
        config = function.config
        dice = random.Random(3)

        def firewall(inbox: Inbox, post: Post) -> WebhookResponse | None:
            if trouble == "reset" and "f000000.txt" in files_in(post.body):
                raise NoResponse("no_answer")
            return answers(403, "f000000.txt")(inbox, post)

        inbox.trouble = firewall
        function.start_at(1)
        function.succeed(function.upload(), config)
        uploaded, began = dict[str, float](), time.time()
        upload, tick = began + dice.uniform(0, 1200), (began // MINUTE + 1) * MINUTE + 2
        while time.time() < began + 6 * HOUR:
            function.wait_until(min(upload, tick))
            if upload < tick:
                function.succeed(function.upload(), config)
                uploaded[function.uploaded[-1]] = upload
                upload += dice.uniform(0, 1200)
            else:
                function.succeed(TIMER_EVENT, config)
                tick += MINUTE
        delays = [
            message.at - uploaded[name] for message in inbox.accepted for name in message.files
        ]
        assert len(delays) > 30
        assert max(delays) < MINUTE
        # That name waits by itself, 15 minutes in the end.
        assert len(inbox.tries) - len(inbox.accepted) < 50

    def test_only_what_was_refused_four_times_dies_by_a_refusal(
        self, function: Simulation, forbidden: set[str]
    ) -> None:
        """OSS could not be asked for 70 minutes; then one of two pods refuses everything for ten seconds."""
        function.toml = FAR + notice(["ops"], mount="/far/")
        inbox, config = function.inbox("ops", "webhook"), function.config
        function.succeed(
            json.dumps({"events": [record(f"far/f{n:06}.txt") for n in range(20)]}).encode(), config
        )
        function.pass_minutes(70, config, uploads=False)
        assert inbox.tries == []
        function.fill({f"far/f{number:06}.txt": b"content" for number in range(20)})
        forbidden.clear()
        forbidden.add("nothing/")

        def one_refuses(inbox: Inbox, post: Post) -> WebhookResponse | None:
            return (
                WebhookResponse(400, {}, b"", True)
                if len(inbox.tries) % 2 and len(inbox.tries) < 20
                else None
            )

        inbox.trouble = one_refuses
        function.pass_minutes(90, config, uploads=False)
        assert function.state_names("dead/") == []
        assert len(inbox.accepted) == 20


class TestReceivers:
    def test_a_digest_reaches_a_receiver_that_takes_six_seconds_for_each_notice(
        self, function: Simulation
    ) -> None:
        function.toml = notice(["ops"], every="1m")
        inbox = function.inbox("ops", "webhook")

        def slowly(inbox: Inbox, post: Post) -> None:
            taken = 6.0 * len(files_in(post.body))
            function.pass_time(min(taken, TRY))
            if taken > TRY:
                raise NoResponse("too_slow")

        inbox.trouble = slowly
        config = function.config
        function.succeed(function.upload(30), config)
        function.pass_minutes(40, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded
        assert function.state_names("dead/") == []

    def test_a_healthy_sink_is_notified_while_three_others_hang(self, function: Simulation) -> None:
        names = ["a", "b", "ops", "z"]
        function.toml = notice(names)
        inboxes = {name: function.inbox(name, "webhook") for name in names}
        for name in {*names} - {"ops"}:
            inboxes[name].trouble = hangs
        began = time.time()
        outcome = function.succeed(function.upload(), function.config)
        assert [failure["sink"] for failure in outcome.summary["failed"]] == ["a", "b", "z"]
        assert [message.at - began < 1 for message in inboxes["ops"].accepted] == [True]

    def test_a_page_of_notices_that_it_refuses_hides_no_other(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_pages_of(50, monkeypatch)
        inbox, config = function.inbox("ops", "webhook"), function.config
        refused = function.upload(55)
        inbox.trouble = answers(422, *function.uploaded)
        function.succeed(refused, config)
        function.pass_minutes(10, config)
        assert sorted(inbox.files().elements()) == function.uploaded[55:]

    def test_a_sink_that_was_paused_just_before_the_lease_gets_nothing(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another instance had it when this one looked at the pause."""
        inbox, acquire = function.inbox("ops", "webhook"), Lease.acquire

        def pause_and_acquire(lease: Lease) -> bool:
            pause = Pause(until=int(time.time()) + MINUTE, failures=1)
            function.queue().put_pause(pause)
            return acquire(lease)

        monkeypatch.setattr(Lease, "acquire", pause_and_acquire)
        function.succeed(function.upload(), function.config)
        assert inbox.tries == []
        assert function.state_names("lease/") == []
        monkeypatch.undo()
        function.pass_minutes(3, function.config, uploads=False)
        assert list(inbox.files().elements()) == function.uploaded

    def test_a_holder_that_stalled_past_its_lease_pauses_no_sink(
        self, function: Simulation
    ) -> None:
        inbox = function.inbox("ops", "webhook")
        config = function.config

        def stall(inbox: Inbox, post: Post) -> WebhookResponse:
            inbox.trouble = None
            function.pass_time(MINUTE)
            function.answer(TIMER_EVENT, config)
            raise NoResponse("too_slow")

        inbox.trouble = stall
        function.invoke(function.upload(), config=config)
        assert list(inbox.files().elements()) == function.uploaded
        assert function.state_names("pause/") == []


class TestRequests:
    @pytest.mark.parametrize(
        ("trouble", "uploads", "at_most"), [(refuses, False, 228), (fails, True, 340)]
    )
    def test_a_sink_that_is_down_costs_few_requests_an_hour(
        self, function: Simulation, trouble: Trouble, uploads: bool, at_most: int
    ) -> None:
        function.toml = notice(["ops"], give="share")
        inbox = function.inbox("ops", "webhook")
        inbox.trouble = trouble
        config = function.config
        function.pass_minutes(HOUR // MINUTE, config)
        function.memory.calls.clear()
        function.pass_minutes(HOUR // MINUTE, config, uploads=uploads)
        assert function.memory.calls.total() <= at_most + IDLE_TICK * 60


class TestMounts:
    @pytest.mark.parametrize("number", [1, 125])
    def test_a_region_that_cannot_be_reached_hides_nothing(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """Also where its notices fill two pages, and more than those of which links are made at a time."""
        use_pages_of(50, monkeypatch)
        monkeypatch.setattr(timing, "LINKS", 25)
        function.toml = FAR + notice(["ops"], mount="/far/") + notice(["ops"])
        inbox = function.inbox("ops", "webhook")
        config = function.config
        request = OssClient.request

        def unreachable(
            client: OssClient, method: str, location: Location, **options: Any
        ) -> OssResponse:
            if location.key.startswith("far/"):
                function.memory.calls["far"] += 1
                function.pass_time(3)
                raise OssUnavailable("")
            return request(client, method, location, **options)

        monkeypatch.setattr(OssClient, "request", unreachable)
        events = [record(f"far/{number}") for number in range(number)]
        pause = {"until": int(time.time()) + 30, "failures": 1}  # while they arrive
        function.put(f"{STATE}pause/ops", json.dumps(pause).encode())
        function.succeed(json.dumps({"events": events}).encode(), config)
        function.succeed(function.upload(5), config)
        function.memory.calls.clear()
        function.pass_minutes(2, config, uploads=False)
        assert sorted(inbox.files().elements()) == function.uploaded
        function.pass_minutes(13, config, uploads=False)
        assert function.memory.calls.total() <= 720
        assert len(function.state_names("outbox/")) == number
        monkeypatch.setattr(OssClient, "request", request)
        function.fill({f"far/{place}": b"content" for place in range(number)})
        function.pass_minutes(30, config, uploads=False)
        assert function.state_names("outbox/") == function.state_names("dead/") == []

    def test_what_waited_for_a_mount_is_sent_once_it_is_back(self, function: Simulation) -> None:
        """Although to make the links of all takes longer than an invocation."""
        inbox, world = function.inbox("ops", "webhook"), function.world
        function.toml = FAR + notice(["ops"], mount="/far/", every="1m")
        function.fill({f"far/{number}": b"content" for number in range(300)})
        records = [record(f"far/{number}") for number in range(300)]
        function.succeed(json.dumps({"events": records}).encode(), function.config)
        function.toml = notice(["ops"])  # a mistake
        function.pass_minutes(2, function.config, uploads=False)
        function.toml = FAR + notice(["ops"])
        config = function.config
        world.latency = 0.65  # of each of three ways, at most
        for minute in range(20):
            world.start(
                Process(world),
                partial(function.answer, TIMER_EVENT, config),
                after=MINUTE * (minute + 2),
            )
        world.run()
        assert sum(message.body.count(b'"key"') for message in inbox.accepted) == 300

    def test_marks_that_fail_for_seconds_kill_nothing_that_waited_for_days(
        self, function: Simulation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inbox = function.inbox("ops", "webhook", retry_for="1h")
        inbox.trouble = refuses
        config = function.config
        function.succeed(function.upload(50), config)
        function.pass_time(HOUR * 2)
        inbox.trouble = None
        until = time.time() + 40
        replace = Store.replace

        def refuse_marks(store: Store, name: str, body: bytes) -> None:
            if name.startswith("done/") and name != "done/probe" and time.time() < until:
                raise StoreError("PutObject", 503, UNREACHABLE, "")
            replace(store, name, body)

        monkeypatch.setattr(Store, "replace", refuse_marks)
        function.pass_minutes(5, config, uploads=False)
        assert (sorted(inbox.files()), function.state_names("dead/")) == (function.uploaded, [])


class TestLargeEvents:
    def test_an_event_that_cannot_be_written_in_time_says_so_before_the_function_is_killed(
        self, function: Simulation
    ) -> None:
        function.inbox("ops", "webhook")
        function.toml = notice(["ops"], every="1m")
        function.world.latency = 0.67  # of each of three ways, at most
        began = time.time()
        outcome = function.invoke(function.upload(2000), config=function.config)
        assert outcome.error is not None
        assert outcome.error.code == "event_too_large"
        assert time.time() - began < 120
        assert len(function.state_names("outbox/")) > 500


def test_a_paused_sink_is_not_always_asked_with_what_it_refuses_first() -> None:
    """What it refuses by turns is due again and again; what only had no link for a moment must have its turn."""
    refused = Delivery(sink="ops", name="refused", failed=REFUSED)
    held = Delivery(sink="ops", name="held", failed=NO_LINK)
    firsts = {sort_due([refused, held]).candidates()[0].name for _ in range(100)}
    assert firsts == {"refused", "held"}
