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
    """What is required of a figure, and aimed at; a minimum if `at_least`, otherwise a maximum."""

    required: float
    aim: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.required if self.at_least else value <= self.required


class Figure(NamedTuple):
    """One line of the table: a figure of fc-presign, and the same of a peer that was measured in the same run.

    `unit` is that of both. `ratio` is the median of ours divided by the peer's, unless the measurement has a better one
    (of pairs that were measured in turns). `bound` is for the ratio, or for ours if there is no ratio.
    """

    name: str
    unit: str
    ours: Spread
    peer_name: str = ""
    peer: Spread | None = None
    ratio: Spread | None = None
    bound: Bound | None = None

    @classmethod
    def against(
        cls, name: str, unit: str, ours: Values, peer_name: str, peer: Values, bound: Bound | None = None
    ) -> Figure:
        """A figure of pairs that were measured in turns."""
        ratio = Spread.of_ratios(ours, peer)
        return cls(name, unit, Spread.of(ours), peer_name, Spread.of(peer), ratio, bound)

    @property
    def holds(self) -> bool:
        return self.bound is None or self.bound.holds((self.ratio or self.ours).median)
