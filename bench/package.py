"""The size of the package that `make build` makes, zipped."""

from __future__ import annotations

import sys
from subprocess import TimeoutExpired

from deploy.command import output_of

from .figures import Bound, Figure
from .process import ROOT

TIMEOUT = 120  # seconds


def measure() -> list[Figure]:
    """Builds it. Where that fails, as without a network, nothing is measured, and a line on stderr says why."""
    try:
        done = output_of([sys.executable, "-m", "deploy.build", "s.yaml"], TIMEOUT, cwd=ROOT)
        reason = done.stderr.strip().splitlines()[-1] if done.returncode else ""
    except TimeoutExpired:
        reason = f"make build takes longer than {TIMEOUT} seconds."
    if reason:
        print(f"package: not measured. {reason}", file=sys.stderr)
        return []
    size = (ROOT / "build" / "code.zip").stat().st_size
    return [Figure("package, zipped", "MB", size / 2**20, bound=Bound(3))]
