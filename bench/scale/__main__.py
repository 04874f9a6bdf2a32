"""`python -m bench.scale`: prints the tables of docs/scale.md; with `--docs` writes them and the pictures there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .inputs import Prices, World
from .report import BILLION, VOLUMES, delivered_by_volume, merged, replace_sections, sections, simulate_day
from .setups import setups

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scale.md"
PICTURES = ROOT / "docs" / "images" / "performance"
SEED = 2026


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--docs", action="store_true", help="write docs/scale.md and its pictures")
    parser.add_argument("--oss-get", type=float, metavar="USD", help="your price of 10,000 GET requests to OSS")
    options = parser.parse_args(arguments)
    if options.docs and options.oss_get is not None:
        parser.error("The page is written without --oss-get: this price is yours.")
    world = World(prices=Prices(oss_get=options.oss_get))
    days = {}
    for links in VOLUMES:
        for setup in setups(world):
            print(f"{links:,} links a day: {setup.name}", file=sys.stderr, flush=True)
            days[links, setup] = simulate_day(links, setup, SEED, world)
    contents = sections(days, SEED, world)
    if not options.docs:
        print("\n\n".join(contents[name] for name in ("summary", "rates", "days", "surge", "bill")))
        return 0
    PAGE.write_text(replace_sections(PAGE.read_text("utf-8"), contents), "utf-8")
    from ..plots import curve

    curve(
        PICTURES / "scale.svg",
        "How much of a day is delivered",
        "links a day",
        "percent of the links",
        merged(delivered_by_volume(world)),
        log_x=True,
    )
    curve(
        PICTURES / "scale-day.svg",
        "A day with a billion links",
        "hour of the day",
        "links delivered per second",
        merged({setup.name: days[BILLION, setup].curve for setup in setups(world)}),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
