"""Whatever a run of the tests inherits of who starts it, they find the same; and none of them can wait for ever."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.command import output_of
from tests import git
from tests.deploy.project_copy import ROOT, install

# One of signals, one of a terminal and a link that ends, and one that is a client of this machine, whose files and
# settings it makes.
CHOSEN = (
    "tests/signer/cli/test_pasted.py::test_a_signal_leaves_the_terminal_as_it_was",
    "tests/signer/cli/test_pasted.py::test_keys_edit_what_is_typed_and_the_answer_of_oss_may_follow",
    "tests/local/test_samples.py::test_there_is_everything_with_the_shipped_configuration_and_a_second_start_keeps_it",
)
PROXY = "http://127.0.0.1:9"  # where nobody answers
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a second of imports
HOSTILE = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), PROXY),
    "OSS_ACCESS_KEY_ID": "LTAI5tFOREIGN",
    "OSS_ACCESS_KEY_SECRET": "foreign",
    "OSS_REGION": "foreign",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI5tFOREIGN",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "foreign",
    "LINK_CONFIG": "foreign.toml",
    "LINK_REGION": "foreign",
    "LINK_OSS_ENDPOINT": PROXY,
    "PYTHONSAFEPATH": "1",
    "GIT_DIR": "/nonexistent",
    "COLUMNS": "40",
    "TZ": "Asia/Shanghai",
    "LC_ALL": "C",
}
# The tests begin long after their modules were imported, as in a run of an hour.
START = """
import os, pytest, signal, sys, time
class Late:
    seconds = 7200
    def pytest_collection_finish(self):
        self.seconds = 0
late, clock = Late(), time.time
time.time = lambda: clock() - late.seconds
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD, signal.SIGTSTP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGUSR1))
os.umask(0o077)
os.close(0)
sys.exit(pytest.main(sys.argv[1:], [late]))
"""


@pytest.mark.ci
def test_tests_pass_whatever_they_inherit(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("signer", "handler", "local", "deploy", "live", "bench", "tools", "tests"):
        install(tmp_path / "foreign" / name / "__init__.py", "raise SystemExit('foreign')")
    done = output_of(
        [sys.executable, "-c", START, "-q", "-p", "no:cacheprovider", *CHOSEN],
        240,
        cwd=ROOT,
        env={
            **os.environ,
            **HOSTILE,
            **ALONE,
            "TMPDIR": str(folder),
            "PYTHONPATH": str(tmp_path / "foreign"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_outside_of_a_clone_what_git_knows_is_not_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "ROOT", tmp_path)
    with pytest.raises(pytest.skip.Exception):
        git.files("*.py")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("status", [0, 3])
def test_ci_runs_the_tests_without_what_a_terminal_gives_and_keeps_their_status(
    status: int, tmp_path: Path
) -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    block = script.partition('say "Tests"\n')[2].partition(".venv/bin/python -m tools")[0]
    code = "import os, signal, sys; print(os.environ['http_proxy'], int(signal.getsignal(signal.SIGINT)), sys.stdin); "
    code += f"sys.exit({status})"
    install(tmp_path / "make", f"exec '{sys.executable}' -c \"{code}\"")
    done = output_of(
        ["bash", "-euo", "pipefail", "-c", f"python=python3; {block} echo done"],
        60,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.returncode == status
    assert done.stdout.split() == [
        PROXY,
        str(int(signal.SIG_IGN)),
        "None",
        *(["done"] if status == 0 else []),
    ]


def test_each_wait_for_a_program_or_a_thread_has_a_bound() -> None:
    waits = r"\bsubprocess\.run\(|\.(?:wait|join|communicate)\((?:\)|\s*\w+=)"
    found = 0
    for path in (ROOT / "tests").rglob("*.py"):
        # Functions of tests hang on purpose.
        if {"node", "functions"} & set(path.parts) or not re.search(
            waits, text := path.read_text(encoding="utf-8")
        ):
            continue
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            if name == "subprocess.run" or (
                name.rpartition(".")[2] in ("wait", "join", "communicate") and not call.args
            ):
                found += 1
                assert "timeout" in {keyword.arg for keyword in call.keywords}, (
                    f"{path}:{call.lineno}"
                )
    assert found > 20


def test_every_run_draws_the_same_inputs_but_make_test_long_new_ones(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from hypothesis import given, strategies\n"
        "drawn = []\n"
        "@given(strategies.integers())\n"
        "def test_draws(number):\n    drawn.append(number)\n"
        "def test_prints():\n    print('drawn:', *drawn)\n"
    )
    options = ["-p", "tests.conftest", "-p", "_hypothesis_pytestplugin", "-s", str(tmp_path)]

    def drawn(*more: str, **variables: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", *options, *more]
        done = output_of(command, 60, cwd=ROOT, env={**os.environ, **ALONE, **variables})
        assert done.returncode == 0, done.stdout + done.stderr
        output: str = done.stdout
        return output.partition("drawn: ")[2].partition("\n")[0].split()

    first = drawn()
    assert len(first) > 10
    assert drawn(CI="true") == first
    (profile,) = re.findall(r"--hypothesis-profile=\S+", (ROOT / "Makefile").read_text("utf-8"))
    new = drawn(profile, CI="true")
    assert len(new) > 100
    assert new[: len(first)] != first
    assert settings.get_profile(profile.partition("=")[2]).database is not None


def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("faulthandler_timeout")) <= 1800
    (tmp_path / "test_it.py").write_text(
        "import threading\ndef test_hangs():\n    threading.Event().wait()\n"
    )
    options = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
        "-o",
        "faulthandler_timeout=0.1",
    ]
    done = output_of(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        60,
        cwd=tmp_path,
        env={**os.environ, **ALONE},
    )
    assert done.returncode == 1
    assert "in test_hangs" in done.stderr
