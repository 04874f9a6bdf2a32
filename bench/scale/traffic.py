"""How many requests arrive: the curve of a day, and chance."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, cos, exp, pi, sqrt
from statistics import NormalDist

DAY = 86_400  # seconds
Rate = Callable[[int], float]  # links per second in each second

_NORMAL = NormalDist()


def day_curve(links: float, peak: float, peak_hour: float) -> Rate:
    """A day of so many links, whose busiest moment has `peak` times its average (at least 1).

    It is a base, and a power of a cosine on top of it.
    """
    power = 1
    while _mean(power) > 1 / peak:
        power += 1
    base = (1 - peak * _mean(power)) / (1 - _mean(power))
    average = links / DAY

    def rate(second: int) -> float:
        hill = (1 + cos(2 * pi * (second / DAY - peak_hour / 24))) / 2
        return average * (base + (peak - base) * hill**power)

    return rate


def surge(before: float, after: float, at: int) -> Rate:
    """A rate that changes within one second."""
    return lambda second: after if second >= at else before


def poisson(mean: float, probability: float) -> int:
    """The quantile of Poisson's distribution; nearly, above a mean of 30 (Cornish and Fisher)."""
    if mean >= 30:
        z = _NORMAL.inv_cdf(min(max(probability, 1e-15), 1 - 1e-15))
        return max(0, round(mean + sqrt(mean) * z + (z * z - 1) / 6))
    count, term = 0, exp(-mean)
    below = term
    while below < probability and term > 1e-18:
        count += 1
        term *= mean / count
        below += term
    return count


def _mean(power: int) -> float:
    """Of ((1 + cos x) / 2) to this power."""
    return comb(2 * power, power) / float(4**power)
