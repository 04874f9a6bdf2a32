"""The reference pages list exactly what is in the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from handler.core import errors
from handler.core.config import load
from handler.core.errors import ErrorEntry
from tools import reference

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


ERRORS = {
    "oss_unavailable": ErrorEntry(503, "OSS is temporarily unavailable.", "Try again."),
    "not_found": ErrorEntry(404, "Not found.", "Check the address."),
    "bad_query": ErrorEntry(400, "Invalid query parameter.", "Use a|b or <name>."),
    "bad_path": ErrorEntry(400, "Invalid path.", "Encode it once."),
}


def test_the_pages_are_current() -> None:
    assert reference.main(["--check"]) == 0, "run python -m tools.reference"


def test_a_page_that_is_not_current_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    monkeypatch.setattr(errors, "ERRORS", ERRORS)
    assert reference.main(["--check"]) == 1
    reference.main([])
    assert reference.main(["--check"]) == 0
    capsys.readouterr()
    monkeypatch.setitem(load.MOUNT_KEYS, "colour", "Of the mount.")
    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/configuration.md is not current: run python -m tools.reference.\n"
    reference.main([])
    monkeypatch.setattr(errors, "ERRORS", {**ERRORS, "new": ErrorEntry(500, "New.", "Wait.")})
    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/errors.md is not current: run python -m tools.reference.\n"


def test_errors_are_listed_by_status_and_code_in_one_table_per_status_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "ERRORS", ERRORS)
    lines = reference.errors_page().splitlines()
    assert [line for line in lines if re.match(r"\| \d|## ", line)] == [
        "## 4xx: The request cannot be answered",
        "| 400 | `bad_path` | Invalid path. | Encode it once. |",
        "| 400 | `bad_query` | Invalid query parameter. | Use a\\|b or &lt;name>. |",
        "| 404 | `not_found` | Not found. | Check the address. |",
        "## 5xx: The service cannot answer",
        "| 503 | `oss_unavailable` | OSS is temporarily unavailable. | Try again. |",
    ]
    assert lines.count("| status | code | meaning | what to do |") == 2


def test_the_example_on_the_configuration_page_is_valid() -> None:
    variables = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    config = load.read(tomllib.loads(reference.EXAMPLE), variables)
    assert [mount.path for mount in config.mounts] == ["/reports/"]
    assert [notice.on for notice in config.notices] == ["created"]
