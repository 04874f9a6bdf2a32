"""The table of `make bench`: it fits a screen, names what is missed, and compares what was measured in pairs."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest

from bench import table
from bench.__main__ import MEASUREMENTS, screen
from bench.figures import Bound, Figure, Spread

BENCH = Path(__file__).parents[2] / "bench"
LINES, COLUMNS = 24, 100
ORIGIN = "2026-11-26, Python 3.13.11, 128 x Intel(R) Xeon(R) Platinum 8369B CPU @ 2.70GHz with a long name indeed"
WIDE, TINY = Spread(1234.5678, 1111.1111, 1999.9999), Spread(0.0042, 0.0041, 0.0099)


def names_in_the_code() -> list[str]:
    """The first argument of each `Figure(…)` and `Figure.against(…)` of the measurements in one run."""
    names = []
    for measurement in MEASUREMENTS:
        for node in ast.walk(ast.parse((BENCH / f"{measurement}.py").read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Figure", "Figure.against"):
                name = node.args[0]
                names.append(name.value if isinstance(name, ast.Constant) else "growth, 100,000 links")
    return [str(name) for name in names]


def test_all_measurements_fit_a_screen_with_the_longest_values() -> None:
    names = names_in_the_code()
    assert len(names) == 17
    assert "share page, new process" in names
    # Signing has a figure for each of three peers, and one call in its code.
    figures = [
        Figure(name, "ms", WIDE, "alibabacloud-oss-v2", WIDE, TINY, Bound(0.18, 0.18))
        for name in [*names, "a link", "a link"]
    ]
    lines = screen(figures, ["signing: without ali-oss, because node is not installed."], ORIGIN)
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []


def test_small_quantities_keep_their_columns() -> None:
    figure = Figure("growth, 100,000 links", "MB", TINY, "alibabacloud-oss-v2", TINY, bound=Bound(1, 1))
    head, line = table.lines([figure])
    assert line.index("0.004 MB") + len("0.004 MB") == head.index("ours") + len("ours")
    assert len(line) <= COLUMNS


@pytest.mark.parametrize("value", [0.00001, 0.00995, 0.0999, 0.9996, 9.996, 99.96, 999.96, 12_345.6, 999_960, 1.5e8])
def test_a_number_has_at_most_six_characters_and_an_error_below_two_percent(value: float) -> None:
    shown = table.number(value)
    assert len(shown) <= 6
    factor = {"k": 1e3, "M": 1e6}.get(shown[-1], 1)
    assert math.isclose(float(shown.rstrip("kM")) * factor, value, rel_tol=0.02, abs_tol=0.0001)


def figure(ratio: float, bound: Bound | None) -> Figure:
    spread = Spread(ratio, ratio, ratio)
    return Figure("warm event", "µs", Spread(30.0, 29.0, 31.0), "peer", Spread(150.0, 149.0, 151.0), spread, bound)


@pytest.mark.parametrize(
    ("ratio", "bound", "verdict"),
    [
        (0.22, Bound(0.22, 0.22), "reached"),
        (0.23, Bound(0.22, 0.22), "MISSED"),
        (2.6, Bound(2.5, 3, at_least=True), "reached"),
        (2.4, Bound(2.5, 3, at_least=True), "MISSED"),
        (2.4, None, ""),
    ],
)
def test_a_line_ends_with_the_requirement_and_whether_it_is_reached(
    ratio: float, bound: Bound | None, verdict: str
) -> None:
    _, line = table.lines([figure(ratio, bound)])
    assert line.split()[0] == table.number(ratio)
    requirement = f"{'≥' if bound.at_least else '≤'} {bound.required:.3g}" if bound is not None else "peer"
    assert line.endswith(f"{requirement:<6} {verdict}".rstrip())


def test_a_figure_without_a_ratio_is_judged_by_itself_and_shows_its_own_spread() -> None:
    size = Figure("package, zipped", "MB", Spread(3.2, 3.1, 3.3), bound=Bound(3, 3))
    _, line = table.lines([size])
    assert line.split() == ["3.10-3.30", "package,", "zipped", "3.20", "MB", "≤", "3", "MISSED"]


def test_the_ratio_of_runs_in_turns_is_the_median_of_the_pairs() -> None:
    # In the second turn the machine was busy, which changes both runs, and so no ratio.
    figure = Figure.against("warm event", "µs", [10.0, 90.0, 12.0], "peer", [100.0, 900.0, 100.0])
    assert figure.ratio == pytest.approx((0.1, 0.1, 0.12))
    assert (figure.ours.median, figure.peer) == (12.0, Spread(100.0, 100.0, 900.0))


def test_pairs_must_be_complete() -> None:
    with pytest.raises(ValueError, match="zip"):
        Spread.of_ratios([1.0, 2.0], [1.0])


def test_the_last_line_counts_what_is_missed() -> None:
    bound = Bound(0.2, 0.2)
    assert screen([figure(0.3, bound), figure(0.1, bound)], [], ORIGIN)[-1].startswith("1 of 2 figures MISSED.")
    assert "every requirement is reached" in screen([figure(0.1, bound)], [], ORIGIN)[-1]
