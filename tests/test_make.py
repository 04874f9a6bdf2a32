"""The Makefile, in a copy of the project with a stand-in for Python: nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = (*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md")

# Writes each call into the file `calls`. As `python3 -m venv FOLDER` it puts itself into FOLDER/bin; `$venv` says how
# that ends, and `$missing` which module it lacks.
PYTHON = """\
#!/bin/sh
echo "$@" >> {calls}
case "$*" in
  *"$missing"*) [ -z "$missing" ] || { echo "No module named $missing" >&2; exit 1; } ;;
esac
case "$1 $2" in
"-m venv")
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  [ "$venv" != interrupted ] || kill -KILL 0
  [ "$venv" != failed ] || { echo "Traceback"; echo "Error: [Errno 28] No space left on device" >&2; exit 1; }
  touch "$3/bin/pip" ;;
"-m pip")
  [ -e "$(dirname "$0")/pip" ] || { echo "No module named pip" >&2; exit 1; } ;;
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
            ["make", *arguments, f"PYTHON={self.folder / 'python3'}"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
        )
        return Run(process.returncode, process.stdout, process.stdout + process.stderr, calls.read_text().splitlines())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python3"
    python.write_text(PYTHON.replace("{calls}", str(tmp_path / "calls")))
    python.chmod(0o755)
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return Project(tmp_path)


@pytest.fixture
def installed(project: Project) -> Project:
    """A project whose packages are all installed."""
    for stamp in ("cli", "local", "deploy", "dev"):
        assert project.make(f".venv/{stamp}.stamp").status == 0
    return project


@pytest.mark.parametrize("goal", [(), ("help",)])
def test_make_alone_prints_the_help(goal: tuple[str, ...], project: Project) -> None:
    run = project.make(*goal)
    assert (run.status, run.calls) == (0, [])
    for line in ("make demo ", "make keys ", "make explain ", "ARGS="):
        assert line in run.output
    assert not (project.folder / ".venv").exists()


def test_the_help_lists_every_target(project: Project) -> None:
    rules = re.findall(r"(?m)^([a-z][a-z -]*):", (ROOT / "Makefile").read_text("utf-8"))
    targets = {name for rule in rules for name in rule.split()} - {"help"}
    assert {"demo", "verify", "test-long"} < targets
    listed = project.make().output
    assert {name for name in targets if not re.search(rf"make {name}\b", listed)} == set()


def test_packages_are_installed_once(project: Project) -> None:
    first, second = project.make("build"), project.make("build")
    assert "-m venv .venv" in first.calls
    assert any(call.startswith("-m pip install") for call in first.calls)
    assert second.calls == ["-m deploy.build s.yaml"]


def test_an_installation_leaves_standard_output_to_the_command(project: Project) -> None:
    run = project.make("policies", "FORMAT=commands")
    assert (run.status, run.out) == (0, "")
    assert "Creating .venv" in run.output


def test_a_virtual_environment_that_was_interrupted_is_created_again(project: Project) -> None:
    assert project.make("build", venv="interrupted").status == -signal.SIGKILL
    assert (project.folder / ".venv/bin/python").exists()
    run = project.make("build")
    assert run.status == 0, run.output
    assert run.calls[-1] == "-m deploy.build s.yaml"


def test_packages_that_were_not_installed_are_installed_by_the_next_make(project: Project) -> None:
    assert project.make("build", missing="pip install").status != 0
    run = project.make("build")
    assert run.status == 0, run.output
    assert run.calls[-1] == "-m deploy.build s.yaml"


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_where_python_has_no_venv_make_says_what_to_install(missing: str, project: Project) -> None:
    for _ in range(2):
        run = project.make("demo", missing=missing)
        assert run.status != 0
        assert "apt install python3-venv" in run.output
        assert "No module named" not in run.output
        assert not (project.folder / ".venv/bin/python").exists()
    assert project.make("demo").status == 0


def test_a_virtual_environment_that_cannot_be_created_gives_its_reason_in_one_line(project: Project) -> None:
    run = project.make("demo", venv="failed")
    assert run.status != 0
    assert "No space left on device" in run.output
    assert "Traceback" not in run.output
    assert project.make("demo").status == 0


def test_a_virtual_environment_of_others_is_never_deleted(project: Project) -> None:
    binaries = project.folder / ".venv/bin"
    binaries.mkdir(parents=True)
    shutil.copy(project.folder / "python3", binaries / "python")
    (binaries / "theirs").touch()
    run = project.make("demo")
    assert run.status != 0
    assert "make clean" in run.output
    assert (binaries / "theirs").exists()
    (binaries / "pip").touch()
    assert project.make("demo").status == 0
    assert (binaries / "theirs").exists()


@pytest.mark.parametrize("venv", ["", "failed", "interrupted"])
def test_a_folder_that_make_did_not_create_is_left_as_it_is(venv: str, project: Project) -> None:
    theirs = project.folder / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    for _ in range(2):
        run = project.make("demo", "VENV=theirs", venv=venv)
        assert run.status != 0
        assert "theirs exists and is no virtual environment: " in run.output
    assert project.make("clean", "VENV=theirs").status != 0
    assert os.listdir(theirs) == ["file"]
    (theirs / "file").unlink()
    assert project.make("demo", "VENV=theirs").status == 0


def test_make_clean_deletes_a_virtual_environment_also_an_unfinished_one(project: Project) -> None:
    assert project.make("clean").status == 0
    assert project.make("build", missing="pip install").status != 0
    assert project.make("clean").status == 0
    assert not (project.folder / ".venv").exists()
    assert project.make("build").status == 0
    (project.folder / ".venv/pyvenv.cfg").touch()
    assert project.make("clean").status == 0
    assert not (project.folder / ".venv").exists()


def test_a_second_make_leaves_the_installation_of_the_first_alone(project: Project) -> None:
    started, go_on = project.folder / "started", project.folder / "go-on"
    for pipe in (started, go_on):
        os.mkfifo(pipe)
    python = project.folder / "python3"
    python.write_text(
        python.read_text() + f'[ -z "$slow" ] || [ "$2" != venv ] || {{ echo > {started}; read line < {go_on}; }}\n'
    )
    with ThreadPoolExecutor() as pool:
        first = pool.submit(project.make, "build", slow="yes")
        started.read_text()
        second = project.make("demo")
        go_on.write_text("\n")
        assert first.result().status == 0, first.result().output
    assert second.status != 0
    assert "is installing into .venv: wait for it." in second.output
    assert project.make("demo").status == 0


def test_two_targets_of_one_make_install_one_after_the_other(project: Project) -> None:
    python = project.folder / "python3"
    python.write_text(
        python.read_text().replace("cp ", "sleep 0.3; cp ")
        + 'case "$*" in *"pip install"*) sleep 0.1; echo "done" >> {calls} ;; esac\n'.replace(
            "{calls}", str(project.folder / "calls")
        )
    )
    run = project.make("-j", "keys", "sign")
    assert run.status == 0, run.output
    installs = [call for call in run.calls if call == "done" or "pip install" in call]
    assert len(installs) == 8
    assert set(installs[1::2]) == {"done"}
    assert sum("-m venv" in call for call in run.calls) == 1


def test_after_a_failure_the_next_target_of_the_same_make_installs(project: Project) -> None:
    run = project.make("-k", "keys", "sign", missing="group local")
    assert "wait for it" not in run.output
    assert run.calls[-1].startswith("-m signer sign")


def test_a_python_that_is_too_old_or_missing_is_said_in_one_sentence(project: Project) -> None:
    run = project.make("demo", missing="version_info")
    assert run.status != 0
    assert "Python 3.10 or newer is required" in run.output
    assert "No module named" not in run.output


COMMANDS = [
    (("demo",), "-m local.demo"),
    (("run",), "-m local --root samples"),
    (("run", "PORT=9100", "OSS_PORT=0"), "-m local --root samples --http-port 9100 --oss-port 0"),
    (("run", "ARGS=--json"), "-m local --root samples --json"),
    (("invoke", "ARGS=links_events --event event.json"), "-m local invoke links_events --event event.json"),
    (("build",), "-m deploy.build s.yaml"),
    (("check",), "-m deploy.check s.yaml"),
    (("check", "ENV=prod", "CONFIG=other/s.yaml"), "-m deploy.check other/s.yaml --env prod"),
    (("policies",), "-m deploy.policies s.yaml"),
    (("policies", "FORMAT=commands", "ENV=dev"), "-m deploy.policies s.yaml --env dev --commands"),
    (("policies", "FORMAT=json"), "-m deploy.policies s.yaml"),
    (("doctor", "URL=https://links.example.com/?a&b"), "-m deploy.doctor s.yaml --url https://links.example.com/?a&b"),
    (("doctor", "ENV=dev", "ARGS=--uploads"), "-m deploy.doctor s.yaml --env dev --uploads"),
    (("keys",), "-m handler.keys --help"),
    (("keys", "ARGS=init"), "-m handler.keys init"),
    (("notices",), "-m handler.notices list"),
    (("notices", "ARGS=retry --sink ops"), "-m handler.notices retry --sink ops"),
    (("sign", "ARGS=oss://examplebucket/a.txt"), "-m signer sign oss://examplebucket/a.txt"),
    (("explain",), "-m signer explain -"),
    (("explain", "ARGS=- --method HEAD"), "-m signer explain - --method HEAD"),
    (("verify", "ARGS='https://example.com/a?b&c'"), "-m signer verify https://example.com/a?b&c"),
    (("bulk", "ARGS=keys.txt"), "-m signer bulk keys.txt"),
    (("template",), "-m deploy.template build/template"),
    (("template", "ARGS=folder"), "-m deploy.template folder"),
    (("reference", "ARGS=--check"), "-m deploy.reference --check"),
    (("bench", "ARGS=signing"), "-m bench signing"),
    (("test", "ARGS=tests/test_make.py"), "-m pytest -n 2 -q -m not long tests/test_make.py"),
]


def test_every_target_passes_its_arguments_on(installed: Project) -> None:
    for arguments, expected in COMMANDS:
        run = installed.make(*arguments)
        assert (run.status, [call.rstrip() for call in run.calls]) == (0, [expected]), (arguments, run.output)


def test_variables_of_the_environment_are_no_arguments(installed: Project) -> None:
    others = ("ARGS", "CONFIG", "ENV", "FORMAT", "OSS_PORT", "PORT", "URL", "VENV")
    for goal, expected in [
        ("run", "-m local --root samples"),
        ("policies", "-m deploy.policies s.yaml"),
        ("doctor", "-m deploy.doctor s.yaml"),
    ]:
        run = installed.make(goal, **dict.fromkeys(others, "other"))
        assert (run.status, [call.rstrip() for call in run.calls]) == (0, [expected]), run.output


def test_an_unknown_format_is_refused(installed: Project) -> None:
    run = installed.make("policies", "FORMAT=xml")
    assert run.status != 0
    assert "FORMAT must be json or commands" in run.output
    assert run.calls == []


def test_make_policies_with_check_runs_tests_and_then_compares(installed: Project) -> None:
    run = installed.make("policies", "CHECK=1")
    assert run.status == 0
    assert run.calls == [
        "-m pytest -n 2 -q -m not long tests/local tests/e2e",
        "-m deploy.policies s.yaml --unused build/rights-used",
    ]


def test_make_docs_writes_pages_and_pictures_and_with_check_compares_the_pages(installed: Project) -> None:
    run = installed.make("docs")
    assert (run.status, [call.rstrip() for call in run.calls]) == (
        0,
        [
            "-m deploy.reference",
            "-m tests.signer.diagnosis.explain_page",
            "-m tests.e2e.demo_picture",
            "-m tests.e2e.screenshots",
        ],
    )
    run = installed.make("docs", "CHECK=1")
    assert (run.status, [call.rstrip() for call in run.calls]) == (
        0,
        ["-m deploy.reference --check", "-m tests.signer.diagnosis.explain_page --check"],
    )


def test_make_lock_resolves_both_requirements_for_both_versions(installed: Project) -> None:
    run = installed.make("lock", "ARGS=--upgrade")
    digest, *resolved = run.calls
    assert digest.startswith("-c import hashlib")
    assert [call.partition("--upgrade ")[2] for call in resolved] == [
        f"{requirements} --python-version {python} --output-file deploy/requirements/{prefix}{python}.lock"
        for python in ("3.10", "3.12")
        for requirements, prefix in (("requirements.txt", ""), ("deploy/requirements/custom.txt", "custom-"))
    ]
    assert all(call.startswith("-m uv pip compile ") and " --generate-hashes " in call for call in resolved)


def test_make_audit_looks_up_every_lock_and_what_is_installed(installed: Project) -> None:
    locks = installed.folder / "deploy/requirements"
    locks.mkdir(parents=True)
    for name in ("3.10.lock", "new.lock"):
        (locks / name).touch()
    run = installed.make("audit", "ARGS=--dry-run")
    assert (run.status, run.calls) == (
        0,
        [
            "-m pip_audit --strict --disable-pip --require-hashes -r deploy/requirements/3.10.lock "
            "-r deploy/requirements/new.lock --dry-run",
            "-m pip freeze --all --exclude-editable",
            "-m pip_audit --strict --disable-pip --no-deps -r build/installed.txt --dry-run",
        ],
    )


def test_make_template_deletes_no_folder_that_was_named(installed: Project) -> None:
    for folder in ("folder", "build/template"):
        (installed.folder / folder).mkdir(parents=True)
        (installed.folder / folder / "file").touch()
    assert installed.make("template", "ARGS=folder").status == 0
    assert (installed.folder / "folder/file").exists()
    assert installed.make("template").status == 0
    assert not (installed.folder / "build/template/file").exists()


def test_every_command_of_the_documents_has_a_target() -> None:
    recipes = (ROOT / "Makefile").read_text("utf-8")
    commands = {
        command
        for document in DOCUMENTS
        for command in re.findall(r"python -m ([a-z_.]+)", document.read_text("utf-8"))
    }
    commands -= {"pip", "venv"}
    assert "handler.keys" in commands
    assert {command for command in commands if f"python -m {command}" not in recipes} == set()


MISSING = [
    ("deploy.check", "make check"),
    ("deploy.policies", "make policies"),
    ("deploy.doctor", "make doctor"),
    ("deploy.build", "make build"),
    ("handler.notices", "make notices"),
    ("handler.keys", "make keys"),
]


@pytest.mark.parametrize(("command", "target"), MISSING)
def test_a_command_whose_packages_are_missing_names_the_target_that_installs_them(
    command: str, target: str, tmp_path: Path
) -> None:
    arguments = ["--keys", "oss://examplebucket/keys.json", "show"] if command == "handler.keys" else []
    key = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "EXAMPLE", "LINK_REGION": "cn-hangzhou"}
    process = subprocess.run(
        [sys.executable, "-S", "-m", command, *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert process.stdout == ""
    assert re.fullmatch(
        rf"python -m {command}: [Tt]he Python package \w+ is not installed\. Run {target}\b.*\n", process.stderr
    )
