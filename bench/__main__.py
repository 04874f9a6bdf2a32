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

from . import page, table
from .bars import Bars, svg
from .details import Details
from .figures import Figure

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "images" / "performance"
MEASUREMENTS = ("signing", "start", "pages", "many", "folders", "notices", "throughput", "bulk", "memory", "package")
OWN = ("redirect", "a link")  # the peers that are ours


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 if a requirement is missed, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures speed, memory and size.")
    names = ", ".join(MEASUREMENTS)
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=f"measure only this: {names}")
    parser.add_argument("-v", "--verbose", action="store_true", help="print details of each measurement")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md and its pictures")
    options = parser.parse_args(arguments)
    if options.docs and options.names:
        parser.error("--docs requires all measurements: leave out the names")
    if options.docs:
        page.replace_table(PAGE.read_text("utf-8"), "")  # a page without it is better refused now
    details = Details(options.verbose)
    figures = measure(options.names or MEASUREMENTS, details)
    origin = f"{datetime.date.today()}, Python {platform.python_version()}, {machine()}"
    print("\n".join(screen(figures, details.notes, origin)))
    if options.docs:
        write_docs(figures, details, origin)
    return 0 if all(figure.holds for figure in figures) else 1


def screen(figures: Sequence[Figure], notes: Sequence[str], origin: str) -> list[str]:
    """What is printed at the end, without `-v`: at most 24 lines for all measurements."""
    missed = sum(not figure.holds for figure in figures)
    verdict = (
        f"{missed} of {len(figures)} figures MISSED. On a busy machine, run it again when the machine is idle."
        if missed
        else f"{len(figures)} figures, and every requirement is reached. -v prints details."
    )
    return [f"ratio = ours / peer; {origin}"[: table.WIDTH], *table.lines(figures), *notes, verdict]


def measure(names: Sequence[str], details: Details) -> list[Figure]:
    """The figures of all these measurements; progress goes to stderr if it is a terminal."""
    from tqdm import tqdm  # here, so that the end of this file reports that it is missing

    figures: list[Figure] = []
    with tqdm(names, leave=False, disable=details.verbose or not sys.stderr.isatty()) as progress:
        for name in progress:
            progress.set_description(name)
            details.line(f"{name}:")
            figures += import_module(f"bench.{name}").measure(details)
    return figures


def write_docs(figures: Sequence[Figure], details: Details, origin: str) -> None:
    """Replaces the table of the page, and draws the pictures."""
    content = page.table_section(figures, details.notes, origin)
    PAGE.write_text(page.replace_table(PAGE.read_text("utf-8"), content), "utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in (ratio_bars(figures), *details.pictures):
        (PICTURES / f"{picture.name}.svg").write_text(svg(picture), "utf-8")


def ratio_bars(figures: Sequence[Figure]) -> Bars:
    """What ours takes if the peer takes 1, without comparisons with ourselves; of a rate, the time of one request."""
    compared = {}
    for figure in figures:
        if figure.ratio is not None and figure.peer_name not in OWN:
            is_rate = figure.unit == "/s"
            label = f"{figure.name} / {figure.peer_name}"
            compared[label] = 1 / figure.ratio.median if is_rate else figure.ratio.median
    return Bars(
        "ratios",
        "What fc-presign takes of the time and memory of others",
        "ours / peer (requests per second: peer / ours)",
        compared,
    )


def machine() -> str:
    """The number of processors and their model."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or "unknown processor"
    return f"{os.cpu_count()} x {name}"


def _name(name: str) -> str:
    if name not in MEASUREMENTS:
        raise argparse.ArgumentTypeError(f"unknown measurement {name!r}: choose from {', '.join(MEASUREMENTS)}")
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
