"""What was measured as the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from .figures import Figure
from .table import cells, verdict

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
    rows = ["| ratio | low-high | figure | ours | peer | required |", "|--:|---|---|--:|---|---|", *map(_row, figures)]
    return "\n".join([f"{origin}.", "", *rows, *(f"\n{note}" for note in notes), ""])


def _row(figure: Figure) -> str:
    ratio, spread, name, ours, peer, peer_name, *_ = cells(figure)
    peer = ", ".join(filter(None, (peer, peer_name)))
    columns = (f"**{ratio}**" if ratio else "", spread, name.strip(), ours, peer, _requirement(figure))
    return f"| {' | '.join(columns)} |"


def _requirement(figure: Figure) -> str:
    bound = figure.bound
    if bound is None:
        return ""
    aim = f", aim {bound.aim:.3g}" if bound.aim != bound.required else ""
    return f"at {'least' if bound.at_least else 'most'} {bound.required:.3g}{aim}: {verdict(figure)}"
