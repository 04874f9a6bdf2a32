"""`python -m bench`: its names, its exit status, and what `--docs` writes. Nothing is measured here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench import __main__ as command
from bench import page, plots
from bench.details import Bars, Curve, Details
from bench.figures import Bound, Figure, Spread

ROOT = Path(__file__).parents[2]
PAGE = "# Performance\n\n<!-- begin: all -->\nold\n<!-- end: all -->\n\nText stays.\n"
CURVE = Curve(
    "latency", "Latency", "percent", "milliseconds", {"ours": [(50, 1), (99, 9)], "peer": [(50, 4)]}, log_y=True
)

Measure = Callable[[Details], list[Figure]]


def figures(ratio: float) -> Measure:
    def measure(details: Details) -> list[Figure]:
        details.line("a detail")
        details.note("a note")
        details.curve(*CURVE[:5], log_y=True)
        values = [ratio * 100, ratio * 100]
        return [Figure.against("warm event", "µs", values, "peer", [100.0, 100.0], Bound(0.2, 0.1))]

    return measure


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Measure], None]:
    """Replaces all measurements by one."""

    def replace(measure: Measure) -> None:
        module = ModuleType("bench.stub")
        vars(module)["measure"] = measure
        monkeypatch.setattr(command, "MEASUREMENTS", ("stub",))
        monkeypatch.setitem(sys.modules, "bench.stub", module)

    return replace


@pytest.mark.parametrize(("ratio", "status"), [(0.2, 0), (0.21, 1)])
def test_the_exit_status_says_whether_a_requirement_is_missed(
    ratio: float, status: int, stub: Callable[[Measure], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stub(figures(ratio))
    assert command.main([]) == status
    output = capsys.readouterr().out
    assert ("MISSED" in output) == (status == 1)
    assert "a note" in output
    assert "a detail" not in output


def test_details_are_printed_with_v(stub: Callable[[Measure], None], capsys: pytest.CaptureFixture[str]) -> None:
    stub(figures(0.1))
    assert command.main(["-v"]) == 0
    assert "a detail\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["speed"], ["signing", "speed"], ["signing", "--docs"]])
def test_a_name_that_is_unknown_or_only_a_part_of_the_page_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = command.main(arguments)
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "unknown measurement 'speed': choose from signing" in printed.err or "--docs requires" in printed.err


def test_docs_writes_the_same_page_and_pictures_for_the_same_figures(
    stub: Callable[[Measure], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(figures(0.1))
    monkeypatch.setattr(command, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(command, "PICTURES", tmp_path / "images")
    written = []
    for _ in range(2):
        command.PAGE.write_text(PAGE, "utf-8")
        assert command.main(["--docs"]) == 0
        written.append({path.name: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["latency.svg", "performance.md", "ratios.svg"]
    markdown = written[0]["performance.md"].decode()
    assert "| **0.100** |  | warm event | 10.0 µs | 100 µs, peer | at most 0.2, aim 0.1: reached |" in markdown
    assert markdown.startswith("# Performance\n\n<!-- begin: all -->\n20")
    assert "old" not in markdown
    assert markdown.endswith("a note\n<!-- end: all -->\n\nText stays.\n")


def test_a_page_without_the_section_is_refused_before_anything_is_measured(
    stub: Callable[[Measure], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(lambda details: pytest.fail("it was measured"))
    monkeypatch.setattr(command, "PAGE", tmp_path / "performance.md")
    command.PAGE.write_text("# Performance\n", "utf-8")
    with pytest.raises(LookupError, match="begin: all"):
        command.main(["--docs"])


def test_the_page_of_the_repository_has_its_sections_and_its_pictures() -> None:
    markdown = command.PAGE.read_text("utf-8")
    for section in (command.ALL, *command.LONG):
        page.replace_section(markdown, section, "")
    pictures = {path.stem for path in command.PICTURES.glob("*.svg")}
    assert {"ratios", "new-process", "pages", "latency"} <= pictures


@pytest.mark.parametrize("picture", [CURVE, Bars("bars", "Parts", "milliseconds", {"interpreter": 12.3, "event": 0.4})])
def test_a_picture_is_small_and_has_its_own_background_and_no_date(picture: Curve | Bars, tmp_path: Path) -> None:
    svg = plots.draw(picture, tmp_path).read_text("utf-8")
    assert len(svg) < 40_000
    assert "fill: #ffffff" in svg
    assert "dc:date" not in svg
    assert picture.title in svg


def test_a_rate_is_drawn_as_the_time_that_it_takes() -> None:
    rates = Figure("requests", "/s", Spread(500, 500, 500), "peer", Spread(100, 100, 100), Spread(5, 5, 5))
    times = Figure("event", "ms", Spread(1, 1, 1), "peer", Spread(4, 4, 4), Spread(0.25, 0.25, 0.25))
    assert command.ratio_bars([rates, times]).values == {"requests / peer": 0.2, "event / peer": 0.25}
