"""The operations page describes what the code writes."""

from __future__ import annotations

import json
import re

import pytest

from tests.deploy.project_copy import ROOT
from tests.deploy.test_operations_queries import PAGE, answered

# Only lines of the event function have these; `test_operations_queries.py` reads real ones.
EVENT_MEMBERS = {"failed", "cause", "waiting", "notices", "oldest", "dead"}


def test_queries_read_members_of_the_audit_line() -> None:
    members = set(re.findall(r"'\$\.(\w+)'", PAGE))
    assert members >= {"code", "status", "key", "milliseconds", "client_ip", "mount", "caller"}
    assert members - EVENT_MEMBERS <= set(json.loads(answered("/reports/q3.pdf")))


def test_the_example_of_an_audit_line_has_the_members_of_a_real_one() -> None:
    (example,) = re.findall(r"```json\n(.*)\n```", PAGE)
    assert set(json.loads(example)) == set(json.loads(answered("/reports/q3.pdf")))


@pytest.mark.parametrize(
    "code",
    sorted(
        set(re.findall(r"[`'](share_\w+|state_\w+|keys_\w+|\w+_credentials?|credentials_\w+|unauthorized)[`']", PAGE))
    ),
)
def test_every_code_on_the_page_is_one_of_the_service(code: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "handler").rglob("*.py"))
    assert any(f'"{code}"' in source for source in sources)


def test_the_price_of_a_million_links_is_calculated_correctly() -> None:
    seconds = 1_000_000 * 0.010
    parts = [1_000_000 / 10_000 * 75, seconds * 0.35, seconds * 0.5 * 0.15, seconds * 0.5 * 0.05]
    rows = re.findall(r"(?m)^\| .* \| \**([\d,]+)\** \| \**([\d.]+)\** \|$", PAGE)
    units = [float(row[0].replace(",", "")) for row in rows]
    assert units == [*map(round, parts), round(sum(parts))]
    assert [float(row[1]) for row in rows] == [pytest.approx(unit * 0.00002) for unit in units]
