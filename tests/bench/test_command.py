"""`python -m bench`: its names, its exit status, its table, and what `--docs` writes. Nothing is measured here."""

from __future__ import annotations

import ast
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench import __main__ as command
from bench import table
from bench.figures import Bound, Figure, Spread

BENCH = Path(__file__).parents[2] / "bench"
PAGE = "# Performance\n\n<!-- begin: table -->\nold\n<!-- end: table -->\n\nText stays.\n"
LINES, COLUMNS = 24, 100
ORIGIN = "2026-11-26, Python 3.13.11, 128 x Intel(R) Xeon(R) Platinum 8369B CPU @ 2.70GHz with a long name indeed"


def names_in_the_code() -> list[str]:
    """The first argument of each `Figure(…)` and `Figure.against(…)` of the measurements."""
    return [
        ast.literal_eval(node.args[0])
        for measurement in command.MEASUREMENTS
        for node in ast.walk(ast.parse((BENCH / f"{measurement}.py").read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Figure", "Figure.against")
    ]


def test_all_measurements_fit_a_screen_with_the_longest_values() -> None:
    names = names_in_the_code()
    assert len(names) == 11
    assert "share page, new process" in names
    # Signing has a figure for each of three peers, and one call in its code.
    figures = [
        Figure(
            name,
            "ms",
            1234.5678,
            "alibabacloud-oss-v2",
            1234.5678,
            Spread(0.0042, 1111.1, 1999.9),
            Bound(0.18),
        )
        for name in [*names, "a link", "a link"]
    ]
    lines = command.screen(figures, ORIGIN).splitlines()
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("value", [0.00001, 0.0999, 0.9996, 99.96, 12_345.6, 999_960, 1.5e8])
def test_a_number_has_at_most_six_characters_and_an_error_below_two_percent(value: float) -> None:
    shown = table.number(value)
    assert len(shown) <= 6
    factor = {"k": 1e3, "M": 1e6}.get(shown[-1], 1)
    assert math.isclose(float(shown.rstrip("kM")) * factor, value, rel_tol=0.02, abs_tol=0.0001)


def test_the_ratio_of_runs_in_turns_is_the_median_of_the_pairs() -> None:
    # In the second turn the machine was busy, which changes both runs, and so no ratio.
    figure = Figure.against("warm event", "µs", [10.0, 90.0, 12.0], "peer", [100.0, 900.0, 100.0])
    assert figure.ratio == pytest.approx((0.1, 0.1, 0.12))
    assert (figure.ours, figure.peer) == (12.0, 100.0)


@pytest.mark.parametrize(
    ("ratio", "bound", "end"),
    [
        (0.22, Bound(0.22), "≤ 0.22 reached"),
        (0.23, Bound(0.22), "≤ 0.22 MISSED"),
        (2.6, Bound(2.5, at_least=True), "≥ 2.5  reached"),
        (2.4, Bound(2.5, at_least=True), "≥ 2.5  MISSED"),
        (2.4, None, "peer"),
    ],
)
def test_a_line_ends_with_the_requirement_and_its_verdict(
    ratio: float, bound: Bound | None, end: str
) -> None:
    figure = Figure("warm event", "µs", 30.0, "peer", 150.0, Spread(ratio, ratio, ratio), bound)
    _, line = table.lines([figure])
    assert line.split()[0] == table.number(ratio)
    assert line.endswith(f" {end}")
    missed = (
        "1 of 1 figures MISSED."
        if "MISSED" in end
        else "1 figures, and every requirement is reached."
    )
    assert f"\n{missed}" in command.screen([figure], ORIGIN)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces all measurements by one, of this ratio and spread, on a machine with this load."""

    def replace(ratio: float, spread: float = 1.0, load: float = 0.5) -> None:
        monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
        module = ModuleType("bench.stub")
        figure = Figure.against(
            "warm event",
            "µs",
            [ratio * 100, ratio * 100 * spread],
            "peer",
            [100.0, 100.0],
            Bound(0.2),
        )
        vars(module)["measure"] = lambda: [figure]
        monkeypatch.setattr(command, "MEASUREMENTS", ("stub",))
        monkeypatch.setitem(sys.modules, "bench.stub", module)

    return replace


@pytest.mark.parametrize(("ratio", "status"), [(0.2, 0), (0.21, 1)])
def test_the_exit_status_says_whether_a_requirement_is_missed(
    ratio: float, status: int, measured: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    measured(ratio)
    assert command.main([]) == status
    assert ("MISSED" in capsys.readouterr().out) == (status == 1)


@pytest.mark.parametrize("arguments", [["speed"], ["signing", "speed"], ["signing", "--docs"]])
def test_a_name_that_is_unknown_or_only_a_part_of_the_page_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert (
        "unknown measurement 'speed': choose from signing" in printed.err
        or "--docs requires" in printed.err
    )


def test_docs_writes_into_the_page_what_is_printed(
    measured: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(0.1)
    monkeypatch.setattr(command, "PAGE", tmp_path / "performance.md")
    command.PAGE.write_text(PAGE, "utf-8")
    for _ in range(2):  # the second time, over the first table
        assert command.main(["--docs"]) == 0
        written = command.PAGE.read_text("utf-8")
        assert written == PAGE.replace("old", f"```text\n{capsys.readouterr().out}```")


@pytest.mark.parametrize(
    ("spread", "load", "why"),
    [(1.0, 0.51, "the load is 0.51"), (2.1, 0.5, "more than 2 to 1: warm event"), (2.0, 0.5, "")],
)
def test_docs_refuses_a_machine_that_is_not_idle(
    spread: float,
    load: float,
    why: str,
    measured: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(0.1, spread, load)
    monkeypatch.setattr(command, "PAGE", tmp_path / "performance.md")
    command.PAGE.write_text(PAGE, "utf-8")
    assert command.main(["--docs"]) == (1 if why else 0)
    assert (command.PAGE.read_text("utf-8") == PAGE) == bool(why)
    assert why in capsys.readouterr().err
    assert command.main([]) == 0  # elsewhere a busy machine only prints
