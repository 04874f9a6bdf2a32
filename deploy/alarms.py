"""Commands of the `aliyun` CLI that create the alarms of docs/operations.md on the logs of functions, or delete them.

Sources: the Simple Log Service pages "CreateAlert", "UpdateAlert" and "DeleteAlert" (2020-12-30) and on their data
structures.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from local.fc.functions import Log

from .model import ConfiguredFunction

_PAGE = Path(__file__).parent.parent / "docs/operations.md"
# By the title of its query: the minutes that it looks back, and the condition of a row that fires. "or no data" fires
# without a row, too.
HTTP = {
    "No links": (60, "links == 0 or no data"),
    "Server errors": (5, "errors >= 5"),
    "99th percentile of the function's own time": (5, "p99 > 500"),
    "Guessed shares and keys": (5, "tries > 30"),
}
EVENTS = {"Failed events": (5, "times > 0")}
NOTICES = {
    "Waiting notices": (5, "oldest > 900"),
    "Dead notices": (5, "dead > 0"),
    "Ticks": (5, "ticks < 3 or no data"),
}
# Of uses of shares, which the HTTP function writes.
USES = {"Unwritten notices": (5, "times > 0")}
# Of both functions.
ALL = {"Outdated keys and sessions": (5, "times > 0")}
ALARMS = {**ALL, **HTTP, **USES, **EVENTS, **NOTICES}
_SCRIPT = Path(__file__).parent / "scripts/alarms.sh"
_COMMON = Path(__file__).parent / "scripts/common.sh"
_DELETE = "once aliyun sls DeleteAlert"


def script(functions: Iterable[ConfiguredFunction]) -> str:
    """It tells those whom the action policy in `ACTION_POLICY` names, by default the built-in one."""
    return "\n".join(
        [
            _SCRIPT.read_text("utf-8"),
            *(call for configured in functions for call in _calls(configured)),
        ]
    )


def queries() -> dict[str, str]:
    """The queries of the page by title."""
    return dict(
        re.findall(
            r"(?ms)^\*\*([^*\n]+?)\.?\*\*[^*]*?```sql\n(.*?)```", _PAGE.read_text(encoding="utf-8")
        )
    )


def removal(functions: Iterable[ConfiguredFunction]) -> str:
    """Deletes every alarm that `script` may have created, also for sinks that links.toml does not name any more."""
    start = "#!/bin/sh\n# Deletes the alarms on the logs that the script of make alarms created."
    logs = [(each.function.region, each.function.log) for each in functions]
    calls = [
        f"{_DELETE} --region {region} --project {log.project} --alertName {_name(log, title)}"
        for region, log in logs
        if log is not None
        for title in ALARMS
    ]
    return "\n".join([start, "harmless=NotExist", _COMMON.read_text("utf-8"), *calls])


def names(configured: ConfiguredFunction) -> dict[str, str]:
    """By name, the titles of the queries that have an alarm on the function's log."""
    log = configured.function.log
    titles = [*ALL]
    if configured.function.http:
        titles += [*HTTP, *(USES if configured.config.use_notices() else ())]
    if configured.function.takes_events:
        titles += [*EVENTS, *(NOTICES if configured.config.keys_sinks else ())]
    return {_name(log, title): title for title in titles} if log else {}


def _name(log: Log, title: str) -> str:
    return "-".join([log.logstore, *title.lower().split()[:2]])


def _calls(configured: ConfiguredFunction) -> Iterator[str]:
    log = configured.function.log
    if log is None:
        return
    for name, title in names(configured).items():
        minutes, condition = ALARMS[title]
        condition, _, no_data = condition.partition(" or ")
        query = json.dumps(" ".join(queries()[title].split()))
        fires = (str(minutes), condition, "true" if no_data else "false")
        place = (log.project, configured.function.region, log.logstore)
        yield shlex.join(["alarm", *place, name, title, *fires, query])
