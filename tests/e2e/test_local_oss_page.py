"""docs/local-oss.md: its examples, its fixture and its workflow work as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.e2e.system import ROOT, Requires, script_of_npm
from tests.local.programs import started

pytestmark = pytest.mark.ci

PAGE = (ROOT / "docs/local-oss.md").read_text("utf-8")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
SHELL = ["timeout", "100", "bash", "-euo", "pipefail", "-c"]
COMMAND = f'fc-presign() {{ PYTHONPATH="{ROOT}" "{sys.executable}" -m signer "$@" 2>/dev/null; }}\n'


def example(heading: str, language: str) -> str:
    """The only block of a section in a language."""
    (section,) = re.findall(rf"(?ms)^##+ {heading}\n(.*?)(?=^##+ |\Z)", PAGE)
    (code,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section)
    return str(code)


def run(command: list[str], folder: Path, variables: Mapping[str, str]) -> str:
    environment = {"PATH": PATH, "no_proxy": "*", **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with started("oss", "--oss-port", "0", "--json", ports=False) as program:
        yield json.loads(program.wait_for("{"))


@pytest.mark.parametrize(
    ("heading", "language", "program", "output"),
    [
        ("oss2", "python", ["python", "-c"], ""),
        ("alibabacloud-oss-v2", "python", ["python", "-c"], ""),
        ("ali-oss", "js", ["node", "-e"], "fig true figures\n"),
        ("curl and fc-presign", "sh", SHELL, "fig<Code>SignatureDoesNotMatch\n"),
    ],
)
def test_an_example(
    heading: str, language: str, program: list[str], output: str, variables: dict[str, str], tmp_path: Path,
    requires: Requires,
) -> None:  # fmt: skip
    if language == "js":
        variables = {**variables, "NODE_PATH": str(script_of_npm("ali-oss/package.json").parents[1])}
    if language == "sh":
        requires("curl")
    start = COMMAND if language == "sh" else ""
    assert run([*program, start + example(heading, language)], tmp_path, variables) == output


def test_the_workflow_and_the_fixture(requires: Requires, tmp_path: Path) -> None:
    """In a project with a test, and a clone in which `make oss` has installed its packages already."""
    requires("make")
    clone, project = tmp_path / "fc-presign", tmp_path / "tests"
    for folder in (project, clone / ".venv/bin"):
        folder.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "handler", "local", "signer"):
        (clone / name).symlink_to(ROOT / name)
    (clone / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (clone / ".venv/bin/python").chmod(0o755)
    (clone / ".venv/local.stamp").touch()
    code = "".join(f"    {line}\n" for line in example("oss2", "python").splitlines())
    (project / "test_reports.py").write_text(f"def test_reports():\n{code}")
    variables = {"FC_PRESIGN": str(clone), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    checkout, fetch, *steps = yaml.safe_load(example("On GitHub", "yaml"))["jobs"]["test"]["steps"]
    assert checkout["uses"] in (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    assert fetch["run"] == "git clone --depth 1 ADDRESS fc-presign"
    commands = "\n".join(["trap 'kill $(jobs -p)' EXIT", *(step["run"] for step in steps)])
    commands = commands.replace("ROOT=../oss", "ROOT=../oss PORT=0")
    assert "1 passed" in run([*SHELL, commands], tmp_path, variables)
    (project / "conftest.py").write_text(example("In pytest", "python"))
    assert "1 passed" in run(["pytest", "-q", "tests"], tmp_path, variables)
