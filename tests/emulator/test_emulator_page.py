"""docs/emulator.md: its examples, its fixture and its workflow work as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
import yaml

from signer.emulator.oss import operations
from tests.e2e.system import ROOT, Requires, script_of_npm
from tests.local.programs import started

pytestmark = pytest.mark.ci

PAGE, CHINESE = ((ROOT / f"docs/emulator{end}.md").read_text("utf-8") for end in ("", ".zh-CN"))
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
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
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
    heading: str,
    language: str,
    program: list[str],
    output: str,
    variables: dict[str, str],
    tmp_path: Path,
    requires: Requires,
) -> None:
    if language == "js":
        variables = {
            **variables,
            "NODE_PATH": str(script_of_npm("ali-oss/package.json").parents[1]),
        }
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
    # pip finds what the project requires among the packages of these tests, and asks no index.
    (tmp_path / "requirements.txt").write_text("oss2\n")
    code = "".join(f"    {line}\n" for line in example("oss2", "python").splitlines())
    (project / "test_reports.py").write_text(f"def test_reports():\n{code}")
    packages = {"PIP_NO_INDEX": "1", "PYTHONPATH": str(Path(pytest.__file__).parents[1])}
    variables = {"FC_PRESIGN": str(clone), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **packages}
    checkout, fetch, *steps = yaml.safe_load(example("On GitHub", "yaml"))["jobs"]["test"]["steps"]
    assert checkout["uses"] in (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    assert fetch["run"] == "git clone --depth 1 ADDRESS fc-presign"
    commands = "\n".join(["trap 'kill $(jobs -p)' EXIT", *(step["run"] for step in steps)])
    commands = commands.replace("ROOT=../oss", "ROOT=../oss PORT=0")
    assert "1 passed" in run([*SHELL, commands], tmp_path, variables)
    (project / "conftest.py").write_text(example("In pytest", "python"))
    assert "1 passed" in run(["pytest", "-q", "tests"], tmp_path, variables)
    (clone / ".venv/bin/python").write_text(
        "#!/bin/sh\necho The port is not available. >&2\nexit 2\n"
    )
    failing = ["sh", "-c", "! pytest -q tests"]
    assert "Failed: The OSS did not start. The port is not available." in run(
        failing, tmp_path, variables
    )


def test_the_measured_operations_and_clients_are_those_of_today() -> None:
    tables = (operations.SERVICE, operations.BUCKET, operations.OBJECT)
    offered = [each for table in tables for methods in table.values() for each in methods.values()]
    count = len(
        {each.name for each in offered}.union(each.copy[0] for each in offered if each.copy)
    )
    clients = json.loads((ROOT / "tests/node/package.json").read_text("utf-8"))["dependencies"]
    required = (ROOT / "pyproject.toml").read_text("utf-8")
    versions = {
        name: re.findall(rf'"{name}>=(\d+)', required)[0]
        for name in ("oss2", "alibabacloud-oss-v2")
    }
    versions["ali-oss"] = clients["ali-oss"].partition(".")[0]
    named = [f"{name} {version}" for name, version in versions.items()]
    for page, words in ((PAGE, "answers {} operations of OSS"), (CHINESE, "实现 OSS 的 {} 个操作")):
        for part in (words.format(count + len(["PostObject", "OptionObject"])), *named):
            assert part in page


def test_each_command_of_the_container_runs(tmp_path: Path) -> None:
    """Without an image: in a folder that has what it copies, with pip among the packages of these tests."""
    lines = [
        line.partition(" ") for line in (ROOT / "local/Dockerfile").read_text("utf-8").splitlines()
    ]
    pip = {"PIP_NO_INDEX": "1", "PIP_DRY_RUN": "1"}
    commands = [arguments for name, _, arguments in lines if name == "RUN"]
    for name, _, arguments in lines:
        if name == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                path = tmp_path / target / (source if (ROOT / source).is_file() else "")
                (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, path)
        elif name == "RUN":
            assert "Would install" not in run(["sh", "-c", arguments], tmp_path, pip)
    assert [command.split()[:2] for command in commands] == [["pip", "install"]] * 2
    (entry,) = [json.loads(arguments) for name, _, arguments in lines if name == "ENTRYPOINT"]
    with started(
        *entry[3:], "--oss-port", "0", folder=tmp_path, ports=False, path=tmp_path
    ) as program:
        said = program.wait_for("# A test tool: an OSS for a container, which its network reaches.")
        assert entry[:3] == ["python", "-m", "local"]
        program.wait_for("OSS_ENDPOINT")
        url = program.lines[-1].strip().rpartition("=")[2]
        port = url.rpartition(":")[2]
        assert said.strip().endswith(
            f"Publish its port to your machine alone: -p 127.0.0.1:{port}:{port}"
        )
        assert "docker run --rm -p 127.0.0.1:9001:9001 fc-presign-oss" in PAGE
        for host in ("127.0.0.1", "127.0.0.2"):
            assert requests.get(f"http://{host}:{port}/", timeout=20).status_code == 403
        program.process.terminate()
        assert program.end() == 0
