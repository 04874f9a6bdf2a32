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
# Of both functions.
ALL = {"Outdated keys and sessions": (5, "times > 0")}
_SCRIPT = Path(__file__).parent / "scripts/alarms.sh"
_COMMON = Path(__file__).parent / "scripts/common.sh"
_DELETE = ("once", "aliyun", "sls", "DeleteAlert")


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
    """Deletes the alarms of `script`, also those of sinks that links.toml does not name any more."""
    start = "#!/bin/sh\n# Deletes the alarms on the logs that the script of make alarms created."
    calls = []
    for configured in functions:
        log = configured.function.log
        for name in names(configured, with_notices=True):
            assert log is not None  # noqa: S101 - for mypy: the names are those of its log
            place = ["--region", configured.function.region, "--project", log.project]
            calls.append(shlex.join([*_DELETE, *place, "--alertName", name]))
    return "\n".join([start, "harmless=NotExist", _COMMON.read_text("utf-8"), *calls])


def names(configured: ConfiguredFunction, *, with_notices: bool = False) -> dict[str, str]:
    """By name, the titles of the queries that have an alarm on the function's log.

    Those of waiting notices only with a sink in the keys document, unless `with_notices` says it.
    """
    log = configured.function.log
    if log is None:
        return {}
    titles = [*ALL]
    if configured.function.http:
        titles += HTTP
    if configured.function.takes_events:
        titles += EVENTS
        if with_notices or configured.config.keys_sinks:
            titles += NOTICES
    return {"-".join([log.logstore, *title.lower().split()[:2]]): title for title in titles}


def _calls(configured: ConfiguredFunction) -> Iterator[str]:
    log = configured.function.log
    if log is None:
        return
    for name, title in names(configured).items():
        minutes, condition = {**ALL, **HTTP, **EVENTS, **NOTICES}[title]
        condition, _, no_data = condition.partition(" or ")
        query = json.dumps(" ".join(queries()[title].split()))
        fires = (str(minutes), condition, "true" if no_data else "false")
        place = (log.project, configured.function.region, log.logstore)
        yield shlex.join(["alarm", *place, name, title, *fires, query])
