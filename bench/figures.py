"""What is measured: figures with their spread, beside those of a peer and what is required of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

Values = Sequence[float]


class Spread(NamedTuple):
    """The median of repeated measurements, and their lowest and highest, all in the same unit."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Values) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, ours: Values, peer: Values) -> Spread:
        """The quotients of measurements that were made in turns: each pair saw the same load of the machine."""
        return cls.of([mine / theirs for mine, theirs in zip(ours, peer, strict=True)])


class Bound(NamedTuple):
    """What is required of a figure: a minimum if `at_least`, otherwise a maximum."""

    required: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.required if self.at_least else value <= self.required


class Figure(NamedTuple):
    """One line of the table: the median of ours, and of a peer that was measured in the same run, both in `unit`.

    `ratio` is of the pairs that were measured in turns. `bound` is for the ratio, or for ours if there is no ratio.
    """

    name: str
    unit: str
    ours: float
    peer_name: str = ""
    peer: float | None = None
    ratio: Spread | None = None
    bound: Bound | None = None

    @classmethod
    def against(
        cls,
        name: str,
        unit: str,
        ours: Values,
        peer_name: str,
        peer: Values,
        bound: Bound | None = None,
    ) -> Figure:
        """A figure of pairs that were measured in turns."""
        ratio = Spread.of_ratios(ours, peer)
        return cls(
            name=name,
            unit=unit,
            ours=statistics.median(ours),
            peer_name=peer_name,
            peer=statistics.median(peer),
            ratio=ratio,
            bound=bound,
        )

    @property
    def spread(self) -> float:
        """The highest pair to the lowest: a busy machine tears them apart. 1 without pairs."""
        return self.ratio.high / self.ratio.low if self.ratio is not None else 1.0

    @property
    def holds(self) -> bool:
        return self.bound is None or self.bound.holds(
            self.ratio.median if self.ratio is not None else self.ours
        )
