"""The queries of the operations page, run over real audit lines.

SQLite stands in for Simple Log Service: it accepts the same SQL after the search before the bar is removed, the table
is named, the missing functions are defined, and a map is unnested as SQLite does it.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from deploy.alarms import EVENTS, HTTP, NOTICES, queries
from handler.core import outbox
from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.config import Config, load
from handler.core.context import Clock, Instance
from handler.core.outbox import Delivery
from handler.core.request import Request
from handler.web import app
from signer import Credentials
from tests.deploy.project_copy import ROOT
from tests.handler.keys_fixtures import document
from tests.handler.notice_fixtures import created, event_function, notice, receiver, respond

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SECONDS = 1_772_347_260  # the beginning of a minute
LINKS = {
    "region": "cn-hangzhou",
    "mount": [
        {"path": "/reports/", "target": "oss://examplebucket/reports/", "access": "anonymous"},
        {"path": "/private/", "target": "oss://examplebucket/private/"},
    ],
}


class Context:
    """The context of an invocation."""

    request_id = "1"
    credentials = Credentials("STS.EXAMPLE", "EXAMPLE", "EXAMPLE")


class Percentile:
    """SQLite's `approx_percentile`."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.fraction = 0.0

    def step(self, value: float | None, fraction: float) -> None:
        self.fraction = fraction
        if value is not None:
            self.values.append(value)

    def finalize(self) -> float | None:
        return sorted(self.values)[int(self.fraction * (len(self.values) - 1))] if self.values else None


def member(line: str, path: str) -> Any:
    try:
        return json.loads(line).get(path.removeprefix("$."))
    except ValueError:
        return None


def scalar(line: str, path: str) -> str | None:
    value = member(line, path)
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def structure(line: str, path: str) -> str | None:
    value = member(line, path)
    return None if value is None else json.dumps(value)


@contextlib.contextmanager
def logstore(lines: list[tuple[int, str]]) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.create_function("json_extract_scalar", 2, scalar)
        database.create_function("json_extract", 2, structure)
        database.create_function("json_format", 1, lambda value: value)
        database.create_function("date_trunc", 2, lambda unit, time: {"minute": time - time % 60}[unit])
        database.create_aggregate("approx_percentile", 2, Percentile)  # type: ignore[arg-type]
        database.execute("create table log (__time__ integer, message text)")
        database.executemany("insert into log values (?, ?)", lines)
        yield database


def run(title: str, lines: list[tuple[int, str]]) -> list[tuple[Any, ...]]:
    """The rows of a query of the page; its search selects lines first, as the index does."""
    search, _, statement = queries()[title].partition(" | ")
    word = search.strip('"')
    assert re.fullmatch(r"\w+", word)
    unnest = r"unnest\(try_cast\((json_extract\(message, '\$\.\w+'\)) as map\(varchar, json\)\)\) as t\(key, value\)"
    statement, count = re.subn(unnest, r"json_each(\1) as t", statement)
    if not count:
        statement, count = re.subn(r"\b(where|group by)\b", r"from log \1", statement, count=1)
    assert count == 1
    with logstore([line for line in lines if word in line[1]]) as database:
        return database.execute(statement).fetchall()


def answered(path: str, ip: str = "192.0.2.7", **query: str) -> str:
    """The audit line of one response."""
    return answered_to(Request("GET", path, query, {}, b"", ""), load.read(LINKS, {}), ip)


def answered_to(request: Request, config: Config, ip: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as written:
        app.answer(
            lambda: request,
            lambda: Instance(config, Clock(now=lambda: SECONDS)),
            Context(),
            request_id="1",
            client_ip=ip,
        )
    return written.getvalue()


class EventLines(NamedTuple):
    """Audit lines of the event function."""

    failed_event: str  # a notice could not be written
    failed_sink: str  # ops answers 500
    tick: str  # an hour later: three notices for ops wait still, and one for the sink "gone.old" is dead
    idle_tick: str


@pytest.fixture(scope="module")
def event_lines(tmp_path_factory: pytest.TempPathFactory) -> EventLines:
    def refused(state: object, delivery: Delivery) -> None:
        raise StoreError("PutObject", 403, REFUSED, "AccessDenied (a missing permission)")

    with event_function(tmp_path_factory.mktemp("events")) as function, receiver(respond(500)) as hook:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        idle_tick = function.tick()
        with patch.object(outbox, "write", refused):
            failed_event = function.invoke(created())
        failed_sink = function.invoke(created("outbox/a.txt", "outbox/b.txt", "outbox/c.txt"))
        function.state().replace("dead/gone.old/0000000000-000000-x", b"{}")
        function.pass_time(3600)
        outcomes = (failed_event, failed_sink, function.tick(), idle_tick)
        return EventLines(*(outcome.printed.splitlines()[-1] + "\n" for outcome in outcomes))


@pytest.fixture(scope="module")
def lines(event_lines: EventLines) -> list[tuple[int, str]]:
    """Two minutes of a service: links, a health check, refusals, guesses, events, ticks, a line of the platform."""
    first = [answered(f"/reports/{number}.pdf") for number in range(5)]
    first += [answered("/nothing"), answered("/private/a.pdf"), answered("/-/s/a.pdf", share="guess")]
    second = [answered("/reports/q3.pdf"), answered("/-/health"), *event_lines, "FC Invoke Start RequestId: 1\n"]
    second += [answered("/nothing/event"), "2026-03-01 [WARN] waiting for event\n"]
    second += [answered("/private/a.pdf", ip="198.51.100.9") for _ in range(31)]
    return [(SECONDS + 7, line) for line in first] + [(SECONDS + 67, line) for line in second]


ROWS = {
    "Links per minute": [(SECONDS, 5), (SECONDS + 60, 1)],
    "No links": [(6,)],
    "Server errors": [(0,)],
    "Guessed shares and keys": [("198.51.100.9", 31)],
    "Failed events": [("state_unavailable", "PutObject: 403 AccessDenied (a missing permission)", 1)],
    "Dead notices": [("gone.old", 1)],
    "Ticks": [(2,)],
    "Links by mount and caller": [("/reports/", None, 6)],
}


@pytest.mark.parametrize("title", ROWS)
def test_the_rows_of_a_query(title: str, lines: list[tuple[int, str]]) -> None:
    assert run(title, lines) == ROWS[title]


def test_no_links() -> None:
    assert run("No links", [(SECONDS, answered("/nothing"))]) == [(0,)]


def test_server_errors(lines: list[tuple[int, str]]) -> None:
    error = answered("/nothing").replace('"status":404', '"status":503')
    assert run("Server errors", [*lines, (SECONDS, error), (SECONDS, error)]) == [(2,)]


def test_the_percentile_is_per_minute_and_excludes_health_checks(lines: list[tuple[int, str]]) -> None:
    rows = run("99th percentile of the function's own time", lines)
    assert [minute for minute, _ in rows] == [SECONDS, SECONDS + 60]
    assert all(isinstance(p99, float) for _, p99 in rows)
    health = (SECONDS + 67, answered("/-/health").replace('"milliseconds":', '"milliseconds":9'))
    assert run("99th percentile of the function's own time", [*lines, health]) == rows


def test_refusals_by_code(lines: list[tuple[int, str]]) -> None:
    refusals = {code: (status, count) for code, status, count in run("Refusals by code", lines)}
    assert refusals["unauthorized"] == ("401", 32)
    assert refusals["not_found"] == ("404", 2)
    assert refusals["share_invalid"] == ("404", 1)


@pytest.mark.parametrize(
    ("key", "code"), [("fcp_" + "EXAMPLE0" * 6, "unknown_credential"), ("fcp_EXAMPLE", "malformed_credential")]
)
def test_a_guessed_key_counts_like_a_guessed_share(key: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(document()), "utf-8")
    config = load.read({**LINKS, "keys": f"file:{tmp_path}/keys.json"}, {})
    request = Request("GET", "/private/a.pdf", {}, {"authorization": f"Bearer {key}"}, b"", "")
    guess = answered_to(request, config, "198.51.100.9")
    assert json.loads(guess)["code"] == code
    assert run("Guessed shares and keys", [(SECONDS, guess)] * 31) == [("198.51.100.9", 31)]


def test_a_guessed_code_counts_like_a_guessed_share() -> None:
    guess = answered("/-/s/a.pdf", share="guess").replace('"share_invalid"', '"wrong_password"')
    assert run("Guessed shares and keys", [(SECONDS, guess)] * 31) == [("192.0.2.7", 31)]


def test_failed_notices(lines: list[tuple[int, str]]) -> None:
    failed = {json.dumps(json.loads(sinks)): times for sinks, _, times in run("Failed notices", lines)}
    assert failed == {
        '[{"sink": "ops", "code": "state_unavailable"}]': 1,
        '[{"sink": "ops", "code": "status_500"}]': 2,
    }


def test_waiting_notices(lines: list[tuple[int, str]]) -> None:
    ((sink, oldest),) = run("Waiting notices", lines)
    assert sink == "ops"
    assert 3600 <= oldest < 3900


def test_dead_notices(lines: list[tuple[int, str]]) -> None:
    many = (SECONDS, '{"event": "timer", "waiting": {"gone.old": {"notices": 0, "oldest": 0, "dead": "1000+"}}}')
    assert run("Dead notices", [*lines, many]) == [("gone.old", 1000)]


def test_every_query_of_the_page_is_run_here() -> None:
    tested = re.findall(r'run\("([^"]+)"', Path(__file__).read_text("utf-8"))
    assert set(queries()) == {*ROWS, *tested}
    assert PAGE.count("```sql") == len(queries())


def test_each_alarm_reads_a_column_of_its_query_and_the_page_says_when_it_fires() -> None:
    alarms = HTTP | EVENTS | NOTICES
    for title, (_, condition) in alarms.items():
        column, _, limit, *no_data = condition.split(maxsplit=3)
        assert f" as {column} " in queries()[title].replace("\n", " ")
        (said,) = re.findall(rf"\*\*{title}\.?\*\*(.*?)```", PAGE, re.DOTALL)
        numbers = {"0": "Alarm on one|is 0", "3": "below 3", "5": "on five"}.get(limit, f"above {limit}")
        assert re.search(numbers, said), title
        assert bool(no_data) == (" line" in said)
    said = re.findall(r"\*\*([^*]+?)\.?\*\*[^*]*?[Aa]larm (?:if|on|above|below|fires)[^*]*?```sql", PAGE)
    assert set(said) == set(alarms)
