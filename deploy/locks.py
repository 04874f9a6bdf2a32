"""`python -m deploy.locks`: pins every package that is deployed by version and hash, in one lock file per runtime.

uv writes them; `--check` only compares them with the requirements. A lock has no markers and no addresses.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from signer.files import replace_file

from .command import run
from .errors import DeployError
from .runtimes import RUNTIMES, Runtime

_FIRST_LINE = "# From {requirements} {digest}: make lock"
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+]+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
UV_PLATFORM = "x86_64-manylinux_2_28"


class Pin(NamedTuple):
    """A locked distribution, by its normalized name."""

    name: str
    version: str


def normalized_name(name: str) -> str:
    """As every tool compares names of distributions (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(requirements: Path) -> str:
    """A hash of what a requirements file asks for; comments and the order of lines do not change it."""
    return hashlib.sha256("\n".join(sorted(requirement_lines(requirements))).encode()).hexdigest()[:16]


def read(lock: Path) -> tuple[Pin, ...]:
    """Raises `DeployError` for a line that is not a version and its hashes."""
    try:
        content = lock.read_text(encoding="utf-8")
    except OSError:
        raise DeployError(f"{lock.parent.name}/{lock.name} not found: run make lock.") from None
    pins = []
    for line in re.sub(r"\s*\\\n\s*", " ", content).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = _PIN.fullmatch(line.strip())
        if pin is None:
            raise DeployError(f"{lock.name}: {line[:60]!r} is not a pinned version with its hashes: run make lock.")
        pins.append(Pin(normalized_name(pin["name"]), pin["version"]))
    return tuple(pins)


def read_current(root: Path, runtime: Runtime) -> tuple[Pin, ...]:
    """The pins of a runtime. Raises `DeployError` if the requirements have changed since they were locked."""
    lock = root / runtime.lock
    pins = read(lock)
    if lock.read_text(encoding="utf-8").splitlines()[0] != _first_line(root, runtime):
        raise DeployError(f"{runtime.lock} does not match {runtime.requirements}: run make lock.")
    return pins


def write(root: Path, runtime: Runtime, *, upgrade: bool) -> None:
    """Resolves a runtime's requirements with uv; keeps the versions in the lock unless `upgrade`."""
    if find_spec("uv") is None:
        raise DeployError(
            "the Python package uv is not installed. Run make lock, which installs it and runs this command."
        )
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
        pinned = output.read_text(encoding="utf-8")
    replace_file(str(lock), f"{_first_line(root, runtime)}\n{pinned}".encode())
    read(lock)


def requirement_lines(file: Path) -> list[str]:
    """The lines of a requirements file without comments; `-r` is followed."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s+)#.*", "", line).strip()
        if line.startswith("-r "):
            lines += requirement_lines(file.parent / line[3:].strip())
        elif line:
            lines.append(line)
    return lines


def _first_line(root: Path, runtime: Runtime) -> str:
    return _FIRST_LINE.format(requirements=runtime.requirements, digest=digest(root / runtime.requirements))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.locks", description="Lock the requirements, per runtime.")
    parser.add_argument("--check", action="store_true", help="only check that the locks match the requirements")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    parser.add_argument("--root", type=Path, default=Path("."), help="the project folder")
    options = parser.parse_args(arguments)
    try:
        for runtime in RUNTIMES.values():
            if not options.check:
                write(options.root, runtime, upgrade=options.upgrade)
            print(f"{runtime.lock}: {len(read_current(options.root, runtime))} packages")
    except DeployError as error:
        print(f"python -m deploy.locks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run("python -m deploy.locks", main))
