"""`make bench`: runs every measurement. `python -m bench NAME…` runs some of them."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module

MEASUREMENTS = ("signing", "start", "many", "bulk", "confusion", "throughput", "notices", "sessions")


def main(names: Sequence[str]) -> int:
    """The exit status is 1 if a requirement is missed, 2 for an unknown name."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"Unknown measurement {unknown[0]}: choose from {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    print(f"{datetime.date.today()}, Python {platform.python_version()}, {machine()}")
    missed = [name for name in names or MEASUREMENTS if _run(name)]
    if missed:
        print(
            f"\nMissed: {', '.join(missed)}. On a busy machine, run it again when the machine is idle.", file=sys.stderr
        )
    return 1 if missed else 0


def machine() -> str:
    """The number of processors and their model."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{os.cpu_count()} x {name}"


def _run(name: str) -> int:
    print(flush=True)
    status: int | None = import_module(f"bench.{name}").main()
    return status or 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ModuleNotFoundError as error:
        sys.exit(
            f"python -m bench: the Python package {error.name} is not installed. Run make bench, which installs it."
        )
