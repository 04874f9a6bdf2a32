"""Locked packages, installed for a runtime that is not the one that installs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from ..errors import DeployError
from ..locks import lines_of
from ..runtimes import PLATFORMS, Runtime

# Commands and manuals.
_BESIDE = ("bin", "share")
# What differs from one installation to the next, and what only compilers, type checkers and developers read.
_LEFT_OUT = ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/direct_url.json")
_UNREAD = ("*.c", "*.h", "*.pyx", "*.pyi", "*.pxd", "README*", "tests")


def wanted(requirements: Path) -> tuple[str, ...]:
    """What a requirements file asks for by name, `name` or `name[extra]`."""
    found = (re.match(r"[A-Za-z0-9._-]+(\[[^\]]+\])?", line) for line in lines_of(requirements))
    return tuple(match[0] for match in found if match)


def install(lock: Path, runtime: Runtime, folder: Path) -> frozenset[str]:
    """Installs what `lock` pins into `folder`; the top-level names that the packages brought. Raises `DeployError`.

    pip evaluates markers for the interpreter that runs it, which is another than the runtime's: so the lock has none,
    and nothing is resolved here.
    """
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--require-hashes", "--no-compile", "--only-binary", ":all:", "--requirement", str(lock)),
        *("--implementation", "cp", "--python-version", runtime.python, "--target", str(folder)),
        *(option for platform in PLATFORMS for option in ("--platform", platform)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeployError(f"pip cannot be started ({error.strerror}): run make build.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DeployError(f"pip cannot install {lock.name}: {last}")
    brought = _brought(folder)
    for name in _BESIDE:
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in _LEFT_OUT:
        for path in folder.glob(pattern):
            path.unlink()
    for pattern in _UNREAD:
        for path in list(folder.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return brought


def _brought(folder: Path) -> frozenset[str]:
    names = set()
    for record in folder.glob("*.dist-info/RECORD"):
        for line in record.read_text(encoding="utf-8").splitlines():
            names.add(line.split(",")[0].strip('"').split("/")[0])
    return frozenset(names)
