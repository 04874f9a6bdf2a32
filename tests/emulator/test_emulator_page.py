"""docs/emulator.md: its tests, examples and workflow work as they stand there, with the wheel that they install."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml

from signer.emulator.oss import operations
from tests.e2e.system import ROOT, script_of_npm
from tests.emulator import environments

pytestmark = pytest.mark.ci

PAGE = (ROOT / "docs/emulator.md").read_text("utf-8")
CHINESE = (ROOT / "docs/emulator.zh-CN.md").read_text("utf-8")
SHELL = ("timeout", "100", "bash", "-euo", "pipefail", "-c")
START = 'fc-presign oss --env-file "$GITHUB_ENV" &'


def section(heading: str) -> str:
    (text,) = re.findall(rf"(?ms)^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE)
    return str(text)


def example(heading: str, language: str) -> str:
    """The only block of a section in a language."""
    (code,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section(heading))
    return str(code)


@contextmanager
def served(
    environment: Path, folder: Path, *options: str, port: int = 0, **variables: str
) -> Iterator[dict[str, str]]:
    """What `fc-presign oss` prints for programs that use it."""
    command = [f"{environment}/bin/fc-presign", "oss", *options, "--port", str(port), "--json"]
    environ = {**os.environ, **variables}
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            printed: dict[str, str] = json.loads(process.stdout.readline())
            yield {name: value for name, value in printed.items() if value}
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_the_first_test_passes_and_says_what_a_wrong_signature_is(
    programs: Path, tmp_path: Path
) -> None:
    code = example("OSS for tests", "python")
    assert len(code.splitlines()) == 10
    (tmp_path / "test_reports.py").write_text(code)
    passing, failing = re.findall(r"(?ms)^```console\n(.*?)^```$", section("OSS for tests"))
    command, passed = passing.splitlines()
    sed, again, message = failing.splitlines()
    assert passed in environments.run(programs, tmp_path, *SHELL, command.removeprefix("$ "))
    environments.run(programs, tmp_path, *SHELL, sed.removeprefix("$ "))
    printed = environments.run(programs, tmp_path, *SHELL, again.removeprefix("$ "), status=1)
    assert re.search(".*".join(map(re.escape, message.split("…"))), printed), printed


@pytest.mark.parametrize("heading", ["Faults and delays", "The clock", "Flask and fc_presign"])
def test_an_example_with_the_fixtures(heading: str, programs: Path, tmp_path: Path) -> None:
    file = tmp_path / "tests" / "test_example.py"
    file.parent.mkdir()
    file.write_text(example(heading, "python"))
    expected = len(re.findall("(?m)^def test", file.read_text()))
    assert f"{expected} passed" in environments.run_tests(programs, file, tmp_path)


def test_an_example_without_pytest(programs: Path, tmp_path: Path) -> None:
    assert environments.run(programs, tmp_path, "python", "-c", example("Fixtures", "python")) == ""


@pytest.mark.parametrize(
    ("heading", "language", "program", "output"),
    [
        ("oss2", "python", ["python", "-c"], ""),
        ("alibabacloud-oss-v2", "python", ["python", "-c"], ""),
        ("pandas, pyarrow and DVC", "python", ["python", "-c"], ""),
        ("ali-oss", "js", ["node", "-e"], "fig true figures\n"),
        ("curl and fc-presign", "sh", SHELL, "fig<Code>SignatureDoesNotMatch\n"),
    ],
)
def test_an_example_of_a_client(
    heading: str,
    language: str,
    program: list[str],
    output: str,
    programs: Path,
    tmp_path: Path,
) -> None:
    extra = {}
    if language == "js":
        extra["NODE_PATH"] = str(script_of_npm("ali-oss/package.json").parents[1])
        program = [shutil.which("node") or "node", *program[1:]]
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with served(programs, tmp_path) as variables:
        code = example(heading, language)
        if "pyarrow" in heading:
            # A thread of pyarrow at times aborts an interpreter that ends (apache/arrow#34314).
            code += "os._exit(0)\n"
        printed = environments.run(
            programs, tmp_path, *program, code, variables={**extra, **variables}
        )
    assert printed == output


def test_the_steps_of_a_workflow(programs: Path, tmp_path: Path) -> None:
    """On a free port; pip is left out."""
    install, start = yaml.safe_load(example("On GitHub", "yaml"))
    assert install["run"].startswith("pip install 'fc-presign[oss] @ git+ADDRESS' ")
    first, wait = start["run"].splitlines()
    assert first == START
    (tmp_path / "github").write_text("OTHER=1\n")
    (tmp_path / "test_reports.py").write_text(
        f"def test_reports():\n{re.sub('(?m)^', '    ', example('oss2', 'python'))}\n"
    )
    steps = [
        START.replace("oss", "oss --port 0"),
        "trap 'kill $!' EXIT",
        wait,
        "env $(cat github) python -m pytest -q -W ignore test_reports.py",
    ]
    printed = environments.run(
        programs,
        tmp_path,
        *SHELL,
        "\n".join(steps),
        variables={"GITHUB_ENV": str(tmp_path / "github")},
    )
    assert "1 passed" in printed
    assert (tmp_path / "github").read_text().startswith("OTHER=1\nOSS_ENDPOINT=http://127.0.0.1:")


def test_the_compose_file_is_that_of_the_clone_and_oss2_reaches_the_bucket_by_its_alias(
    programs: Path, tmp_path: Path
) -> None:
    """A proxy takes the place of the network, in which both names lead to the emulator."""
    shipped = yaml.safe_load((ROOT / "local/compose.yaml").read_text("utf-8"))
    (printed,) = re.findall(r"(?ms)^```yaml\n(services:.*?)^```$", PAGE)
    assert yaml.safe_load(printed) == shipped
    oss = shipped["services"]["oss"]
    assert oss["networks"]["default"]["aliases"] == ["examplebucket.oss"]
    code = example("oss2", "python").replace(", is_path_style=True", "")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with served(programs, tmp_path, *oss["command"], port=port, **oss["environment"]) as variables:
        assert variables["OSS_ENDPOINT"] == "http://oss:9001"
        # That of the page: a client with the temporary key, which the file leaves out.
        program = {**variables, **shipped["services"]["program"]["environment"]}
        proxy = {"http_proxy": f"http://127.0.0.1:{port}"}
        environments.run(programs, tmp_path, "python", "-c", code, variables={**program, **proxy})


def test_each_command_of_the_container_runs(programs: Path, tmp_path: Path) -> None:
    """Without an image: each stage in a folder that has what it copies."""
    lines = (ROOT / "local/Dockerfile").read_text("utf-8").splitlines()
    steps = [line.partition(" ")[::2] for line in lines if line and not line.startswith("#")]
    stage = tmp_path
    stages: dict[str, Path] = {}
    for name, arguments in steps:
        if name == "FROM":
            stage = tmp_path / str(len(stages))
            stage.mkdir()
            stages[arguments.rpartition(" AS ")[2]] = stage
        elif name == "COPY":
            *sources, target = arguments.split()
            copy(sources, stage, target, stages)
        elif name == "RUN":
            # The index of this machine is not asked, and nothing is installed.
            command = arguments.replace("pip ", f'"{sys.executable}" -m pip ', 1)
            options = {"PIP_NO_INDEX": "1", "PIP_DRY_RUN": "1", "PIP_NO_BUILD_ISOLATION": "0"}
            environments.run(programs, stage, "sh", "-c", command, variables=options)
    entry, check = (
        json.loads(arguments[arguments.index("[") :])
        for kind in ("ENTRYPOINT", "HEALTHCHECK")
        for name, arguments in steps
        if name == kind
    )
    assert entry[:2] == ["fc-presign", "oss"]
    with served(programs, tmp_path, *entry[2:]) as variables:
        port = variables["OSS_ENDPOINT"].rpartition(":")[2]
        health = [part.replace("9001", port) for part in check]
        assert environments.run(programs, tmp_path, *health) == ""
        refused = requests.get(f"http://127.0.0.2:{port}/", timeout=20)
        assert refused.status_code == 403


def copy(sources: list[str], stage: Path, target: str, stages: dict[str, Path]) -> None:
    """What a COPY of a Dockerfile does, from the files that git knows or from an earlier stage."""
    origin = ROOT
    if sources[0].startswith("--from="):
        origin = stages[sources.pop(0).removeprefix("--from=")]
    for source in map(Path, sources):
        path = origin / source.relative_to("/build") if source.is_absolute() else origin / source
        if path.is_dir():
            shutil.copytree(path, stage / target, dirs_exist_ok=True)
        else:
            (stage / target).mkdir(exist_ok=True)
            shutil.copy(path, stage / target)


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
