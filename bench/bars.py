"""Bars as SVG: the same bytes for the same figures, on a white background, since pages may be dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from .table import number

WIDTH, ROW, TOP, MARGIN = 720, 25, 44, 12  # pixels
LETTER = 7  # pixels of a letter, on average
COLOUR = "#1256c4"


class Bars(NamedTuple):
    """Horizontal bars by their labels, from top to bottom; `name` is that of the file without its ending."""

    name: str
    title: str
    unit: str
    values: Mapping[str, float]


def svg(bars: Bars) -> str:
    left = MARGIN + max(map(len, bars.values)) * LETTER
    longest = WIDTH - left - 60  # the rest is for the value
    scale = longest / max(bars.values.values())
    height = TOP + ROW * len(bars.values) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="12.5" role="img">',
        f"<title>{escape(bars.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="26" font-size="15" font-weight="bold">{escape(bars.title)}</text>',
    ]
    for row, (label, value) in enumerate(bars.values.items()):
        y = TOP + ROW * row
        lines += [
            f'<text x="{left - 8:.1f}" y="{y + 16}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{left:.1f}" y="{y + 3}" width="{value * scale:.1f}" height="{ROW - 7}" fill="{COLOUR}"/>',
            f'<text x="{left + value * scale + 6:.1f}" y="{y + 16}">{number(value)}</text>',
        ]
    lines.append(f'<text x="{left:.1f}" y="{height - 12}" fill="#4d586b">{escape(bars.unit)}</text>')
    return "\n".join([*lines, "</svg>", ""])
