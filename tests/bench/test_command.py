"""`python -m bench`: its names, its exit status, and what `--docs` writes. Nothing is measured here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench import __main__ as command
from bench.figures import Bound, Figure

PAGE = "# Performance\n\n<!-- begin: table -->\nold\n<!-- end: table -->\n\nText stays.\n"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Replaces all measurements by one, of this ratio."""

    def replace(ratio: float) -> None:
        module = ModuleType("bench.stub")
        figure = Figure.against("warm event", "µs", [ratio * 100, ratio * 100], "peer", [100.0, 100.0], Bound(0.2))
        vars(module)["measure"] = lambda: [figure]
        monkeypatch.setattr(command, "MEASUREMENTS", ("stub",))
        monkeypatch.setitem(sys.modules, "bench.stub", module)

    return replace


@pytest.mark.parametrize(("ratio", "status"), [(0.2, 0), (0.21, 1)])
def test_the_exit_status_says_whether_a_requirement_is_missed(
    ratio: float, status: int, measured: Callable[[float], None], capsys: pytest.CaptureFixture[str]
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
    assert "unknown measurement 'speed': choose from signing" in printed.err or "--docs requires" in printed.err


def test_docs_writes_into_the_page_what_is_printed(
    measured: Callable[[float], None],
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
