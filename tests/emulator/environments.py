"""The wheel, and environments that have it and nothing else of this project. Each is made once in a run of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.command import output_of
from tests import git

ROOT = git.ROOT
SECONDS = 280  # of the 300 after which pytest ends a test
NO_INDEX = "error sending request"


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder for this run of the tests, the same for each worker of pytest-xdist."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, which the first process that needs it makes. The others wait for that."""
    mark = folder.with_name(f"{folder.name}.made")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            make(folder)
            mark.touch()
    return folder


def build_wheel(folder: Path) -> None:
    """Builds the wheel, by the installed setuptools, from the files that git knows."""
    source = folder.with_name(f"{folder.name}.source")
    for name in git.files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    options = ["--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
    uv("build", *options, "--out-dir", folder, source)


def create(folder: Path, interpreter: Path, *packages: str | Path) -> None:
    """A virtual environment with what `uv pip install` is called with. Without a package index, the test is skipped."""
    uv("venv", "--offline", "--no-project", "--clear", "--python", interpreter, folder)
    install(folder, *packages)


def install(folder: Path, *packages: str | Path) -> None:
    uv("pip", "install", "--python", folder / "bin/python", *packages)


def uv(*arguments: str | Path) -> None:
    done = output_of([sys.executable, "-m", "uv", *map(str, arguments)], SECONDS)
    if done.returncode and NO_INDEX in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr


def run_tests(environment: Path, tests: Path, folder: Path) -> str:
    """What pytest prints of a copy of the file or folder `tests`, in `folder` and without the variables of this process."""
    copy = folder / tests.name
    (shutil.copytree if tests.is_dir() else shutil.copy)(tests, copy)
    variables = {
        "DVC_SITE_CACHE_DIR": str(folder / "dvc"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
    }
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore", "--basetemp", str(folder / "tmp")]
    command = [str(environment / "bin/python"), "-m", "pytest", *options, str(copy)]
    done = output_of(command, SECONDS, cwd=folder, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
