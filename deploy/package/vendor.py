"""Installs the locked distributions for a runtime other than the one that runs the build."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from ..errors import DeployError
from ..runtimes import PLATFORMS, RUNTIMES, Runtime

# Commands and manuals, files that differ between two installations, and what only compilers, type checkers and
# developers read.
_UNREAD = (
    "bin",
    "share",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "**/*.c",
    "**/*.h",
    "**/*.pyx",
    "**/*.pyi",
    "**/*.pxd",
    "**/README*",
    "**/tests",
)


def normalized_name(name: str) -> str:
    """As every tool compares names of distributions (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(root: Path, runtime: Runtime) -> tuple[str, ...]:
    """Each requirement of a runtime as `name` or `name[extra]`, the name normalized, without a version."""
    contents = [(root / name).read_text(encoding="utf-8") for name in runtime.requirements]
    found = re.findall(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]+\])?", "\n".join(contents))
    return tuple(normalized_name(name) + extras for name, extras in found)


def require_lock(root: Path, runtime: Runtime) -> None:
    """Raises `DeployError` if requirements have changed since `make lock`."""
    lock = root / runtime.lock
    try:
        content = lock.read_text(encoding="utf-8")
    except OSError:
        raise DeployError(f"{runtime.lock} not found: run make lock.") from None
    if digest(root) not in content.partition("==")[0]:
        raise DeployError(
            f"{runtime.lock} does not match {' and '.join(runtime.requirements)}: run make lock."
        )


def digest(root: Path) -> str:
    """Of all requirements, as `make lock` writes it into the first lines of each lock."""
    every = dict.fromkeys(name for runtime in RUNTIMES.values() for name in runtime.requirements)
    return hashlib.sha256(b"".join((root / name).read_bytes() for name in every)).hexdigest()[:16]


def install(lock: Path, runtime: Runtime, folder: Path) -> None:
    """Installs what `lock` pins into `folder`. Raises `DeployError`.

    pip evaluates markers for its own interpreter, not for the runtime's, so the lock has no markers and pip resolves
    nothing.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-color",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--require-hashes",
        "--no-compile",
        "--only-binary",
        ":all:",
        "--requirement",
        str(lock),
        "--implementation",
        "cp",
        "--python-version",
        runtime.python,
        "--target",
        str(folder),
        *(option for platform in PLATFORMS for option in ("--platform", platform)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeployError(f"pip cannot be started ({error.strerror}): run make build.") from None
    if done.returncode:
        raise DeployError(f"pip cannot install {lock.name}: {reason(done.stderr)}")


def reason(output: str) -> str:
    """pip's own: the first error, as later ones only say that there was one. What it ignored is not the reason."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    errors = [error for error in errors if not error.startswith("Ignored the following")]
    return (errors or lines[-1:] or ["no output"])[0]


def distributions(folder: Path) -> dict[str, Path]:
    """The installed distributions: normalized name → `*.dist-info` folder."""
    return {
        normalized_name(info.stem.rpartition("-")[0]): info for info in folder.glob("*.dist-info")
    }


def reachable(folder: Path, requirements: Iterable[str]) -> set[str]:
    """The installed distributions that `requirements` lead to, by the distributions' own metadata."""
    installed = distributions(folder)
    names: set[str] = set()
    queue = list(requirements)
    while queue:
        name, extras, _ = queue.pop().partition("[")
        name = normalized_name(name)
        if name not in names and name in installed:
            names.add(name)
            queue += _dependencies(installed[name], extras=bool(extras))
    return names


def clean(folder: Path) -> None:
    """Deletes what no function reads."""
    for pattern in _UNREAD:
        for path in list(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _dependencies(info: Path, *, extras: bool) -> list[str]:
    headers = (info / "METADATA").read_text(encoding="utf-8").partition("\n\n")[0]
    matches: list[tuple[str, str]] = re.findall(
        r"(?m)^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", headers
    )
    return [name for name, rest in matches if extras or "extra ==" not in rest]
