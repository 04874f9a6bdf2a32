"""Commands of the `aliyun` CLI that create the alarms of docs/operations.md on the logstores of functions.

Sources: the Simple Log Service pages "CreateAlert" and "UpdateAlert" (2020-12-30) and on their data structures.
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
_SCRIPT = Path(__file__).parent / "scripts/alarms.sh"


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


def _calls(configured: ConfiguredFunction) -> Iterator[str]:
    if configured.function.log is None:
        return
    alarms = dict(HTTP) if configured.function.http else {}
    if configured.function.takes_events:
        alarms |= EVENTS
        if configured.config.keys_sinks:
            alarms |= NOTICES
    project = configured.function.log.project
    logstore = configured.function.log.logstore
    for title, (minutes, condition) in alarms.items():
        condition, _, no_data = condition.partition(" or ")
        name = "-".join([logstore, *title.lower().split()[:2]])
        query = json.dumps(" ".join(queries()[title].split()))
        fires = (str(minutes), condition, "true" if no_data else "false")
        yield shlex.join(
            ["alarm", project, configured.function.region, logstore, name, title, *fires, query]
        )
