"""Writes what was measured into the generated sections of docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .figures import Figure, Spread
from .table import number, quantity, verdict


def replace_section(page: str, name: str, content: str) -> str:
    """The page with other content between the markers of a section. Raises `LookupError` for one without markers."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    pattern = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
    if not pattern.search(page):
        raise LookupError(f"The page has no section {begin.strip()} … {end}.")
    return pattern.sub(lambda match: f"{match[1]}{content}{match[2]}", page)


def section(figures: Sequence[Figure], notes: Sequence[str], origin: str) -> str:
    """Markdown: when and where it was measured (`origin`), the table, and the notes."""
    rows = [
        "| ratio | low-high | figure | ours | peer | required |",
        "|--:|---|---|--:|---|---|",
        *map(_row, figures),
    ]
    return "\n".join([f"{origin}.", "", *rows, *(f"\n{note}" for note in notes), ""])


def write(path: Path, name: str, content: str) -> None:
    path.write_text(replace_section(path.read_text("utf-8"), name, content), "utf-8")


def _row(figure: Figure) -> str:
    ratio, peer = figure.ratio, figure.peer
    cells = (
        f"**{number(ratio.median)}**" if ratio is not None else "",
        _range(ratio or figure.ours),
        figure.name,
        quantity(figure.ours, figure.unit),
        f"{quantity(peer, figure.unit)}, {figure.peer_name}" if peer is not None else figure.peer_name,
        _requirement(figure),
    )
    return f"| {' | '.join(cells)} |"


def _range(spread: Spread) -> str:
    return f"{number(spread.low)}-{number(spread.high)}" if spread.low != spread.high else ""


def _requirement(figure: Figure) -> str:
    bound = figure.bound
    if bound is None:
        return ""
    aim = f", aim {bound.aim:.3g}" if bound.aim != bound.required else ""
    return f"at {'least' if bound.at_least else 'most'} {bound.required:.3g}{aim}: {verdict(figure)}"
