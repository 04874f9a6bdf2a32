"""The queries of the operations page, run over real lines of audit.

SQLite stands in for Simple Log Service: it takes the same SQL once the search before the bar is cut off, the table is
named, and the functions that it lacks are given to it.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler import app, events
from handler.config import Config, load
from handler.notices.sinks.client import Network
from handler.request import Request
from handler.times import Clock
from signer import Credentials
from tests.deploy.project_copy import ROOT

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
    """What an invocation has."""

    request_id = "1"
    credentials = Credentials("STS.EXAMPLE", "EXAMPLE", "EXAMPLE")


class Percentile:
    """SQLite's `approx_percentile`."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.part = 0.0

    def step(self, value: float | None, part: float) -> None:
        self.part = part
        if value is not None:
            self.values.append(value)

    def finalize(self) -> float | None:
        return sorted(self.values)[int(self.part * (len(self.values) - 1))] if self.values else None


def queries() -> dict[str, str]:
    """The page's queries by their titles."""
    return dict(re.findall(r"(?m)^\*\*([^*\n]+)\*\*[^*]*?```sql\n(.*?)```", PAGE, re.DOTALL))


def member(text: str, path: str) -> Any:
    try:
        return json.loads(text).get(path.removeprefix("$."))
    except ValueError:
        return None


def scalar(text: str, path: str) -> str | None:
    found = member(text, path)
    return None if found is None or isinstance(found, (dict, list)) else str(found)


def structure(text: str, path: str) -> str | None:
    found = member(text, path)
    return None if found is None else json.dumps(found)


@contextlib.contextmanager
def logstore(lines: list[tuple[int, str]]) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.create_function("json_extract_scalar", 2, scalar)
        database.create_function("json_extract", 2, structure)
        database.create_function("json_format", 1, lambda found: found)
        database.create_function("date_trunc", 2, lambda unit, moment: {"minute": moment - moment % 60}[unit])
        database.create_aggregate("approx_percentile", 2, Percentile)  # type: ignore[arg-type]
        database.execute("create table log (__time__ integer, message text)")
        database.executemany("insert into log values (?, ?)", lines)
        yield database


def run(title: str, lines: list[tuple[int, str]]) -> list[tuple[Any, ...]]:
    """What a query of the page finds; its search finds lines first, as the index does."""
    search, _, statement = queries()[title].partition(" | ")
    word = search.strip('"')
    assert re.fullmatch(r"\w+", word)
    statement, named = re.subn(r"\b(where|group by)\b", r"from log \1", statement, count=1)
    assert named
    with logstore([line for line in lines if word in line[1]]) as database:
        return database.execute(statement).fetchall()


def answered(path: str, ip: str = "192.0.2.7", **query: str) -> str:
    """The line of one answer."""
    policy = load.read(LINKS, {})
    with contextlib.redirect_stdout(io.StringIO()) as written:
        app.answer(
            lambda: Request("GET", path, query, {}, b"", ""),
            lambda: policy,
            Context(),
            request_id="1",
            client_ip=ip,
            now=SECONDS,
        )
    return written.getvalue()


def failed_notice() -> str:
    """The line of an event whose sink cannot be reached, since there are no keys to tell its address."""
    document = {
        **LINKS,
        "keys": "file:/nowhere/keys.json",
        "state": "oss://examplebucket/.links/state/",
        "notice": [{"on": "created", "mount": "/reports/", "to": ["team"]}],
    }
    policy: Config = load.read(document, {})
    record = {
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "eventTime": "2026-03-01T06:41:11.000Z",
        "region": "cn-hangzhou",
        "oss": {"bucket": {"name": "examplebucket"}, "object": {"key": "reports/q3.pdf", "eTag": "0F00", "size": 6}},
    }
    with contextlib.redirect_stdout(io.StringIO()) as written, contextlib.suppress(events.InvocationFailed):
        events.answer(json.dumps({"events": [record]}), Context(), lambda: policy, network=Network(), clock=Clock())
    return written.getvalue()


@pytest.fixture(scope="module")
def lines() -> list[tuple[int, str]]:
    """Two minutes of a service: links, health checks, refusals, guesses, a failed notice, and the platform's lines."""
    first = [answered(f"/reports/{number}.pdf") for number in range(5)]
    first += [answered("/nothing"), answered("/private/a.pdf"), answered("/reports/a.pdf", share="guess")]
    second = [answered("/reports/q3.pdf"), answered("/-/health"), failed_notice(), "FC Invoke Start RequestId: 1\n"]
    second += [answered("/private/a.pdf", ip="198.51.100.9") for _ in range(31)]
    return [(SECONDS + 7, line) for line in first] + [(SECONDS + 67, line) for line in second]


def test_links_a_minute(lines: list[tuple[int, str]]) -> None:
    assert run("Links a minute", lines) == [(SECONDS, 5), (SECONDS + 60, 1)]


def test_the_percentile_is_of_each_minute_and_without_health_checks(lines: list[tuple[int, str]]) -> None:
    found = run("99th percentile of our own time", lines)
    assert [minute for minute, _ in found] == [SECONDS, SECONDS + 60]
    assert all(isinstance(p99, float) for _, p99 in found)
    health = (SECONDS + 67, answered("/-/health").replace('"milliseconds":', '"milliseconds":9'))
    assert run("99th percentile of our own time", [*lines, health]) == found


def test_refusals_by_code(lines: list[tuple[int, str]]) -> None:
    found = {code: (status, count) for code, status, count in run("Refusals by code", lines)}
    assert found["unauthorized"] == ("401", 32)
    assert found["not_found"] == ("404", 1)
    assert found["share_invalid"] == ("404", 1)


def test_who_guesses(lines: list[tuple[int, str]]) -> None:
    assert run("Guessing of shares and keys", lines) == [("198.51.100.9", 31)]


def test_notices_that_failed(lines: list[tuple[int, str]]) -> None:
    ((code, sinks, times),) = run("Notices that failed", lines)
    assert (code, times) == ("keys_unavailable", 1)
    assert json.loads(sinks) == [{"sink": "team", "code": "keys_unavailable"}]


def test_who_uses_what(lines: list[tuple[int, str]]) -> None:
    assert run("Who uses what", lines) == [("/reports/", None, 6)]


def test_every_query_of_the_page_is_run_here() -> None:
    tested = re.findall(r'run\("([^"]+)"', Path(__file__).read_text("utf-8"))
    assert set(queries()) == set(tested)
    assert PAGE.count("```sql") == len(queries())
