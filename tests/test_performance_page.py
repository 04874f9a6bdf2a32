"""docs/performance.md: each formula gives the figure beside it, and starts from the files that are deployed."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/performance.md").read_text("utf-8")
ROWS = re.findall(r"^\| .+ \| ([\d(][^|]*) \| ([\d,.]+)(?: \| ([\d.]+) (million|billion))? \|$", PAGE, re.MULTILINE)
OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
PER_DAY = 86_400 / 3


def value(formula: str) -> float:
    def of(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](of(node.left), of(node.right))
        return float(ast.literal_eval(node))

    return of(ast.parse(formula.replace(",", ""), mode="eval").body)


def test_each_row_with_a_formula_gives_its_figure_and_that_of_a_day() -> None:
    assert len(ROWS) == 14
    for formula, figure, day, unit in ROWS:
        result = value(formula)
        assert float(figure.replace(",", "")) == pytest.approx(result, rel=0.03), formula
        if day:
            assert f"{float(day):g}" == f"{float(f'{result * PER_DAY:.2g}') / (1e9 if unit == 'billion' else 1e6):g}"


def test_each_sum_in_a_sentence_is_right() -> None:
    sums = re.findall(r"([\d,.]+(?: [-*/] (?:[\d,.]+|\([^)]*\)))+) = ([\d,.]+)", PAGE)
    assert len(sums) == 7
    for formula, result in sums:
        assert value(formula) == pytest.approx(float(result.replace(",", ""))), formula


@pytest.mark.shipped_files
def test_it_starts_from_the_shipped_files() -> None:
    built_in = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["links_http"]["props"]
    custom_file = ROOT / "deploy/custom-runtime/s.yaml"
    custom = yaml.safe_load(custom_file.read_text("utf-8"))["resources"]["links_traffic"]["props"]
    for props, price in ((built_in, "(0.35 + 0.5 * 0.15 + 0.5 * 0.05)"), (custom, "(1 + 1 * 0.15 + 0.5 * 0.05)")):
        sizes = (props["cpu"], props["memorySize"] / 1024, props["diskSize"] / 1024)
        assert price == "({:g} + {:g} * 0.15 + {:g} * 0.05)".format(*sizes)
        assert price in PAGE
    *_, prod = yaml.safe_load((ROOT / "env.yaml").read_text("utf-8"))["environments"]
    reserved = prod["overlays"]["resources"]["links_http"]["concurrencyConfig"]["reservedConcurrency"]
    assert f"as in `env.yaml`: {reserved}, one request at a time | {reserved} / (" in PAGE
    assert f"`instanceConcurrency` of {custom['instanceConcurrency']} |" in PAGE
