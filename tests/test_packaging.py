"""What `pip install` brings: the library with no dependency, the command with one extra, and nothing else."""

from __future__ import annotations

import ast
import email.message
import email.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import readme_renderer.markdown
import trove_classifiers
import yaml

import signer
from deploy.command import output_of
from deploy.package import interpreters
from tests import git
from tests.deploy.project_copy import ROOT

pytestmark = pytest.mark.ci

# The running Python, then those that are promised.
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHONS = tuple(dict.fromkeys([RUNNING, "3.10", "3.12", "3.13"]))
# .ci/run runs them all.
each_python = pytest.mark.parametrize(
    "version",
    [RUNNING, *(pytest.param(version, marks=pytest.mark.long) for version in PYTHONS[1:])],
)
# Modules of the standard library that Windows does not have.
POSIX_MODULES = {
    "crypt",
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}
# Besides the files of signer/.
SOURCES = {
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "docs/library.md",
    "pyproject.toml",
}
GENERATED = {"PKG-INFO", "setup.cfg"}

SIGN = """
import fc_presign

keys = fc_presign.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
link = fc_presign.presign(
    "GET", "examplebucket", "exampledir/exampleobject.txt",
    credentials=keys,
    endpoint=fc_presign.Endpoint.public("cn-hangzhou"),
    expires_in=600,
    now=1_700_000_000,
)
print(link.url)
assert not fc_presign.verify("GET", link.url, credentials=keys, now=1_700_000_001).faults
assert fc_presign.explain(link.url).findings
"""
MODULES = """
import importlib.metadata
import importlib.util

names = ("signer", "handler", "local", "deploy", "tests", "bench", "live")
print([name for name in names if importlib.util.find_spec(name)])
print([distribution.name for distribution in importlib.metadata.distributions()])
"""


class Distributions(NamedTuple):
    """The files that are published."""

    sdist: Path
    wheel: Path


class Environment(NamedTuple):
    """A virtual environment; its programs are in `programs`."""

    programs: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs one of its programs in a folder without the project, and without the variables of this process."""
        return output_of(
            [str(self.programs / command[0]), *command[1:]],
            60,
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.folder)},
        )


def uv(*arguments: str | Path) -> None:
    done = output_of([sys.executable, "-m", "uv", *map(str, arguments)], 300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Built by the installed setuptools from the files that git knows; the wheel is built from the sdist."""
    folder = tmp_path_factory.mktemp("project")
    for name in git.files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    output = tmp_path_factory.mktemp("dist")
    uv(
        "build",
        "--offline",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        output,
        folder,
    )
    (sdist,) = output.glob("*.tar.gz")
    (wheel,) = output.glob("*.whl")
    return Distributions(sdist, wheel)


def environment(version: str, folder: Path) -> Environment:
    """An empty virtual environment, with not even pip."""
    interpreter = interpreters.find(version)
    if interpreter is None:
        pytest.skip(f"Python {version} is not installed")
    uv("venv", "--offline", "--no-project", "--python", interpreter, folder / "venv")
    return Environment(folder / "venv" / ("Scripts" if os.name == "nt" else "bin"), folder)


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def test_the_wheel_has_the_files_of_signer_that_git_knows_as_fc_presign(
    distributions: Distributions,
) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        sources = {
            name.replace("signer", "fc_presign", 1): ROOT / name for name in git.files("signer")
        }
        assert names == set(sources)
        assert all(archive.read(name) == path.read_bytes() for name, path in sources.items())
        (info,) = {name.split("/")[0] for name in archive.namelist()} - {"fc_presign"}
        assert f"{info}/licenses/LICENSE" in archive.namelist()


def test_the_source_distribution_has_what_builds_the_wheel_and_nothing_else(
    distributions: Distributions,
) -> None:
    with tarfile.open(distributions.sdist) as archive:
        names = {
            member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()
        }
    own = {name for name in names if not name.startswith("fc_presign.egg-info/")} - GENERATED
    assert own == git.files("signer", *SOURCES)
    assert own >= SOURCES


def test_the_library_has_no_dependency_and_the_command_and_its_profiles_are_the_only_extras(
    distributions: Distributions,
) -> None:
    headers = metadata(distributions.wheel)
    assert headers.get_all("Provides-Extra") == ["cli", "profiles"]
    assert all(
        re.search(r"extra == ['\"](cli|profiles)['\"]", line)
        for line in headers.get_all("Requires-Dist", [])
    )
    assert headers["Author"] == "The fc-presign authors"


def test_what_the_command_imports_is_in_its_extra(distributions: Distributions) -> None:
    """A module of the standard library, of ours, or of a package that the extra names."""
    lines = [
        line
        for line in metadata(distributions.wheel).get_all("Requires-Dist", [])
        if re.search("extra.*cli", line)
    ]
    required = {re.split(r"[<>=!~;\[ ]", line)[0].replace("-", "_") for line in lines}
    known = {*sys.stdlib_module_names, *required}
    unknown = {
        module for path in (ROOT / "signer").rglob("*.py") for module in imports(path)
    } - known
    assert not unknown


def test_the_library_and_the_command_import_nothing_that_windows_lacks() -> None:
    files = list((ROOT / "signer").rglob("*.py"))
    assert len(files) > 20
    for path in files:
        # tests/signer/cli/test_pasted.py has a command without it.
        expected = {"readline"} if path.name == "terminal.py" else set()
        assert imports(path) & POSIX_MODULES == expected, path


def imports(path: Path) -> set[str]:
    """The top-level names of what a module imports, but for its own package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def test_the_metadata_is_valid_and_its_description_renders(distributions: Distributions) -> None:
    headers = metadata(distributions.wheel)
    classifiers = headers.get_all("Classifier", [])
    assert set(classifiers) <= trove_classifiers.classifiers
    assert {f"Programming Language :: Python :: {version}" for version in PYTHONS} <= set(
        classifiers
    )
    assert headers["Keywords"]
    assert headers["License-Expression"] == "Apache-2.0"
    assert headers["Description-Content-Type"] == "text/markdown"
    page = readme_renderer.markdown.render(str(headers.get_payload()))
    assert page is not None
    assert re.search("<h1[^>]*>fc-presign: ", page)
    # On an index, links and pictures that are relative to the repository lead nowhere.
    assert all(
        url.startswith(("https://", "#")) for url in re.findall(r'(?:href|src)="([^"]*)"', page)
    )


@each_python
def test_the_wheel_signs_in_an_empty_environment_without_an_index(
    version: str, distributions: Distributions, tmp_path: Path
) -> None:
    installed = environment(version, tmp_path)
    uv(
        "pip",
        "install",
        "--offline",
        "--no-index",
        "--python",
        installed.programs / "python",
        distributions.wheel,
    )
    assert_library_works(installed)


def assert_library_works(installed: Environment) -> None:
    done = installed.run("python", "-c", SIGN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/exampledir/exampleobject.txt?"
    )
    assert installed.run("python", "-c", MODULES).stdout.splitlines() == ["[]", "['fc-presign']"]
    done = installed.run("fc-presign", "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert "fc-presign[cli]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long  # .ci/run runs all of this file
@each_python
def test_the_extra_brings_the_command_whose_help_names_what_was_called(
    version: str, distributions: Distributions, tmp_path: Path
) -> None:
    installed = environment(version, tmp_path)
    uv(
        "pip",
        "install",
        "--python",
        installed.programs / "python",
        f"fc-presign[cli] @ {distributions.wheel.as_uri()}",
    )
    for command in (("fc-presign",), ("python", "-m", "fc_presign")):
        done = installed.run(*command, "--help")
        assert done.returncode == 0, done.stderr
        assert f"Usage: {' '.join(command)} " in done.stdout
        assert f"  {' '.join(command)} explain - " in done.stdout
    assert installed.run("fc-presign", "--version").stdout == f"fc-presign {signer.__version__}\n"
    done = installed.run("python", str(ROOT / "tools/installed.py"))
    assert done.returncode == 0, done.stderr
    done = installed.run("python", "-c", SIGN)
    url = done.stdout.splitlines()[0]
    done = installed.run("fc-presign", "explain", url)
    assert done.returncode == 1, done.stderr
    assert "expired" in done.stdout


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_actions_to_commits_may_only_read_and_deploys_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for action in re.findall(r"uses: (.+)", text):
        assert action.startswith("./") or re.fullmatch(
            r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action
        )
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    # The registry of Serverless Devs knows no identities: one step has its token.
    expected = ["serverless_devs", "secrets."] if path.name == "release.yml" else []
    assert (
        re.findall(r"\bs (?:deploy|remove)\b|\bsecrets\.|serverless_devs|aliyun/", text) == expected
    )
    targets = re.search(
        r"(?s)^\.PHONY: (.*?)\n\.", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert targets
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= set(targets[1].split())


def jobs_of(workflow: str) -> dict[str, Any]:
    content = (ROOT / f".github/workflows/{workflow}.yml").read_text(encoding="utf-8")
    jobs: dict[str, Any] = yaml.safe_load(content)["jobs"]
    return jobs


def step_of(job: dict[str, Any], action: str) -> dict[str, Any]:
    """What an action of a job is called with."""
    (step,) = (step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@"))
    settings: dict[str, Any] = step["with"]
    return settings


def test_only_one_workflow_runs_for_a_tag_and_publishes_after_all_tests_and_an_approval() -> None:
    # YAML 1.1 reads the key `on` as true.
    triggers = {path.stem: yaml.safe_load(path.read_text("utf-8"))[True] for path in WORKFLOWS}
    assert triggers["release"] == {"push": {"tags": ["v*"]}}
    assert [name for name, when in triggers.items() if "tags" in (when.get("push") or {})] == [
        "release"
    ]
    jobs = jobs_of("release")
    assert jobs["test"] == {"needs": "version", "uses": "./.github/workflows/ci.yml"}
    published = {name: job for name, job in jobs.items() if name not in ("version", "test")}
    assert {name: (job["needs"], job["environment"]) for name, job in published.items()} == {
        "index": ("test", "release"),
        "registry": ("test", "registry"),
    }


def test_the_wheel_that_is_published_is_the_one_that_every_system_installed() -> None:
    jobs = jobs_of("ci")
    index = jobs_of("release")["index"]
    assert index["permissions"] == {"id-token": "write"}
    assert {name for name, job in jobs_of("release").items() if "permissions" in job} == {"index"}
    built = step_of(jobs["build"], "actions/upload-artifact")
    for job in (jobs["installed"], index):
        downloaded = step_of(job, "actions/download-artifact")
        assert downloaded == {"name": built["name"], "path": built["path"]}
    assert not [step for step in index["steps"] if "run" in step]
    systems = jobs["installed"]["strategy"]["matrix"]["system"]
    assert [system.partition("-")[0] for system in systems] == ["ubuntu", "macos", "windows"]
    assert [step["run"] for step in jobs["installed"]["steps"] if "run" in step] == [
        'python -m pip install "$(echo dist/*.whl)[cli]"',
        "python tools/installed.py",
    ]


def test_the_template_is_published_by_the_only_step_with_a_token() -> None:
    *others, last = jobs_of("release")["registry"]["steps"]
    assert [step for step in others if "env" in step] == []
    assert (last["run"], last["working-directory"]) == ("s registry publish", "build/template")
    # The client that the tests use.
    client = json.loads((ROOT / "tests/node/package.json").read_text(encoding="utf-8"))[
        "dependencies"
    ]
    install = (
        f"npm install --global --ignore-scripts @serverless-devs/s@{client['@serverless-devs/s']}"
    )
    assert [step["run"] for step in others if "run" in step] == ["make template", install]
    assert not step_of({"steps": others}, "actions/setup-node")["package-manager-cache"]


def test_the_slow_tests_run_on_a_schedule_and_all_tests_with_the_oldest_packages() -> None:
    weekly = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text("utf-8"))
    assert set(weekly[True]) == {"schedule", "workflow_dispatch"}
    runs = [step.get("run", "") for step in weekly["jobs"]["long"]["steps"]]
    assert "make test-long ARGS=--junitxml=build/long.xml" in runs
    assert runs.index(".venv/bin/python -m tools.skipped_tests build/long.xml") > 0
    runs = [step.get("run", "") for step in weekly["jobs"]["macos"]["steps"]]
    assert runs[-2:] == ["make demo", "make test"]
    assert jobs_of("ci")["lowest"]["strategy"]["matrix"]["python"] == ["3.10", "3.12"]
