"""What the operations page tells people to look for is what the code writes."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time

import pytest

from handler import app
from handler.config import load
from handler.request import Request
from signer import Credentials
from tests.deploy.project_copy import ROOT

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
# Of the function of events, whose line has these beside.
OF_EVENTS = {"failed"}
POLICY = {
    "region": "cn-hangzhou",
    "mount": [{"path": "/reports/", "target": "oss://examplebucket/reports/", "access": "anonymous"}],
}


class Context:
    """What an invocation has."""

    credentials = Credentials("STS.EXAMPLE", "EXAMPLE", "EXAMPLE")


def audit_line() -> dict[str, object]:
    request = Request("GET", "/reports/q3.pdf", {}, {}, b"", "")
    policy = load.read(POLICY, {})
    with contextlib.redirect_stdout(io.StringIO()) as written:
        app.answer(lambda: request, lambda: policy, Context(), request_id="1", now=time.time())
    line = json.loads(written.getvalue())
    assert isinstance(line, dict)
    return line


def test_queries_read_what_is_in_the_audit_line() -> None:
    read = set(re.findall(r"'\$\.(\w+)'", PAGE))
    assert read >= {"code", "status", "key", "milliseconds", "client_ip", "mount", "caller"}
    assert read - OF_EVENTS <= set(audit_line())


def test_the_line_that_is_shown_has_the_facts_of_a_real_one() -> None:
    (shown,) = re.findall(r"```json\n(.*)\n```", PAGE)
    assert set(json.loads(shown)) == set(audit_line())


@pytest.mark.parametrize(
    "code",
    sorted(
        set(re.findall(r"[`'](share_\w+|state_\w+|keys_\w+|\w+_credentials|credentials_\w+|unauthorized)[`']", PAGE))
    ),
)
def test_every_code_is_one_that_the_service_gives(code: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "handler").rglob("*.py"))
    assert any(f'"{code}"' in source for source in sources)


def test_the_price_of_a_million_links_is_worked_out_rightly() -> None:
    seconds = 1_000_000 * 0.010
    parts = [1_000_000 / 10_000 * 75, seconds * 0.35, seconds * 0.5 * 0.15, seconds * 0.5 * 0.05]
    rows = re.findall(r"(?m)^\| .* \| \**([\d,]+)\** \| \**([\d.]+)\** \|$", PAGE)
    units = [float(row[0].replace(",", "")) for row in rows]
    assert units == [*map(round, parts), round(sum(parts))]
    assert [float(row[1]) for row in rows] == [pytest.approx(unit * 0.00002) for unit in units]
    month = sum(parts) * 1000 * 30
    assert month == 360e6
    assert f"USD {round(100e6 * 0.00002 + (month - 100e6) * 0.000017):,}" in PAGE
