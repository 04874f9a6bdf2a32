"""What was measured as the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from .figures import Figure, Spread
from .table import number, quantity, verdict

BEGIN, END = "<!-- begin: table -->\n", "<!-- end: table -->"


def replace_table(page: str, content: str) -> str:
    """The page with other content between the markers of the table. Raises `LookupError` for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LookupError(f"The page has no section {BEGIN.strip()} … {END}.")
    return f"{before}{begin}{content}{end}{after}"


def table_section(figures: Sequence[Figure], notes: Sequence[str], origin: str) -> str:
    """Markdown: when and where it was measured (`origin`), the table, and the notes."""
    rows = [
        "| ratio | low-high | figure | ours | peer | required |",
        "|--:|---|---|--:|---|---|",
        *map(_row, figures),
    ]
    return "\n".join([f"{origin}.", "", *rows, *(f"\n{note}" for note in notes), ""])


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
