"""The wheel, and environments that have it and nothing else of this project; each is made once in a run."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from deploy.command import output_of
from deploy.package import interpreters
from tests import git

ROOT = git.ROOT
SECONDS = 280  # of the 300 after which pytest ends a test
LOCK = Path(__file__).parent / "programs/programs.lock"
LOCKED_FOR = "3.12"
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


def interpreter(version: str) -> Path:
    path = interpreters.find(version)
    if path is None:
        pytest.skip(f"Python {version} is not installed")
    return path


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
    """What pytest prints of a copy of the file or folder `tests`, in `folder`."""
    copy = folder / tests.name
    (shutil.copytree if tests.is_dir() else shutil.copy)(tests, copy)
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore", "--basetemp", str(folder / "tmp")]
    return run(environment, folder, "python", "-m", "pytest", *options, copy)


def run(
    environment: Path,
    folder: Path,
    *command: str | Path,
    status: int = 0,
    variables: Mapping[str, str] | None = None,
) -> str:
    """What a program prints that is run in `folder`, with `variables` and without those of this process."""
    environ = {
        **(variables or {}),
        "DVC_SITE_CACHE_DIR": str(folder / "dvc"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{environment}/bin:{os.defpath}",
    }
    done = output_of([*map(str, command)], SECONDS, cwd=folder, env=environ)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
