"""The figures as a table of at most `WIDTH` columns, ratios first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .figures import Figure

WIDTH = 100
_COLUMNS = (">6", "<13", "<26", ">8", ">8", "<19", "<6", "<7")
_HEAD = ("ratio", "low-high", " measured", "ours", "peer", "", "must", "")


def lines(figures: Sequence[Figure]) -> list[str]:
    """A head, and one line for each figure."""
    return [_row(_HEAD), *(_row(_cells(figure)) for figure in figures)]


def _cells(figure: Figure) -> tuple[str, ...]:
    """The ratio, its spread, the name, ours, the peer's, the peer's name, what is required, and the verdict."""
    ratio = figure.ratio
    bound = figure.bound
    required = ""
    verdict = ""
    if bound is not None:
        required = f"{'≥' if bound.at_least else '≤'} {bound.required:.3g}"
        verdict = "reached" if figure.holds else "MISSED"
    return (
        number(ratio.median) if ratio is not None else "",
        f"{number(ratio.low)}-{number(ratio.high)}" if ratio is not None else "",
        f" {figure.name}",
        quantity(figure.ours, figure.unit),
        quantity(figure.peer, figure.unit) if figure.peer is not None else "",
        figure.peer_name,
        required,
        verdict,
    )


def quantity(value: float, unit: str) -> str:
    """A number with its unit, which may begin with a slash, as in `/s`."""
    return f"{number(value)}{'' if unit.startswith('/') else ' '}{unit}"


def number(value: float) -> str:
    """About three significant digits, but at most three after the point: 0.004, 0.042, 3.14, 314, 3142, 31.4k."""
    for factor, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor and abs(value) >= 9999.5:
            return number(value / factor) + suffix
    digits = sum(abs(value) < limit for limit in (0.9995, 9.995, 99.95))
    return f"{value:.{digits}f}"


def _row(values: Iterable[str]) -> str:
    return " ".join(
        format(value, spec) for value, spec in zip(values, _COLUMNS, strict=True)
    ).rstrip()
