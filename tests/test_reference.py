"""The reference pages list exactly what is in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from handler.core import errors
from handler.core.config import load
from handler.core.errors import ErrorEntry
from tests.handler.client import make_config
from tools import reference

ERRORS = {"bad_query": ErrorEntry(400, "Invalid query parameter.", "Use a|b or <name>.")}


def test_the_pages_are_current() -> None:
    assert reference.main(["--check"]) == 0, "run python -m tools.reference"


def test_a_page_that_is_not_current_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    monkeypatch.setattr(errors, "ERRORS", ERRORS)
    assert reference.main(["--check"]) == 1
    reference.main([])
    assert (
        "| 400 | `bad_query` | Invalid query parameter. | Use a\\|b or &lt;name>. |"
        in reference.errors_page()
    )
    assert reference.main(["--check"]) == 0
    capsys.readouterr()
    monkeypatch.setitem(load.MOUNT_KEYS, "colour", "Of the mount.")
    assert reference.main(["--check"]) == 1
    assert (
        capsys.readouterr().err
        == "docs/configuration.md is not current: run python -m tools.reference.\n"
    )
    reference.main([])
    monkeypatch.setattr(errors, "ERRORS", {**ERRORS, "new": ErrorEntry(500, "New.", "Wait.")})
    assert reference.main(["--check"]) == 1
    assert (
        capsys.readouterr().err == "docs/errors.md is not current: run python -m tools.reference.\n"
    )


def test_the_example_on_the_configuration_page_is_valid() -> None:
    config = make_config(
        reference.EXAMPLE, {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    )
    assert [mount.path for mount in config.mounts] == ["/reports/"]
    assert [notice.on for notice in config.notices] == ["created"]
