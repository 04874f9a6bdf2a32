"""The size of the package that `make build` makes, zipped."""

from __future__ import annotations

import sys
from subprocess import TimeoutExpired

from deploy.command import output_of

from .details import Details
from .figures import Bound, Figure, Spread
from .process import ROOT

MAX_MEGABYTES = 3.0
TIMEOUT = 120  # seconds


def measure(details: Details) -> list[Figure]:
    """Builds it. Where that fails, as without a network, an earlier package is measured, and a note says so."""
    zip_file = ROOT / "build" / "code.zip"
    reason = _build(details)
    if reason and not zip_file.exists():
        details.note(f"package: not measured. {reason}")
        return []
    if reason:
        details.note(f"package: the one of an earlier make build. {reason}")
    megabytes = Spread.of([zip_file.stat().st_size / 2**20])
    return [Figure("package, zipped", "MB", megabytes, bound=Bound(MAX_MEGABYTES, MAX_MEGABYTES))]


def _build(details: Details) -> str:
    """Why the build failed; "" if it did not."""
    try:
        done = output_of([sys.executable, "-m", "deploy.build", "s.yaml"], TIMEOUT, cwd=ROOT)
    except TimeoutExpired:
        return f"make build takes longer than {TIMEOUT} seconds."
    for line in done.stdout.splitlines():
        details.line(f"  {line}")
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
