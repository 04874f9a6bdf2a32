"""What a measurement says beside its figures: lines for `-v`, notes below the table, and pictures for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Series = Mapping[str, Sequence[tuple[float, float]]]


class Curve(NamedTuple):
    """Lines of (x, y) by their names in the legend; `name` is that of the file without its ending."""

    name: str
    title: str
    xlabel: str
    ylabel: str
    series: Series
    log_x: bool = False
    log_y: bool = False


class Bars(NamedTuple):
    """Horizontal bars by their labels, from top to bottom; `name` is that of the file without its ending."""

    name: str
    title: str
    xlabel: str
    values: Mapping[str, float]
    log_x: bool = False


class Details:
    """Collects notes and pictures; prints lines at once if `verbose`."""

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.notes: list[str] = []
        self.pictures: list[Curve | Bars] = []

    def line(self, text: str) -> None:
        """For `-v` only."""
        if self.verbose:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """Always printed below the table: for example that a peer is missing on this machine."""
        self.notes.append(text)

    def curve(
        self,
        name: str,
        title: str,
        xlabel: str,
        ylabel: str,
        series: Series,
        *,
        log_x: bool = False,
        log_y: bool = False,
    ) -> None:
        """A picture that `--docs` writes to `docs/images/performance/{name}.svg`."""
        self.pictures.append(Curve(name, title, xlabel, ylabel, series, log_x, log_y))

    def bars(self, name: str, title: str, xlabel: str, values: Mapping[str, float], *, log_x: bool = False) -> None:
        """As `curve`, with bars."""
        self.pictures.append(Bars(name, title, xlabel, values, log_x))
