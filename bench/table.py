"""The figures as a table of at most `WIDTH` columns, ratios first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .figures import Bound, Figure, Spread

WIDTH = 100
_COLUMNS = (">6", "<13", "<26", ">8", ">8", "<19", "<6", "<7")
_HEAD = ("ratio", "low-high", " measured", "ours", "peer", "", "must", "")


def lines(figures: Sequence[Figure]) -> list[str]:
    """A head, and one line for each figure. A figure without a ratio shows its own spread instead."""
    return [_row(_HEAD), *(_row(cells(figure)) for figure in figures)]


def cells(figure: Figure) -> tuple[str, ...]:
    """Ratio, its spread, name, ours, the peer's, the peer's name, requirement, verdict."""
    spread = figure.ratio or figure.ours
    return (
        number(figure.ratio.median) if figure.ratio is not None else "",
        f"{number(spread.low)}-{number(spread.high)}" if spread.low != spread.high else "",
        f" {figure.name}",
        quantity(figure.ours, figure.unit),
        quantity(figure.peer, figure.unit) if figure.peer is not None else "",
        figure.peer_name,
        requirement(figure.bound),
        verdict(figure),
    )


def verdict(figure: Figure) -> str:
    if figure.bound is None:
        return ""
    return "reached" if figure.holds else "MISSED"


def requirement(bound: Bound | None) -> str:
    return "" if bound is None else f"{'≥' if bound.at_least else '≤'} {bound.required:.3g}"


def quantity(spread: Spread, unit: str) -> str:
    """The median with its unit, which may begin with a slash, as in `/s`."""
    return f"{number(spread.median, digits=3)}{'' if unit.startswith('/') else ' '}{unit}".strip()


def number(value: float, *, digits: int = 4) -> str:
    """About three significant digits, but at most so many after the point: 0.0042, 0.042, 3.14, 314, 3142, 31.4k."""
    for factor, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor and abs(value) >= 9999.5:
            return number(value / factor) + suffix
    size = abs(value)
    wanted = 4 if size < 0.00995 else 3 if size < 0.9995 else 2 if size < 9.995 else 1 if size < 99.95 else 0
    rounded = f"{value:.{min(wanted, digits)}f}"
    return "0" if float(rounded) == 0 else rounded


def _row(values: Iterable[str]) -> str:
    return " ".join(format(value, spec) for value, spec in zip(values, _COLUMNS, strict=True)).rstrip()
