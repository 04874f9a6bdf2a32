"""The fuzzer finds what is broken, and says where the input is and how to try it again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handler.errors import Problem
from handler.links import read_expires
from tests.fuzz import fuzzer
from tests.fuzz.coverage import Coverage
from tests.fuzz.fuzzer import Run, Target, TooSlow, advice, fuzz, keep, replay
from tests.fuzz.mutations import MAX_SIZE, Mutator
from tests.fuzz.targets import TARGETS

DICE = 20_260_301


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found here is not kept."""
    monkeypatch.setattr(fuzzer, "ROOT", tmp_path)
    monkeypatch.setattr(fuzzer, "FOUND", tmp_path / "build")
    monkeypatch.setattr(fuzzer, "CORPUS", tmp_path / "corpus")


def fails_deep_inside(data: bytes) -> None:
    """Several conditions, of which each is met by few of the inputs that meet those before it."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict) and "expires" in document:
        value = document["expires"]
        if isinstance(value, list) and value:
            raise ZeroDivisionError


def refused(data: bytes) -> None:
    if data.startswith(b"{"):
        return
    raise KeyError


def target_of(run: Run, *seeds: bytes) -> Target:
    @contextmanager
    def open_target() -> Iterator[Run]:
        yield run

    return Target("example", open_target, lambda: seeds, (__file__,))


def test_a_fault_behind_several_conditions_is_found_and_its_input_shrunk() -> None:
    target = target_of(fails_deep_inside, b'{"path": "/a", "method": "GET"}')
    report = fuzz(target, 60, dice=random.Random(DICE))
    ((path, error),) = report.faults.items()
    assert isinstance(error, ZeroDivisionError)
    assert len(path.read_bytes()) < 30
    assert report.added
    message = advice(target, path, error)
    assert f"python -m tests.fuzz example {path.relative_to(fuzzer.ROOT)}" in message
    with pytest.raises(AssertionError, match=r"python -m tests\.fuzz example build/example/faults/"):
        replay(target, [path.read_bytes()])


def test_a_seed_that_fails_is_reported_at_once() -> None:
    report = fuzz(target_of(refused, b"[]"), 60)
    assert report.calls == 1
    assert [type(error) for error in report.faults.values()] == [KeyError]


def test_a_call_that_takes_too_long_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzer, "MAX_SECONDS", 0.05)

    def hang(data: bytes) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            pass

    report = fuzz(target_of(hang, b""), 1)
    assert [type(error) for error in report.faults.values()] == [TooSlow]


def test_the_time_limits_a_run() -> None:
    started = time.monotonic()
    report = fuzz(target_of(lambda data: None, b"a"), 0.2)
    assert report.calls > 10
    assert not report.faults
    assert time.monotonic() - started < 5


def test_the_corpus_is_the_few_inputs_that_reach_everything() -> None:
    def run(data: bytes) -> None:
        if data == b"a":
            run(b"c")
        if data == b"b":
            run(b"d")

    target = target_of(run, b"")
    for data in (b"a", b"b", b"bb", b"x" * 50):
        fuzzer._save(target, data, "corpus")
    assert {path.read_bytes() for path in keep(target)} == {b"a", b"b"}
    assert set(target.corpus()) == {b"a", b"b"}


def test_coverage_is_of_our_own_code_and_knows_its_words() -> None:
    coverage = Coverage()
    short = coverage.steps(lambda data: read_expires(data.decode()), b"15m")
    assert short
    with pytest.raises(Problem):
        coverage.steps(lambda data: read_expires(data.decode()), b"x")
    assert coverage.last - short
    assert b"bad_expires" in coverage.words
    assert not Coverage().steps(json.loads, b"[1]")


def test_mutations_stay_small_and_differ() -> None:
    mutator = Mutator(random.Random(DICE), [b"expires"])
    seed = b'{"path": "/a", "links": [1, {"b": null}], "text": "[1]"}'
    results = {mutator.mutate(seed, b"other\ntext") for _ in range(2000)}
    assert len(results) > 1000
    assert max(map(len, results)) <= MAX_SIZE
    assert any(b"expires" in result for result in results)


def test_every_target_refuses_an_input_that_breaks_its_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.links.parse_duration", lambda string: -1)
    with pytest.raises(AssertionError, match=r"expires: "):
        replay(TARGETS["expires"], [b"15m"])
