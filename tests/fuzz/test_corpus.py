"""Every input that was ever kept is still answered as documented."""

from __future__ import annotations

import pytest

from tests.fuzz.fuzzer import CORPUS, MAX_BYTES, MAX_FILES, Target, replay
from tests.fuzz.targets import TARGETS

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@every_target
def test_what_was_found_is_answered_as_documented(target: Target) -> None:
    replay(target, target.corpus())


@every_target
def test_the_corpus_is_small(target: Target) -> None:
    sizes = [path.stat().st_size for path in (CORPUS / target.name).iterdir()]
    assert 0 < len(sizes) <= MAX_FILES
    assert sum(sizes) <= MAX_BYTES


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
