"""Pictures as SVG: the same bytes for the same figures, on a white background, since pages may be dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from .details import Bars, Curve
from .table import number

COLOURS = ("#1256c4", "#d1495b", "#2a7f4f", "#9a6a00", "#6f4aa8", "#4d586b")
SIZE = (7.2, 3.6)  # inches
SETTINGS: Any = {
    "svg.hashsalt": "fc-presign",
    "svg.fonttype": "none",  # text stays text: smaller, and can be searched
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(picture: Curve | Bars, folder: Path) -> Path:
    """Writes a picture into the folder; returns its path."""
    path = folder / f"{picture.name}.svg"
    if isinstance(picture, Bars):
        bars(path, picture.title, picture.xlabel, picture.values, log_x=picture.log_x)
    else:
        curve(
            path,
            picture.title,
            picture.xlabel,
            picture.ylabel,
            picture.series,
            log_x=picture.log_x,
            log_y=picture.log_y,
        )
    return path


def curve(
    path: Path,
    title: str,
    xlabel: str,
    ylabel: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> None:
    """Writes lines of (x, y), one per name of the legend. An axis that is not logarithmic begins at 0."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _axes(title, xlabel, log_x=log_x, log_y=log_y)
        axes.set_ylabel(ylabel)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        if log_y:
            axes.yaxis.set_minor_formatter(NullFormatter())
        for number, (name, points) in enumerate(series.items()):
            marker = "o" if len(points) <= 12 else None
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[number % len(COLOURS)],
                label=name,
                marker=marker,
                markersize=4,
            )
        axes.grid(color="#d5dae3", linewidth=0.6)
        if not log_y:
            highest = max((y for points in series.values() for _, y in points), default=0)
            axes.set_ylim(bottom=0, top=1.08 * highest or 1)
        if len(series) > 1:
            axes.legend(frameon=False)
        _save(figure, path)


def bars(path: Path, title: str, xlabel: str, values: Mapping[str, float], *, log_x: bool = False) -> None:
    """Writes horizontal bars with their values, the first one at the top."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _axes(title, xlabel, log_x=log_x, height=0.9 + 0.32 * len(values))
        drawn = axes.barh(list(values), list(values.values()), color=COLOURS[0], height=0.62)
        axes.bar_label(drawn, labels=[f" {number(value)}" for value in values.values()])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        _save(figure, path)


def _axes(title: str, xlabel: str, *, log_x: bool, log_y: bool = False, height: float = SIZE[1]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(SIZE[0], height), facecolor="white", layout="constrained")
    axes = figure.add_subplot(facecolor="white")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(xlabel)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    # 1,000 and 100 million instead of powers of ten.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    return figure, axes


def _tick(value: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:,g} {name}"
    return f"{value:,g}" if abs(value) < 1 else f"{value:,.10g}"


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
