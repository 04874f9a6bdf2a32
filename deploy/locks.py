"""Locked requirements, one file a runtime: every package by version and hash, without markers or addresses.

`python -m deploy.locks` writes them with uv; `--check` says whether they are as the requirements ask.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import DeployError
from .runtimes import RUNTIMES, Runtime

_HEAD = "# From {requirements} {digest}: make lock"
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+]+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
UV_PLATFORM = "x86_64-manylinux_2_28"


class Pin(NamedTuple):
    """One locked package; `name` is normalised (PEP 503)."""

    name: str
    version: str


def normalised(name: str) -> str:
    """A distribution's name as every tool compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(requirements: Path) -> str:
    """What the lock of a requirements file must say: a hash of what it asks for, comments and order of lines aside."""
    return hashlib.sha256("\n".join(sorted(lines_of(requirements))).encode()).hexdigest()[:16]


def read(lock: Path) -> tuple[Pin, ...]:
    """The packages of a lock. Raises `DeployError` for a line that is more than a version and its hashes."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError:
        raise DeployError(f"There is no {lock.parent.name}/{lock.name}: run make lock.") from None
    pins = []
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = _PIN.fullmatch(line.strip())
        if pin is None:
            raise DeployError(f"{lock.name}: {line[:60]!r} is no pinned version with its hashes: run make lock.")
        pins.append(Pin(normalised(pin["name"]), pin["version"]))
    return tuple(pins)


def check(root: Path, runtime: Runtime) -> tuple[Pin, ...]:
    """The packages locked for a runtime. Raises `DeployError` where the requirements changed since."""
    lock = root / runtime.lock
    pins = read(lock)
    if lock.read_text(encoding="utf-8").splitlines()[0] != _head(root, runtime):
        raise DeployError(f"{runtime.lock} is not of the present {runtime.requirements}: run make lock.")
    return pins


def write(root: Path, runtime: Runtime, *, upgrade: bool) -> None:
    """Resolves a runtime's requirements with uv; versions that the lock has are kept unless `upgrade`."""
    lock, requirements = root / runtime.lock, root / runtime.requirements
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, lock.name)
        if lock.exists():
            output.write_bytes(lock.read_bytes())
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", str(requirements)),
            *("--python-version", runtime.python, "--python-platform", UV_PLATFORM, "--only-binary", ":all:"),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--output-file", str(output)),
            *(["--upgrade"] if upgrade else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeployError(f"uv cannot lock {requirements.name}: {done.stderr.strip().splitlines()[-1]}")
        text = output.read_text(encoding="utf-8")
    lock.write_text(f"{_head(root, runtime)}\n{text}", encoding="utf-8")
    read(lock)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes every lock, or checks them."""
    parser = argparse.ArgumentParser(prog="python -m deploy.locks", description="Locks what ships, a file a runtime.")
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    parser.add_argument("--root", type=Path, default=Path("."), help="the project's folder")
    options = parser.parse_args(arguments)
    try:
        for runtime in RUNTIMES.values():
            if not options.check:
                write(options.root, runtime, upgrade=options.upgrade)
            print(f"{runtime.lock}: {len(check(options.root, runtime))} packages")
    except DeployError as error:
        print(f"python -m deploy.locks: {error}", file=sys.stderr)
        return 1
    return 0


def _head(root: Path, runtime: Runtime) -> str:
    return _HEAD.format(requirements=runtime.requirements, digest=digest(root / runtime.requirements))


def lines_of(requirements: Path) -> list[str]:
    """What a requirements file asks for, `-r` followed."""
    lines = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s+)#.*", "", line).strip()
        if line.startswith("-r "):
            lines += lines_of(requirements.parent / line[3:].strip())
        elif line:
            lines.append(line)
    return lines


if __name__ == "__main__":
    sys.exit(main())
