"""The Makefile, in a copy of the project with a stand-in for Python: nothing is installed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.command import output_of
from tests.deploy.project_copy import ROOT, install

# Writes each call into the file `calls`. As `python3 -m venv FOLDER` it puts itself into FOLDER/bin; `$venv` says how
# that ends, and `$missing` which module it lacks.
PYTHON = """\
echo "$@${PYTHONSAFEPATH:+ without this folder}" >> '{calls}'
case "$*" in
  *"$missing"*) [ -z "$missing" ] || { echo "No module named $missing" >&2; exit 1; } ;;
esac
case "$1 $2" in
"-c import os,"*) [ -z "$lock" ] || echo "$lock" ;;
"-m venv")
  mkdir -p "$3/bin"
  [ "$venv" != full ] || { echo "Error: [Errno 28] No space left on device" >&2; exit 1; }
  cp "$0" "$3/bin/python"
  touch "$3/pyvenv.cfg"
  [ "$venv" != interrupted ] || kill -KILL 0
  [ "$venv" != failed ] || { echo "Traceback"; echo "Error: [Errno 28] No space left on device" >&2; exit 1; }
  touch "$3/bin/pip" ;;
"-m pip")
  [ -e "$(dirname "$0")/pip" ] || { echo "No module named pip" >&2; exit 1; }
  [ "$pip $3" != "offline install" ] || { echo "ERROR: No matching distribution found" >&2; exit 1; } ;;
esac
"""


class Run(NamedTuple):
    """A run of make: `output` is both its standard output, which is `out`, and its standard error."""

    status: int
    out: str
    output: str
    calls: list[str]


class Project(NamedTuple):
    """A folder with the Makefile and a stand-in for Python."""

    folder: Path

    def make(self, *arguments: str, **variables: str) -> Run:
        """Runs make; `variables` is the environment of the stand-in, `calls` how it was called in this run."""
        calls = self.folder / "calls"
        calls.write_text("")
        process = subprocess.run(
            [shutil.which("make") or "", *arguments, f"PYTHON={self.folder / 'python3'}"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
        )
        return Run(
            process.returncode,
            process.stdout,
            process.stdout + process.stderr,
            calls.read_text().splitlines(),
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    node = folder / "tests/node/node_modules"
    node.mkdir(parents=True)
    for path in (node.parent / "package-lock.json", node / ".package-lock.json"):
        path.touch()
    install(folder / "python3", PYTHON.replace("{calls}", str(folder / "calls")))
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return Project(folder)


@pytest.fixture
def installed(project: Project) -> Project:
    """A project whose packages are all installed."""
    assert project.make(*(f".venv/{stamp}.stamp" for stamp in ("cli", "local", "dev"))).status == 0
    return project


def test_the_help_lists_every_target(project: Project) -> None:
    rules = re.findall(r"(?m)^([a-z][a-z -]*):", (ROOT / "Makefile").read_text("utf-8"))
    targets = {name for rule in rules for name in rule.split()} - {"help"}
    assert {"demo", "explain", "test-long"} < targets
    listed = project.make().output
    assert {name for name in targets if not re.search(rf"make {name}\b", listed)} == set()


def test_packages_are_installed_once(project: Project) -> None:
    first, second = project.make("build"), project.make("build")
    assert "-m venv .venv" in first.calls
    assert any(call.startswith("-m pip install") for call in first.calls)
    assert second.calls == ["-m deploy.build s.yaml"]


LOCK = "deploy/requirements/deploy-3.12.lock"


def test_what_deploys_is_installed_with_hashes_where_a_lock_fits(project: Project) -> None:
    run = project.make("build", lock=LOCK)
    assert f"They are those of {LOCK}, with their hashes." in run.output
    assert [call for call in run.calls if "pip install" in call] == [
        f"-m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r {LOCK}"
    ]


def test_what_deploys_is_installed_from_its_ranges_elsewhere(project: Project) -> None:
    run = project.make("build")
    assert "No lock of deploy/requirements is for this Python and machine" in run.output
    assert [call.partition("-check ")[2] for call in run.calls if "pip install" in call] == [
        "pip>=25.1",
        "-r requirements.txt --group local",
    ]
    # The lock is about what deploys alone.
    assert "lock" not in project.make("sign", lock=LOCK).output


def test_a_lock_fits_its_version_of_python_on_linux() -> None:
    definition = re.search(
        r"(?m)^FITTING_LOCK = ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text("utf-8")
    )
    assert definition is not None
    here = (sys.platform, platform.machine(), sys.version_info[:2])
    fits = [("linux", "x86_64", version) for version in ((3, 10), (3, 12))]
    lock = "deploy/requirements/deploy-{}.{}.lock".format(*here[2]) if here in fits else ""
    code = definition[1].replace("\\\n", "")
    assert output_of([sys.executable, "-c", code], 60, cwd=ROOT).stdout.strip() == lock


def test_an_installation_leaves_standard_output_to_the_command(project: Project) -> None:
    run = project.make("policies", "FORMAT=commands")
    assert (run.status, run.out) == (0, "")
    assert "Installing the packages for local into .venv" in run.output


@pytest.mark.parametrize("interrupted", [{"venv": "interrupted"}, {"missing": "pip install"}])
def test_an_installation_that_was_interrupted_is_made_again(
    interrupted: dict[str, str], project: Project
) -> None:
    assert project.make("build", **interrupted).status != 0
    run = project.make("build")
    assert run.status == 0, run.output
    assert run.calls[-1] == "-m deploy.build s.yaml"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"venv": "failed"}, "No space left on device"),
        ({"venv": "full"}, "check the free space"),
        ({"pip": "offline"}, "check that it reaches the package index"),
        ({"missing": "version_info"}, "Python 3.10 or newer is required"),
    ],
)
def test_a_python_that_does_not_work_is_one_sentence(
    fault: dict[str, str], sentence: str, project: Project
) -> None:
    run = project.make("demo", **fault)
    assert run.status != 0
    assert sentence in run.output
    assert "No module named" not in run.output
    assert "Traceback" not in run.output
    assert project.make("demo").status == 0


def test_a_python_that_does_not_exist_is_named(project: Project) -> None:
    (project.folder / "python3").unlink()
    run = project.make("demo")
    assert run.status != 0
    assert (
        f"{project.folder}/python3 was not found. Name a Python: make demo PYTHON=…" in run.output
    )


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_where_python_has_no_venv_make_says_what_to_install(missing: str, project: Project) -> None:
    for _ in range(2):
        run = project.make("demo", missing=missing)
        assert run.status != 0
        assert "apt install python3-venv" in run.output
        assert "No module named" not in run.output
        assert not (project.folder / ".venv/bin/python").exists()
    assert project.make("demo").status == 0


def test_a_folder_that_is_not_a_virtual_environment_is_left_as_it_is(project: Project) -> None:
    theirs = project.folder / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    for goal in ("demo", "clean"):
        run = project.make(goal, "VENV=theirs")
        assert run.status != 0
        assert "is not a virtual environment" in run.output
    assert os.listdir(theirs) == ["file"]
    (theirs / "file").unlink()
    assert project.make("demo", "VENV=theirs").status == 0


def test_make_clean_deletes_a_virtual_environment_also_an_unfinished_one(project: Project) -> None:
    for interrupted in ({}, {"venv": "interrupted"}, {"missing": "pip install"}):
        project.make("build", **interrupted)
        assert (project.folder / ".venv").exists()
        assert project.make("clean").status == 0
        assert not (project.folder / ".venv").exists()


def test_two_targets_of_one_make_install_one_after_the_other(project: Project) -> None:
    run = project.make("-j", "keys", "sign")
    assert run.status == 0, run.output
    assert [
        call.partition(" ")[2][:12]
        for call in run.calls
        if " venv " in call or "pip install" in call
    ] == [
        "venv .venv",
        "pip install ",
        "pip install ",
        "pip install ",
        "pip install ",
    ]


@pytest.mark.parametrize("npm", ["works", "fails", None])
def test_make_test_installs_what_it_uses_of_npm_once_and_runs_without_it(
    npm: str | None, project: Project
) -> None:
    programs = project.folder / "bin"
    programs.mkdir()
    (project.folder / "tests/node/node_modules/.package-lock.json").unlink()
    for name in ("ls", "tail", "touch", "dirname", "mkdir", "cp", "sh", "make"):
        (programs / name).symlink_to(shutil.which(name) or pytest.fail(name))
    if npm:
        status = 0 if npm == "works" else 1
        install(
            programs / "npm",
            f"echo npm $1 >> '{project.folder}/calls'\nmkdir -p node_modules\nexit {status}",
        )
    first, second = (project.make("test", PATH=str(programs)) for _ in range(2))
    for run in (first, second):
        assert run.status == 0, run.output
        assert run.calls[-1] == "-m pytest -n auto --maxprocesses 4 -q -m not long and not ci"
    installed = {"works": [1, 0], "fails": [1, 1], None: [0, 0]}[npm]
    assert [run.calls.count("npm ci") for run in (first, second)] == installed
    assert ("the tests that need them are skipped" in first.output) == (npm == "fails")


COMMANDS = [
    (
        ("run", "PORT=9100", "OSS_PORT=0"),
        "-m local --root samples --config s.yaml --http-port 9100 --oss-port 0",
    ),
    (("oss", "ROOT=a b", "PORT=0", "ARGS=--json"), "-m signer oss --root a b --oss-port 0 --json"),
    (("check", "ENV=prod", "CONFIG=other/s.yaml"), "-m deploy.check other/s.yaml --env prod"),
    (("policies", "FORMAT=commands", "ENV=dev"), "-m deploy.policies s.yaml --env dev --commands"),
    (("keys", "ENV=prod", "ARGS=show"), "-m deploy.operate --env prod keys show"),
    (
        ("notices", "CONFIG=mine.s.yaml"),
        "-m deploy.operate --config mine.s.yaml notices list",
    ),
    (("notices",), "-m deploy.operate notices list"),
    (("alarms", "ENV=dev"), "-m deploy.policies s.yaml --env dev --alarms"),
    (
        ("doctor", "URL=https://links.example.com/?a&b"),
        "-m deploy.doctor s.yaml --url https://links.example.com/?a&b",
    ),
    (("live", "YES=1", "REGION=cn-beijing"), "-m live --region cn-beijing --yes"),
    (
        ("live", "YES=1", "STS=1", "ROLE_ARN=acs:ram::1:role/a"),
        "-m live --sts --role-arn acs:ram::1:role/a --yes",
    ),
    (("live-sweep", "ACCOUNT=1"), "-m live --sweep --account"),
    (("sign", "ARGS=oss://examplebucket/a.txt"), "-m signer sign oss://examplebucket/a.txt"),
    (
        ("explain", "ARGS='https://example.com/?a&b' --json"),
        "-m signer explain https://example.com/?a&b --json",
    ),
    (
        ("docs",),
        "-m tools.reference; -m tools.explain_page; -m tools.live_status; -m tools.screenshots",
    ),
    (
        ("docs", "CHECK=1"),
        "-m tools.reference --check; -m tools.explain_page --check; -m tools.live_status --check",
    ),
    (
        ("test", "ARGS=tests/test_make.py"),
        "-m pytest -n auto --maxprocesses 4 -q -m not long and not ci tests/test_make.py",
    ),
    (("sbom",), "-m tools.sbom"),
    (("test-ci",), "-m pytest -n auto --maxprocesses 4 -q -m not long"),
    (
        ("test-long",),
        "-m pytest -n auto --maxprocesses 4 --dist worksteal -q -m long or hypothesis "
        "--hypothesis-profile=new-inputs -o faulthandler_timeout=1800",
    ),
]


def test_every_target_passes_its_arguments_on(installed: Project) -> None:
    for arguments, expected in COMMANDS:
        run = installed.make(*arguments)
        assert (run.status, "; ".join(call.rstrip() for call in run.calls)) == (0, expected), (
            arguments,
            run.output,
        )


def test_variables_of_the_environment_are_no_arguments(installed: Project) -> None:
    others = (
        "ARGS",
        "CONFIG",
        "ENV",
        "FORMAT",
        "OSS_PORT",
        "PORT",
        "REGION",
        "ROLE_ARN",
        "ROOT",
        "URL",
        "VENV",
    )
    for goal, expected in [
        ("run", "-m local --root samples --config s.yaml"),
        ("oss", "-m signer oss --root data"),
        ("policies", "-m deploy.policies s.yaml"),
        ("doctor", "-m deploy.doctor s.yaml"),
        ("live", "-m live"),
    ]:
        flags = dict.fromkeys(("YES", "STS", "KMS", "REPLAY", "PYTHONSAFEPATH"), "1")
        run = installed.make(goal, **dict.fromkeys(others, "other"), **flags)
        assert (run.status, [call.rstrip() for call in run.calls]) == (0, [expected]), run.output


def test_an_unknown_format_is_refused(installed: Project) -> None:
    run = installed.make("policies", "FORMAT=xml")
    assert run.status != 0
    assert "FORMAT must be json or commands" in run.output
    assert run.calls == []


@pytest.mark.parametrize("missing", ["pip install", "deploy.policies", "version_info"])
@pytest.mark.parametrize("goal", ["policies", "alarms"])
def test_a_script_that_could_not_be_made_fails(goal: str, missing: str, project: Project) -> None:
    run = project.make(goal, "FORMAT=commands", missing=missing)
    assert run.status != 0
    script = output_of(["sh", "-c", run.out], 60)
    assert (script.returncode, script.stderr) == (1, f"make {goal} failed: run it again.\n")


def test_make_lock_resolves_all_requirements_for_both_versions(installed: Project) -> None:
    run = installed.make("lock", "ARGS=--upgrade")
    digest, *resolved, programs = run.calls
    assert digest.startswith("-c import hashlib")
    command = " --custom-compile-command make lock () "
    assert [call.partition(command)[2] for call in resolved] == [
        f"{requirements} --python-version {python} --output-file deploy/requirements/{prefix}{python}.lock"
        for python in ("3.10", "3.12")
        for requirements, prefix in (
            ("requirements.txt", ""),
            ("deploy/requirements/custom.txt", "custom-"),
            ("requirements.txt --group pyproject.toml:local", "deploy-"),
        )
    ] + [
        "deploy/requirements/release.txt --python-version 3.12 --output-file deploy/requirements/release.lock"
    ]
    assert programs.endswith(" --output-file tests/emulator/programs/programs.lock")
    for call in (*resolved, programs):
        assert call.startswith("-m uv pip compile ")
        assert {"--generate-hashes", "--no-emit-index-url", "--upgrade"} <= {*call.split()}
        assert ("--only-binary" in call) is (call != programs)


def test_make_audit_looks_up_each_lock_by_itself(installed: Project) -> None:
    """Two locks may pin different versions of one package."""
    locks = installed.folder / "deploy/requirements"
    locks.mkdir(parents=True)
    for name in ("3.10.lock", "deploy-3.12.lock"):
        (locks / name).touch()
    audited = [call for call in installed.make("audit").calls if "--require-hashes" in call]
    assert audited == [
        f"-m pip_audit --strict --disable-pip --require-hashes -r deploy/requirements/{name}"
        for name in ("3.10.lock", "deploy-3.12.lock")
    ]


def test_make_template_deletes_no_folder_that_was_named(installed: Project) -> None:
    for folder in ("folder", "build/template"):
        (installed.folder / folder).mkdir(parents=True)
        (installed.folder / folder / "file").touch()
    assert installed.make("template", "ARGS=folder").status == 0
    assert (installed.folder / "folder/file").exists()
    assert installed.make("template").status == 0
    assert not (installed.folder / "build/template/file").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "target"),
    [
        ("deploy.doctor", [], "make doctor"),
        ("handler.commands notices", ["retry"], "make notices"),
        ("handler.commands keys", ["--keys", "oss://examplebucket/keys.json", "show"], "make keys"),
    ],
)
def test_a_command_whose_packages_are_missing_names_the_target_that_installs_them(
    command: str, arguments: list[str], target: str, tmp_path: Path
) -> None:
    (tmp_path / "links.toml").write_text(
        'region = "cn-hangzhou"\nstate = "oss://examplebucket/.links/state/"\n'
    )
    key = {
        "OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE",
        "OSS_ACCESS_KEY_SECRET": "EXAMPLE",
        "LINK_REGION": "cn-hangzhou",
    }
    process = output_of(
        [sys.executable, "-S", "-m", *command.split(), *arguments],
        60,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **key},
    )
    assert (process.returncode, process.stdout) == (1, "")
    sentence = (
        rf"python -m {command}: [Tt]he Python package \w+ is not installed\. Run {target}\b.*\n"
    )
    assert re.fullmatch(sentence, process.stderr)
