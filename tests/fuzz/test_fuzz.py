"""Inputs that nobody thought of, for `FUZZ_SECONDS` (60) each target: only documented errors come out."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.fuzzer import Target, advice, fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_only_documented_errors_come_out(target: Target) -> None:
    report = fuzz(target, float(os.environ.get("FUZZ_SECONDS", "60")))
    print(f"{target.name}: {report.calls} calls, {report.steps} steps, {report.added} inputs with new ones")
    assert not report.faults, "\n".join(advice(target, path, error) for path, error in report.faults.items())
