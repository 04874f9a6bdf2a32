"""What git knows of this folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def files(*patterns: str) -> set[str]:
    """The files that git tracks and that are there. Outside of a clone, the test is skipped."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this folder is not a clone: it has no .git, or the machine no git")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
