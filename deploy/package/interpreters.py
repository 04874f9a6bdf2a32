"""Python interpreters of a given version that really start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def find(version: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """An interpreter of that version (`3.10`), None where none starts.

    A pyenv shim stands on PATH under the version's name and starts only where pyenv has that version switched on,
    so each candidate is asked its version.
    """
    return next((path for path in _candidates(version, environ) if _starts(path, version)), None)


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    named = shutil.which(f"python{version}", path=environ.get("PATH", os.defpath))
    if named:
        yield Path(named)
    home = Path(environ.get("HOME", "/"))
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python3"), reverse=True)
    yield from sorted((home / ".local/share/uv/python").glob(f"cpython-{version}.*/bin/python3"), reverse=True)
    yield from (folder / f"python{version}" for folder in (Path("/usr/local/bin"), Path("/opt/homebrew/bin")))
    # Where the custom runtimes of Function Compute keep theirs, for a build inside one.
    yield Path(f"/var/fc/lang/python{version}/bin/python3")


def _starts(path: Path, version: str) -> bool:
    question = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", question], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.split() == [version, "cpython"]
