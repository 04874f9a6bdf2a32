"""The operations page describes what the code writes: its queries are run over real audit lines.

SQLite stands in for Simple Log Service: it accepts the same SQL after the search before the bar is removed, the table
is named, the missing functions are defined, and a map is unnested as SQLite does it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from deploy.account_script import INDEX
from deploy.alarms import ALARMS, queries
from deploy.command import output_of
from handler.core import outbox
from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.config import Config, load
from handler.core.errors import ERRORS
from handler.core.outbox import Delivery
from tests import system
from tests.deploy.account import Account
from tests.deploy.project_copy import ROOT, install
from tests.handler.client import NOW, event, invoke
from tests.handler.keys_fixtures import READER, api, document
from tests.handler.notice_fixtures import created, event_function, notice, receiver, respond
from tests.memory_oss import memory_oss

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SECONDS = 1_772_347_260  # the beginning of a minute
IP = "203.0.113.7"
METRICS = ("functionName", "durationMs", "isColdStart", "hasFunctionError", "errorType")
IN_TEXT = {
    text.partition(":")[0]: text for text in re.findall(r"`(\w+: true \| select [^`]*)`", PAGE)
}
Row = str | dict[str, Any]  # a message, or what Function Compute measured of a call
LINKS = {
    "region": "cn-hangzhou",
    "mount": [
        {"path": "/reports/", "target": "oss://examplebucket/reports/", "access": "anonymous"},
        {"path": "/private/", "target": "oss://examplebucket/private/"},
    ],
}


CONFIG = load.read(LINKS, {})


class Percentile:
    """SQLite's `approx_percentile`."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.fraction = 0.0

    def step(self, value: float | None, fraction: float) -> None:
        self.fraction = fraction
        self.values += [] if value is None else [value]

    def finalize(self) -> float | None:
        return (
            sorted(self.values)[int(self.fraction * (len(self.values) - 1))]
            if self.values
            else None
        )


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
def logstore(rows: list[tuple[int, Row]]) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.create_function("json_extract_scalar", 2, scalar)
        database.create_function("json_extract", 2, structure)
        database.create_function("json_format", 1, lambda value: value)
        database.create_function(
            "date_trunc", 2, lambda unit, time: {"minute": time - time % 60}[unit]
        )
        database.create_aggregate("approx_percentile", 2, Percentile)  # type: ignore[arg-type]
        database.execute(f"create table log (__time__, message, {', '.join(METRICS)})")
        measured = [row if isinstance(row, dict) else {"message": row} for _, row in rows]
        values = [
            [time, *map(row.get, ("message", *METRICS))]
            for (time, _), row in zip(rows, measured, strict=True)
        ]
        database.executemany("insert into log values (?, ?, ?, ?, ?, ?, ?)", values)
        yield database


def matches(search: str, row: Row) -> bool:
    """Whether the index finds a row: by a word of a message, or by a number or word in a field."""
    if search.startswith('"'):
        return isinstance(row, str) and search.strip('"') in row
    ((field, operator, value),) = re.findall(r"^(\w+)(: | > )(\w+)$", search)
    measured = row.get(field) if isinstance(row, dict) else None
    return measured is not None and (
        measured > float(value) if operator == " > " else measured == value
    )


def run(title: str, lines: list[tuple[int, Row]], **examples: str) -> list[tuple[Any, ...]]:
    """The rows of a query of the page, with other values for its `examples`; its search selects lines first."""
    search, _, statement = {**queries(), **IN_TEXT}[title].partition(" | ")
    for member, value in examples.items():
        statement, count = re.subn(rf"('\$\.{member}'\) = )'[^']*'", rf"\1'{value}'", statement)
        assert count == 1
    unnest = r"unnest\(try_cast\((json_extract\(message, '\$\.\w+'\)) as map\(varchar, json\)\)\) as t\(key, value\)"
    statement, count = re.subn(unnest, r"json_each(\1) as t", statement)
    if not count:
        statement = re.sub(r"\s*(\bwhere\b|\bgroup by\b|$)", r" from log \1", statement, count=1)
    with logstore([line for line in lines if matches(search, line[1])]) as database:
        return database.execute(statement).fetchall()


def answered(
    path: str, ip: str = "192.0.2.7", config: Config = CONFIG, key: str = "", **query: str
) -> str:
    """The audit line of one response."""
    asked = event(path, query=query, headers={"Authorization": f"Bearer {key}"} if key else {})
    asked["requestContext"]["http"]["sourceIp"] = ip
    return invoke(json.dumps(asked), config=config, now=SECONDS).printed


class EventLines(NamedTuple):
    """Audit lines of the event function."""

    failed_event: str  # a notice could not be written
    failed_sink: str  # ops answers 500
    tick: str  # an hour later: three notices for ops wait still, and one for the sink "gone.old" is dead
    idle_tick: str
    link: str  # of a notice for ops


@pytest.fixture(scope="module")
def event_lines(tmp_path_factory: pytest.TempPathFactory) -> EventLines:
    def refused(state: object, delivery: Delivery) -> None:
        raise StoreError("PutObject", 403, REFUSED, "AccessDenied (a missing permission)")

    with (
        event_function(tmp_path_factory.mktemp("events")) as function,
        receiver(respond(500)) as hook,
    ):
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        idle_tick = function.tick()
        with patch.object(outbox, "write", refused):
            failed_event = function.invoke(created())
        failed_sink = function.invoke(created("outbox/a.txt", "outbox/b.txt", "outbox/c.txt"))
        function.state().replace("dead/gone.old/0000000000-000000-x", b"{}")
        function.pass_time(3600)
        outcomes = (failed_event, failed_sink, function.tick(), idle_tick)
        failed, sink, tick, idle = (outcome.printed.splitlines()[-1] + "\n" for outcome in outcomes)
        return EventLines(failed, sink, tick, idle, failed_sink.printed.splitlines()[0])


class HandedOut(NamedTuple):
    """The lines of requests that hand out five links, two forms and three shares, and of some that give nothing."""

    lines: list[tuple[int, Row]]
    share: str  # the id of a share that was opened and revoked


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory) -> HandedOut:
    with memory_oss({}, now=lambda: NOW) as oss:
        oss.fill({"reports/q3.pdf": b"content"})
        world = system.service(tmp_path_factory.mktemp("service")).with_mount(
            "/reports/", lists=True
        )
        rights = {"paths": ["/"], "methods": ["GET", "POST", "LIST", "SHARE"]}
        world = world.with_keys(api=[api("reader", READER), api("maker", system.MAKER, **rights)])
        batch = [
            {"path": "/reports/q3.pdf"},
            {"path": "/reports/none.pdf"},
            {"path": "/none"},
            {"path": "/in/a.txt"},
        ]
        shared, folder = world.request_share(), world.request_share(path="/reports/")
        sent = world.request_share(path="/in/", method="POST", upload={"max_files": 1})
        url, folder_url, sent_url = (response.json["url"] for response in (shared, folder, sent))
        answers = [
            shared,
            folder,
            sent,
            world.request("/reports/q3.pdf", key=READER),
            world.request("/open/b.txt", "HEAD"),
            world.post("/-/sign", {"links": batch}, READER),
            world.post("/-/form", {"path": "/in/a.txt"}),
            world.post("/-/form", {"path": "/reports/q3.pdf"}),  # refused
            world.open(folder_url, format="urls"),
            world.open(url, headers=system.HTML),
            world.open(url),
            world.request_form(sent_url),
            world.revoke(url, system.MAKER),
            world.open(url),
        ]
        lines = [line for answer in answers for line in answer.printed.splitlines(keepends=True)]
    return HandedOut([(SECONDS, line) for line in lines], system.share_id(url))


@pytest.fixture(scope="module")
def lines(event_lines: EventLines) -> list[tuple[int, Row]]:
    """Two minutes of a service: links, a health check, refusals, guesses, events, ticks, a line of the platform."""
    first: list[Row] = [answered(f"/reports/{number}.pdf") for number in range(5)]
    first += [
        answered("/nothing"),
        answered("/private/a.pdf"),
        answered("/-/s/a.pdf", share="guess"),
    ]
    second: list[Row] = [answered("/reports/q3.pdf"), answered("/-/health"), *event_lines[:-1]]
    second += [
        "FC Invoke Start RequestId: 1\n",
        answered("/nothing/event"),
        "2026-03-01 [WARN] waiting for event\n",
    ]
    second += [answered("/private/a.pdf", ip="198.51.100.9") for _ in range(31)]
    return [(SECONDS + 7, line) for line in first] + [(SECONDS + 67, line) for line in second]


ROWS = {
    "Links per minute": [(SECONDS, 5), (SECONDS + 60, 1)],
    "No links": [(6,)],
    "Server errors": [(0,)],
    "Guessed shares and keys": [("198.51.100.9", 31)],
    "Failed events": [
        ("state_unavailable", "PutObject: 403 AccessDenied (a missing permission)", 1)
    ],
    "Dead notices": [("gone.old", 1)],
    "Ticks": [(2,)],
    "Links by mount and caller": [("/reports/", None, 6)],
}


@pytest.mark.parametrize("title", ROWS)
def test_the_rows_of_a_query(title: str, lines: list[tuple[int, Row]]) -> None:
    assert run(title, lines) == ROWS[title]


def test_every_link_and_form_is_counted_and_nothing_else(handed_out: HandedOut) -> None:
    assert run("Links per minute", handed_out.lines) == [(SECONDS, 7)]
    assert run("No links", handed_out.lines) == [(7,)]
    rows = {
        ("/in/", None, 2),
        ("/open/", None, 1),
        ("/reports/", None, 1),
        ("/reports/", "api:reader", 3),
    }
    assert set(run("Links by mount and caller", handed_out.lines)) == rows


def test_one_address_or_one_share_that_causes_the_bill_is_seen(handed_out: HandedOut) -> None:
    from_afar = answered("/reports/q3.pdf", ip="198.51.100.9")
    passed_on = [
        (SECONDS, line.replace(IP, address))
        for address in ("198.51.100.1", "198.51.100.2")
        for _, line in handed_out.lines
        if isinstance(line, str) and f'"share":"{handed_out.share}"' in line
    ]
    rows = [*handed_out.lines, (SECONDS, from_afar)]
    assert run("Links by address", rows) == [(IP, 7), ("198.51.100.9", 1)]
    shares = {
        share: (links, addresses)
        for share, links, addresses in run("Links by share", [*rows, *passed_on])
    }
    assert shares[handed_out.share] == (3, 3)


def test_what_a_caller_did(handed_out: HandedOut) -> None:
    done = run("Requests of a caller", handed_out.lines, caller="api:reader")
    assert (SECONDS, IP, "GET", "/reports/q3.pdf", "reports/q3.pdf", None, None) in done
    assert {path for *_, path, _, _, _ in done} == {
        "/reports/q3.pdf",
        "/reports/none.pdf",
        "/-/sign",
    }
    assert run("Requests of a caller", handed_out.lines, caller="api:nobody") == []


def test_keys_and_sessions_that_were_not_renewed() -> None:
    warnings: list[tuple[int, Row]] = [
        (SECONDS, json.dumps({"warning": name, "why": why}) + "\n")
        for name, why in (
            ("keys_not_renewed", "OSS did not answer in time"),
            ("session_not_renewed", "Throttling"),
            ("keys_not_renewed", "OSS did not answer in time"),
        )
    ]
    assert run("Outdated keys and sessions", [*warnings, (SECONDS, answered("/warning"))]) == [
        ("keys_not_renewed", "OSS did not answer in time", 2),
        ("session_not_renewed", "Throttling", 1),
    ]


def test_a_line_of_a_link_has_the_size_by_which_the_page_reckons() -> None:
    (size,) = map(int, re.findall(r"Ours has about (\d+) bytes", PAGE))
    assert size * 0.75 < len(answered("/reports/2026/q3.pdf")) < size * 1.25


def test_who_got_a_link_to_a_file(handed_out: HandedOut, event_lines: EventLines) -> None:
    # Once from its address, once from `POST /-/sign`.
    link = (
        SECONDS,
        "api:reader",
        IP,
        "GET",
        None,
    )
    opened = (SECONDS, None, IP, "GET", handed_out.share)
    shared = (SECONDS, "api:maker", IP, "POST", handed_out.share)
    assert run("Links to a file", handed_out.lines) == [shared, link, link, opened]
    notified = run("Links to a file", [(SECONDS, event_lines.link)], key="outbox/a.txt")
    assert notified == [(SECONDS, "notice", None, None, None)]


def test_who_asked_for_a_path_and_why_it_failed(handed_out: HandedOut) -> None:
    asked = run("Requests for a path", handed_out.lines)
    got = (SECONDS, "api:reader", IP, "/reports/q3.pdf", None)
    refused = (SECONDS, None, IP, "/-/form", "unauthorized")
    assert asked == [(SECONDS, "api:maker", IP, "/-/shares", None), got, got, refused]


def test_what_became_of_a_share(handed_out: HandedOut) -> None:
    assert run("Requests for a share", handed_out.lines, share=handed_out.share) == [
        (SECONDS, "api:maker", IP, "POST", "reports/q3.pdf", None, "2026-03-08T06:41:11Z"),
        (SECONDS, None, IP, "GET", None, None, None),  # its page
        (SECONDS, None, IP, "GET", "reports/q3.pdf", None, None),
        (SECONDS, "api:maker", IP, "DELETE", None, None, None),
        (SECONDS, None, IP, "GET", None, "share_revoked", None),
    ]


def test_what_was_revoked(handed_out: HandedOut) -> None:
    assert run("Revocations", handed_out.lines) == [(SECONDS, "api:maker", handed_out.share)]


def test_what_function_compute_measured() -> None:
    call = {
        "functionName": "links-http",
        "durationMs": 500.0,
        "isColdStart": "false",
        "hasFunctionError": "false",
    }
    start = call | {"durationMs": 1500.0, "isColdStart": "true"}
    failed = call | {
        "durationMs": 1000.0,
        "hasFunctionError": "true",
        "errorType": "FunctionTimeoutError",
    }
    rows: list[tuple[int, Row]] = [
        (SECONDS, row) for row in (call, start, failed, answered("/reports/q3.pdf"))
    ]
    assert run("Function duration", rows) == [("links-http", 3, 3.0, 1.0)]
    assert run("isColdStart", rows) == [(1, 1500.0)]
    assert run("hasFunctionError", rows) == [("FunctionTimeoutError", 1)]
    assert set(METRICS) <= set(INDEX["keys"])


def test_no_links_and_server_errors(lines: list[tuple[int, Row]]) -> None:
    assert run("No links", [(SECONDS, answered("/nothing"))]) == [(0,)]
    error = answered("/nothing").replace('"status":404', '"status":503')
    assert run("Server errors", [*lines, (SECONDS, error), (SECONDS, error)]) == [(2,)]


def test_the_percentile_is_per_minute_and_excludes_health_checks(
    lines: list[tuple[int, Row]],
) -> None:
    rows = run("99th percentile of the function's own time", lines)
    assert [minute for minute, _ in rows] == [SECONDS, SECONDS + 60]
    assert all(isinstance(p99, float) for _, p99 in rows)
    health = (SECONDS + 67, answered("/-/health").replace('"milliseconds":', '"milliseconds":9'))
    assert run("99th percentile of the function's own time", [*lines, health]) == rows


def test_refusals_by_code(lines: list[tuple[int, Row]]) -> None:
    refusals = {code: (status, count) for code, status, _, count in run("Refusals by code", lines)}
    assert refusals["unauthorized"] == ("401", 32)
    assert refusals["not_found"] == ("404", 2)
    assert refusals["share_invalid"] == ("404", 1)


@pytest.mark.parametrize(
    ("key", "code"),
    [("fcp_" + "EXAMPLE0" * 6, "unknown_credential"), ("fcp_EXAMPLE", "malformed_credential")],
)
def test_a_guessed_key_counts_like_a_guessed_share(key: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(document()), "utf-8")
    config = load.read({**LINKS, "keys": f"file:{tmp_path}/keys.json"}, {})
    guess = answered("/private/a.pdf", "198.51.100.9", config, key)
    assert json.loads(guess)["code"] == code
    assert run("Guessed shares and keys", [(SECONDS, guess)] * 31) == [("198.51.100.9", 31)]


def test_a_guessed_code_counts_like_a_guessed_share() -> None:
    guess = answered("/-/s/a.pdf", share="guess").replace('"share_invalid"', '"wrong_password"')
    assert run("Guessed shares and keys", [(SECONDS, guess)] * 31) == [("192.0.2.7", 31)]


def test_failed_notices(lines: list[tuple[int, Row]]) -> None:
    failed = {
        json.dumps(json.loads(sinks)): times for sinks, _, times in run("Failed notices", lines)
    }
    assert failed == {
        '[{"sink": "ops", "code": "state_unavailable"}]': 1,
        '[{"sink": "ops", "code": "status_500"}]': 2,
    }


def test_uses_whose_notice_was_not_written() -> None:
    line = answered("/reports/q3.pdf").replace('"code":null', '"code":"notice_not_written"')
    used = line.replace('"caller":null', '"caller":null,"share":"ujqmafTMxBmW"')
    assert run("Unwritten notices", [(SECONDS, used)] * 2) == [("ujqmafTMxBmW", None, 2)]


def test_waiting_and_dead_notices(lines: list[tuple[int, Row]]) -> None:
    ((sink, oldest),) = run("Waiting notices", lines)
    assert sink == "ops"
    assert 3600 <= oldest < 3900
    many = (
        SECONDS,
        '{"event": "timer", "waiting": {"gone.old": {"notices": 0, "oldest": 0, "dead": "1000+"}}}',
    )
    assert run("Dead notices", [*lines, many]) == [("gone.old", 1000)]


def test_every_query_of_the_page_is_run_here() -> None:
    tested = re.findall(r'run\("([^"]+)"', Path(__file__).read_text("utf-8"))
    assert {*queries(), *IN_TEXT} == {*ROWS, *tested}
    assert PAGE.count("| select") == len(queries()) + len(IN_TEXT)
    assert PAGE.count("```sql") == len(queries())


def test_the_queries_that_say_when_are_those_with_an_alarm() -> None:
    paragraphs = re.findall(r"(?ms)^\*\*([^*\n]+?)\.?\*\*([^*]*?)```sql", PAGE)
    assert {title for title, text in paragraphs if "alarm" in text.lower()} == set(ALARMS)


def test_each_alarm_reads_a_column_of_its_query() -> None:
    for title, (_, condition) in ALARMS.items():
        assert f" as {condition.split()[0]} " in queries()[title].replace("\n", " ")


def test_each_code_of_a_500_or_503_has_its_line() -> None:
    table = PAGE.partition("### Codes of 500 and 503")[2].partition("\n## ")[0]
    linked = re.findall(r"\[`(\w+)`\]\(errors\.md#(\d+)\)", table)
    codes = {(code, str(entry.status)) for code, entry in ERRORS.items() if entry.status >= 500}
    assert sorted(linked) == sorted(codes)


def test_the_example_of_an_audit_line_has_the_members_of_a_real_one() -> None:
    (example,) = re.findall(r"```json\n(.*)\n```", PAGE)
    assert set(json.loads(example)) == set(json.loads(answered("/reports/q3.pdf")))


def commands(name: str, page: str = PAGE) -> list[str]:
    blocks = [
        block for language, block in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page) if not language
    ]
    return re.findall(rf"(?m)^{name} .*$", "".join(blocks))


def test_every_aliyun_command_is_one_that_the_stand_in_knows(tmp_path: Path) -> None:
    account, domain = Account(tmp_path), "cn-hangzhou links.example.com"
    old = {"routes": [{"path": "/*", "functionName": "links-http", "qualifier": "LATEST"}]}
    account.write(
        {
            **account.state,
            "buckets": {"YOUR-BUCKET": {}},
            "policies": {"links-deployer-dev": [{}]},
            "domains": {domain: old},
        }
    )
    moving = commands(
        "aliyun fc UpdateCustomDomain",
        (ROOT / "docs/custom-runtime.md").read_text(encoding="utf-8"),
    )
    assert (len(moving), len(commands("aliyun"))) == (1, 7)
    for command in [*moving, *commands("aliyun")]:
        done = output_of(["sh", "-ec", command], 30, env={"PATH": account.path})
        assert done.returncode == 0, done.stderr
        if command in moving:
            assert account.state["domains"][domain]["routes"][0]["functionName"] == "links-traffic"
    assert account.state["domains"][domain] == {
        "routes": [{**old["routes"][0], "qualifier": "prod"}]
    }
    assert "Role links-deploy-dev links-deployer-dev" in account.state["attached"]
    assert "repo:OWNER/REPOSITORY:environment:dev" in account.state["roles"]["links-deploy-dev"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_failed_event_is_sent_again_to_its_own_environment(tmp_path: Path) -> None:
    """`mnscmd` prints what that of aliyun-mns-sdk 1.3.0 prints."""
    message = json.dumps({"requestPayload": '{"events": [{"a": "\\u00e9"}]}', "requestContext": {}})
    install(tmp_path / "mnscmd/bin/mnscmd", "cat message.txt")
    install(tmp_path / "s", 'echo "$@"; cat event.json')
    lines = [
        "peekmessage succeed!",
        "",
        f"MessageBody                   :{message}",
        "MessageID    :M1",
        "",
    ]
    (tmp_path / "message.txt").write_text("\n".join(lines))
    (block,) = re.findall(r"(?ms)^```\n([^`]*?peekmessage.*?)^```$", PAGE)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = output_of(["sh", "-ec", block], 60, cwd=tmp_path, env=environment)
    arguments, event = done.stdout.splitlines()
    assert arguments == "links_events invoke --env prod --event-file event.json"
    assert json.loads(event) == {"events": [{"a": "\u00e9"}]}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_notices_of_lost_events_are_made_again_once(tmp_path: Path) -> None:
    (block,) = re.findall(r"(?ms)^```\n(jq [^`]*?lost\.txt.*?)^```$", PAGE)
    install(tmp_path / "s", 'cat "$6"')
    (tmp_path / "lost.txt").write_text("outbox/报告 1.pdf\noutbox/b.txt\n", "utf-8")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = block.replace("YOUR-BUCKET", "examplebucket")
    made = output_of(["sh", "-ec", script], 60, cwd=tmp_path, env=environment).stdout.encode()
    with event_function(tmp_path / "events") as function, receiver(respond(200)) as hook:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        first, second = (function.invoke(made).summary for _ in range(2))
    assert (first["notices"], second["notices"], second["repeated"]) == (2, 0, 2)
