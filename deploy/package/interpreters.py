"""Finds Python interpreters of a given version that really start."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import TimeoutExpired

from ..command import output_of


def find(version: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """An interpreter of that version (`3.10`), None if no candidate starts.

    Each candidate is started, because a pyenv shim is on PATH even where pyenv does not have that version enabled.
    """
    return next((path for path in _candidates(version, environ) if _starts(path, version)), None)


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    if on_path := shutil.which(f"python{version}", path=environ.get("PATH", os.defpath)):
        yield Path(on_path)
    home = Path(environ.get("HOME", "/"))
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python3"), reverse=True)
    yield from sorted(
        (home / ".local/share/uv/python").glob(f"cpython-{version}.*/bin/python3"), reverse=True
    )
    yield from (
        folder / f"python{version}"
        for folder in (Path("/usr/local/bin"), Path("/opt/homebrew/bin"))
    )
    # The custom runtimes of Function Compute have theirs here, for a build inside one.
    yield Path(f"/var/fc/lang/python{version}/bin/python3")


def _starts(path: Path, version: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    try:
        done = output_of([str(path), "-I", "-S", "-c", program], 30)
    except (OSError, TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == [version, "cpython"]
