"""How many requests to OSS an event and a tick take: the table of docs/events.md.

`python -m pytest -q -s tests/handler/notices/test_oss_calls.py` prints it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from unittest.mock import patch

from handler.core.cloud.oss import OssClient, OssResponse
from handler.core.config import Location
from tests.handler.notice_fixtures import EventFunction, created, notice, receiver, respond
from tests.system import STATE

PAGE = Path(__file__).parents[3] / "docs/events.md"
SIZES = (1, 3, 10)  # notices for each sink
ROBOT_OK = respond(200, b'{"errcode": 0}')


@contextmanager
def requests_to_oss() -> Iterator[Counter[str]]:
    """The requests of the block, by method and folder of the state prefix: `PUT outbox`. A list is a `LIST`."""
    counts: Counter[str] = Counter()
    lock = Lock()
    request: Callable[..., OssResponse] = OssClient.request

    def counted(
        client: OssClient, method: str, location: Location, **options: object
    ) -> OssResponse:
        query = options.get("query")
        prefix = query.get("prefix", "") if isinstance(query, dict) else ""
        folder = (location.key or prefix).removeprefix(STATE).split("/")[0]
        with lock:
            counts[f"{'LIST' if prefix else method} {folder}"] += 1
        return request(client, method, location, **options)

    with patch.object(OssClient, "request", counted):
        yield counts


def requests_of(
    function: EventFunction, event: bytes | None, *, fails: bool = False
) -> Counter[str]:
    """The requests of one invocation, of a tick for None, without the probe of every five minutes."""
    function.go_to(1)
    with requests_to_oss() as counts:
        outcome = function.tick() if event is None else function.invoke(event)
    assert outcome.error is None
    assert ("failed" in outcome.summary) is fails
    return Counter({name: count for name, count in counts.items() if name.split()[1] != "probe"})


def new_event(function: EventFunction, size: int) -> bytes:
    """The event of so many objects of which nobody was notified."""
    return created(*(f"outbox/{len(function.clock.pauses)}-{number}.txt" for number in range(size)))


@contextmanager
def sinks(
    function: EventFunction, kind: str = "webhook", count: int = 1, **rule: str
) -> Iterator[None]:
    """Sinks that take everything, and a notice for them."""
    with ExitStack() as ends:
        names = [f"{kind}-{number}" for number in range(count)]
        for name in names:
            sink = ends.enter_context(receiver(respond() if kind == "webhook" else ROBOT_OK))
            function.add_sink(name, sink, kind)
        function.toml = notice(names, **rule)
        yield


def measure(function: EventFunction) -> dict[str, list[int]]:
    """The rows of the table: the requests for each of `SIZES`."""
    rows: dict[str, list[int]] = {}

    def row(title: str, *requests: Counter[str]) -> None:
        rows[title] = [counts.total() for counts in requests]

    for title, kind, count in (
        ("an event, to a webhook", "webhook", 1),
        ("an event, to two webhooks", "webhook", 2),
        ("an event, to a robot", "wecom", 1),
    ):
        with sinks(function, kind, count):
            row(title, *(requests_of(function, new_event(function, size)) for size in SIZES))
    with sinks(function):
        again = []
        for size in SIZES:
            event = new_event(function, size)
            requests_of(function, event)
            again.append(requests_of(function, event))
        row("the same event again, to a webhook", *again)
    for title, count in (("a tick, digest to one sink", 1), ("a tick, digest to two sinks", 2)):
        with sinks(function, count=count, every="1m"):
            written, ticks = [], []
            for size in SIZES:
                written.append(requests_of(function, new_event(function, size)))
                ticks.append(requests_of(function, None))
            if count == 1:
                row("an event with `every`, to a webhook", *written)
            row(title, *ticks)
    row("an idle tick", *(requests_of(function, None) for _ in SIZES))
    return rows


def show(rows: dict[str, list[int]]) -> str:
    lines = [
        f"| requests to OSS for | {SIZES[0]} notice | "
        + " | ".join(f"{size} notices" for size in SIZES[1:])
        + " |",
        "|---|" + "---:|" * len(SIZES),
        *(f"| {title} | " + " | ".join(map(str, counts)) + " |" for title, counts in rows.items()),
    ]
    return "\n".join(lines)


def test_the_table_of_the_page_is_what_is_measured(function: EventFunction) -> None:
    table = show(measure(function))
    print(f"\n{table}\n")
    assert table in PAGE.read_text("utf-8")


class TestMore:
    def test_the_probe_is_sent_every_five_minutes(self, function: EventFunction) -> None:
        with sinks(function), requests_to_oss() as counts:
            function.invoke(new_event(function, 1))
            assert counts["PUT probe"] == 2  # the first of all creates the object
            for _ in range(3):
                function.pass_time(200)
                function.invoke(new_event(function, 1))
            assert counts["PUT probe"] == 3

    def test_a_share_takes_two_and_three_if_it_exists_whatever_the_number_of_sinks(
        self, function: EventFunction
    ) -> None:
        with sinks(function, count=2, give="share"):
            for found in (0, 3):
                function.go_to(1)
                with requests_to_oss() as counts:
                    function.invoke(created("outbox/a", "outbox/b", "outbox/c"))
                assert [counts[name] for name in ("PUT shares", "GET shares", "PUT index")] == [
                    3,
                    found,
                    3,
                ]

    def test_a_notice_that_fails_alone_takes_four_too(self, function: EventFunction) -> None:
        with receiver(respond(500)) as hook:
            function.add_sink("ops", hook)
            function.toml = notice(["ops"])
            assert requests_of(function, new_event(function, 1), fails=True).total() == 4 + 5 + 1
            function.pass_time(60)
            assert requests_of(function, None, fails=True).total() == 2 + 5 + 5 + 2

    def test_a_pause_takes_one_then_nothing_and_two_at_its_end(
        self, function: EventFunction
    ) -> None:
        with receiver(respond(429, Retry_After="600")) as hook:
            function.add_sink("ops", hook)
            function.toml = notice(["ops"])
            counts = requests_of(function, new_event(function, 1), fails=True)
            # The notice stays where it is, unlisted.
            assert (counts["PUT pause"], counts.total()) == (1, 4 + 5 + 1 - 3)
            hook.default = respond()
            assert requests_of(function, new_event(function, 1)) == {
                "PUT outbox": 1,
                "GET pause": 1,
            }
            assert requests_of(function, None).total() == 2 + 2
            function.pass_time(600)
            assert requests_of(function, None).total() == 2 + 2 * 4 + 6 + 2 + 1
