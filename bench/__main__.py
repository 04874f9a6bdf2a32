"""`make bench`: measures everything, and prints one table. `python -m bench NAME…` measures some of it."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from . import table
from .figures import Figure

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN = "<!-- begin: table -->\n"
END = "<!-- end: table -->\n"
MAX_LOAD = 0.5  # of the last minute, before it begins
MAX_SPREAD = 2  # the highest pair of a ratio to the lowest
MEASUREMENTS = ("signing", "bulk", "start", "share_page", "throughput", "package")


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 if a requirement is missed or the page refused, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures speed and size.")
    names = ", ".join(MEASUREMENTS)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", type=_name, help=f"measure only this: {names}"
    )
    parser.add_argument(
        "--docs", action="store_true", help="also write the table into docs/performance.md"
    )
    options = parser.parse_args(arguments)
    if options.docs and options.names:
        parser.error("--docs requires all measurements: leave out the names")
    if options.docs and (load := os.getloadavg()[0]) > MAX_LOAD:
        return _refuse(f"the load is {load:.2f}, and must be {MAX_LOAD} at most before it begins")
    figures: list[Figure] = []
    for name in options.names or MEASUREMENTS:
        if sys.stderr.isatty():
            print(f"Measuring {name} …", file=sys.stderr)
        figures += import_module(f"bench.{name}").measure()
    printed = screen(
        figures, f"{datetime.date.today()}, Python {platform.python_version()}, {machine()}"
    )
    print(printed)
    restless = [figure.name for figure in figures if figure.spread > MAX_SPREAD]
    if options.docs and restless:
        return _refuse(f"the pairs differ by more than {MAX_SPREAD} to 1: {', '.join(restless)}")
    if options.docs:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), printed), "utf-8")
    return 0 if all(figure.holds for figure in figures) else 1


def _refuse(why: str) -> int:
    """The exit status; the page shows what an idle machine measured, or what it showed before."""
    print(
        f"{PAGE.name} is not written: {why}. Run it again on an idle machine.",
        file=sys.stderr,
    )
    return 1


def screen(figures: Sequence[Figure], origin: str) -> str:
    """What is printed at the end: at most 24 lines for all measurements, each no wider than `table.WIDTH`."""
    missed = sum(not figure.holds for figure in figures)
    verdict = (
        f"{missed} of {len(figures)} figures MISSED. On a busy machine, run it again when the machine is idle."
        if missed
        else f"{len(figures)} figures, and every requirement is reached."
    )
    return "\n".join(
        [f"ratio = ours / peer; {origin}"[: table.WIDTH], *table.lines(figures), verdict]
    )


def with_table(page: str, printed: str) -> str:
    """The page with what was printed between its two markers. Raises `ValueError` for a page without them."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}```text\n{printed}\n```\n{END}{after}"


def machine() -> str:
    """The number of processors and their model."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            name = next(
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{os.cpu_count()} x {name}"


def _name(name: str) -> str:
    if name not in MEASUREMENTS:
        raise argparse.ArgumentTypeError(
            f"unknown measurement {name!r}: choose from {', '.join(MEASUREMENTS)}"
        )
    return name


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("python -m bench: Interrupted.", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.exit(
            f"python -m bench: the Python package {error.name} is not installed. Run make bench, which installs it."
        )
