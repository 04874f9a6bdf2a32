"""docs/security.md names tests that exist, and how long a guess takes."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from handler.core.shares.code import ALPHABET

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/security.md").read_text(encoding="utf-8")
CITED = re.findall(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", PAGE)


def test_each_cited_test_exists() -> None:
    assert len(CITED) > 40
    for file, name in CITED:
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_every_threat_has_a_row_with_what_holds_it_and_a_test() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(rows) >= 16
    assert all(len(row) == 3 and row[1] and "::test_" in row[2] for row in rows)


def test_each_number_of_a_guessed_code_follows_from_its_formula() -> None:
    section = PAGE.partition("## How hard is a code to guess?")[2].partition("\n## ")[0]
    codes = len(ALPHABET) ** 8
    assert f"{len(ALPHABET)}^8 = {codes:,} codes, which are {math.log2(codes):.1f} bits" in section
    rows = re.findall(r"^\| .+ \| ([\d,]+) \| ([\d,/ ]+) \| ([\d,.]+) \|$", section, re.MULTILINE)
    assert len(rows) == 3
    for rate, formula, days in rows:
        assert formula == f"{codes:,} / 2 / {rate} / 86,400"
        result = codes / 2 / int(rate.replace(",", "")) / 86_400
        assert float(days.replace(",", "")) == pytest.approx(result, rel=0.005)
