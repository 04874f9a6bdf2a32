"""`python -m bench`: its names, its exit status, and what `--docs` writes. Nothing is measured here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from bench import __main__ as command
from bench import page
from bench.bars import Bars, svg
from bench.details import Details
from bench.figures import Bound, Figure, Spread

ROOT = Path(__file__).parents[2]
PAGE = "# Performance\n\n<!-- begin: table -->\nold\n<!-- end: table -->\n\nText stays.\n"

Measure = Callable[[Details], list[Figure]]


def figures(ratio: float) -> Measure:
    def measure(details: Details) -> list[Figure]:
        details.line("a detail")
        details.note("a note")
        details.bars("parts", "Parts", "milliseconds", {"interpreter": 12.3, "event": 0.4})
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
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
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
    assert sorted(written[0]) == ["parts.svg", "performance.md", "ratios.svg"]
    markdown = written[0]["performance.md"].decode()
    assert "| **0.100** |  | warm event | 10.0 µs | 100 µs, peer | at most 0.2, aim 0.1: reached |" in markdown
    assert markdown.startswith("# Performance\n\n<!-- begin: table -->\n20")
    assert "old" not in markdown
    assert markdown.endswith("a note\n<!-- end: table -->\n\nText stays.\n")


def test_a_page_without_the_section_is_refused_before_anything_is_measured(
    stub: Callable[[Measure], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(lambda details: pytest.fail("it was measured"))
    monkeypatch.setattr(command, "PAGE", tmp_path / "performance.md")
    command.PAGE.write_text("# Performance\n", "utf-8")
    with pytest.raises(LookupError, match="begin: table"):
        command.main(["--docs"])


def test_the_page_of_the_repository_has_its_table_and_its_pictures() -> None:
    page.replace_table(command.PAGE.read_text("utf-8"), "")
    assert {path.name for path in command.PICTURES.iterdir()} == {"ratios.svg", "new-process.svg"}


def test_a_picture_has_its_own_background_and_a_bar_for_each_value_to_one_scale() -> None:
    root = ElementTree.fromstring(svg(Bars("parts", "R&D <1 s", "milliseconds", {"interpreter": 12.0, "event": 0.4})))
    background, *bars = root.iterfind("{*}rect")
    assert background.get("fill") == "#ffffff"
    assert background.get("width") == root.attrib["viewBox"].split()[2]
    long, short = (float(bar.attrib["width"]) for bar in bars)
    assert long == pytest.approx(30 * short, rel=0.01)
    texts = [text.text for text in root.iterfind("{*}text")]
    assert texts == ["R&D <1 s", "interpreter", "12.0", "event", "0.400", "milliseconds"]


def test_a_rate_is_drawn_as_the_time_that_it_takes() -> None:
    rates = Figure("requests", "/s", Spread(500, 500, 500), "peer", Spread(100, 100, 100), Spread(5, 5, 5))
    times = Figure("event", "ms", Spread(1, 1, 1), "peer", Spread(4, 4, 4), Spread(0.25, 0.25, 0.25))
    assert command.ratio_bars([rates, times]).values == {"requests / peer": 0.2, "event / peer": 0.25}
