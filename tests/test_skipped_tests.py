"""In CI a skipped test is a failure, whatever changes how pytest prints it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from deploy.command import output_of
from tests.deploy.project_copy import ROOT
from tools import skipped_tests

TESTS = """
import pytest
def test_passes(): pass
@pytest.mark.xfail
def test_that_is_known_to_fail(): assert False
@pytest.mark.skipif(True, reason="a browser is not installed")
def test_that_is_marked(): pass
def test_that_skips(): pytest.skip("Python 3.13 is not installed")
"""
MODULE = "import pytest\npytest.skip('s is not installed', allow_module_level=True)\n"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "--junitxml=tests.xml", "--color=yes", "."]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PY_COLORS": "1"}
    assert output_of(command, 60, cwd=tmp_path, env=alone).returncode == 0
    return tmp_path / "tests.xml"


def test_each_skipped_test_is_named_with_its_reason_but_what_is_optional(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert skipped_tests.main([str(report)]) == 1
    module, marked, remedy = capsys.readouterr().err.splitlines()
    assert "s is not installed" in module
    assert marked.startswith("test_that_is_marked: ")
    assert marked.endswith("a browser is not installed")
    assert ".ci/tools" in remedy


def test_a_report_without_tests_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "tests.xml").write_text("<testsuites><testsuite tests='0'/></testsuites>")
    with pytest.raises(ValueError, match="has no tests"):
        skipped_tests.main([str(tmp_path / "tests.xml")])
    assert skipped_tests.main([]) == 1


def test_ci_reads_the_report_of_each_of_its_runs_of_pytest() -> None:
    commands = (ROOT / ".ci/run").read_text(encoding="utf-8").replace('"', "")
    reports = re.findall(r"--junitxml=(\S+)", commands)
    assert len(reports) == len(re.findall(r"-m pytest|make test(?:-ci)? [A-Z]", commands)) == 3
    for report in reports:
        assert re.search(rf"-m tools\.skipped_tests {re.escape(report)}\s", commands), report
