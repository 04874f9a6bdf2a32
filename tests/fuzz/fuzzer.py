"""Runs a target with inputs that it changes at random, and keeps those that reach new code.

Inputs are kept in `build/fuzz/`, from where `python -m tests.fuzz TARGET --keep` takes the few that reach all of it.
"""

from __future__ import annotations

import random
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.coverage import WATCHED, Coverage
from tests.fuzz.mutations import Mutator

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
FOUND = ROOT / "build/fuzz"
MAX_SECONDS = 10.0  # of one call; tracing makes it about ten times slower
MAX_FILES, MAX_BYTES = 16, 24_000  # of the corpus of one target
SHRINKING = 20.0  # seconds

Run = Callable[[bytes], object]


class Target(NamedTuple):
    """What is fuzzed: `open` gives the function that is called with each input.

    It raises only if the code under test breaks its word: with another error than those that are documented, or with
    a result that cannot be right.
    """

    name: str
    open: Callable[[], AbstractContextManager[Run]]
    seeds: Callable[[], Iterable[bytes]]
    watched: tuple[str, ...] = WATCHED

    def corpus(self) -> list[bytes]:
        return _read(CORPUS / self.name)

    def found(self) -> list[bytes]:
        return _read(FOUND / self.name / "corpus")


class Report(NamedTuple):
    """`faults` are the files of inputs that failed, with their errors."""

    calls: int
    steps: int
    added: int
    faults: dict[Path, BaseException]


class TooSlow(BaseException):
    """A call took longer than `MAX_SECONDS`. Not an `Exception`, so that no code under test catches it."""


def fuzz(target: Target, seconds: float, *, dice: random.Random | None = None, keep_going: bool = False) -> Report:
    """Calls a target for so many seconds, until an input fails; with `keep_going` until the time is over."""
    end, dice = time.monotonic() + seconds, dice or random.Random()
    coverage, pool, calls, added = Coverage(target.watched), list[bytes](), 0, 0
    reached: set[int] = set()
    faults: dict[str, tuple[Path, BaseException]] = {}
    with target.open() as run:

        def call(data: bytes) -> bool:
            """Whether an input reaches new code without failing. Saves one that fails."""
            nonlocal calls
            calls, has_failed = calls + 1, False
            try:
                _limited(lambda data: coverage.steps(run, data), data)
            except (Exception, TooSlow) as error:
                place, has_failed = _place(error), True
                if place not in faults:
                    faults[place] = _save(target, shrink(run, data, place), "faults"), error
            is_new = not coverage.last <= reached
            reached.update(coverage.last)
            return is_new and not has_failed

        for data in dict.fromkeys([*target.seeds(), *target.corpus(), *target.found()]):
            call(data)  # the first call may import what others do not
            pool.append(data)
        mutator = Mutator(dice, sorted(coverage.words))
        while time.monotonic() < end and (keep_going or not faults):
            # What was found last is tried more often.
            index = -1 - int(dice.expovariate(4 / len(pool))) if dice.random() < 0.5 else dice.randrange(len(pool))
            data = mutator.mutate(pool[max(index, -len(pool))], dice.choice(pool))
            if call(data):
                pool.append(data)
                _save(target, data, "corpus")
                added += 1
    return Report(calls, len(reached), added, dict(faults.values()))


def replay(target: Target, inputs: Iterable[bytes]) -> None:
    """Calls a target with each input. Raises `AssertionError` for the first that fails."""
    with target.open() as run:
        for data in inputs:
            try:
                _limited(run, data)
            except (Exception, TooSlow) as error:
                raise AssertionError(advice(target, _save(target, data, "faults"), error)) from error


def advice(target: Target, path: Path, error: BaseException) -> str:
    name = path.relative_to(ROOT)
    return (
        f"{target.name}: {_place(error)}: {str(error)[:500]}\nThe input is in {name}. To try it again: "
        f"python -m tests.fuzz {target.name} {name}\nAfter the fix, add it to tests/fuzz/corpus/{target.name}/."
    )


def shrink(run: Run, data: bytes, place: str) -> bytes:
    """A smaller input that fails at the same place: without every part that is not needed."""
    end, size = time.monotonic() + SHRINKING, max(1, len(data) // 2)
    while size:
        start = 0
        while start < len(data) and time.monotonic() < end:
            smaller = data[:start] + data[start + size :]
            try:
                _limited(run, smaller)
            except (Exception, TooSlow) as error:
                if _place(error) == place:
                    data = smaller
                    continue
            start += size
        size //= 2
    return data


def keep(target: Target) -> list[Path]:
    """Replaces the corpus: of all inputs, few and small ones that reach as much as they all do."""
    coverage = Coverage(target.watched)
    steps: dict[bytes, set[int]] = {}
    seeds = list(target.seeds())
    with target.open() as run:
        for _ in range(2):  # in the second round, everything is imported
            for data in sorted({*seeds, *target.corpus(), *target.found()}, key=len):
                with suppress(Exception):  # a fault, which belongs into a test of its own
                    steps[data] = set(coverage.steps(run, data))
    reached = set().union(*(steps.get(data, set()) for data in seeds))
    paths: list[Path] = []
    left = MAX_BYTES
    for path in (CORPUS / target.name).glob("*"):
        path.unlink()
    while len(paths) < MAX_FILES:
        small = (data for data in steps if len(data) <= left)
        best = max(small, key=lambda data: len(steps[data] - reached) / (len(data) + 200), default=b"")
        if not steps.get(best, set()) - reached:
            break
        reached |= steps[best]
        left -= len(best)
        paths.append(_save(target, best, "", CORPUS))
    return paths


def _limited(function: Callable[[bytes], Any], data: bytes) -> Any:
    with _time_limit():
        return function(data)


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TooSlow(f"took longer than {MAX_SECONDS:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(error: BaseException) -> str:
    """What is the same for the same fault: its type, the last line of ours, and how the message of a law begins."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(f"{ROOT}/") and "/.venv" not in frame.filename
    ]
    frames = [frame for frame in frames if "/tests/fuzz/" not in frame.filename] or frames
    last = f" at {Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].lineno}" if frames else ""
    law = f" ({str(error)[:60]})" if isinstance(error, AssertionError) else ""
    return type(error).__name__ + ("" if isinstance(error, TooSlow) else last + law)


def _save(target: Target, data: bytes, folder: str, root: Path | None = None) -> Path:
    path = (root or FOUND) / target.name / folder / sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _read(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*"))]
