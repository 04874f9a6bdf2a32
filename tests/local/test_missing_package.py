"""Without the packages of the local stack, each command names the make target that installs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (["local"], "make run"),
        (["local", "invoke", "links_http"], "make invoke"),
        (["local.demo"], "make demo"),
        (["bench"], "make bench"),
    ],
)
def test_a_package_that_is_missing_is_named_in_one_sentence(
    command: list[str], target: str
) -> None:
    # With -S, Python does not see what is installed.
    done = subprocess.run(
        [sys.executable, "-S", "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"python -m {command[0]}: the Python package ")
    assert target in line
