"""Whatever a run of the tests inherits of who starts it, they find the same; and none of them can wait for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Those of signals and terminals, and one that is a client of this machine, whose files and settings it makes.
SAMPLES = "test_with_the_shipped_configuration_there_is_everything_and_it_works"
CHOSEN = ("tests/signer/cli/test_pasted.py", f"tests/local/test_samples.py::{SAMPLES}")
PROXY = "http://127.0.0.1:9"  # where nobody answers
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


def test_tests_pass_whatever_they_inherit(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", START, "-q", "-n", "0", "-p", "no:cacheprovider", *CHOSEN],
        cwd=ROOT,
        env={**os.environ, **HOSTILE, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("faulthandler_timeout")) <= 1800
    (tmp_path / "test_it.py").write_text("import threading\ndef test_hangs():\n    threading.Event().wait()\n")
    command = ["-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(
        [sys.executable, *command, "-n", "0", "-o", "faulthandler_timeout=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "in test_hangs" in done.stderr
