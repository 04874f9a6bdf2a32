"""Minutes of all the requests that the platform sends an instance at a time, one in a hundred malformed."""

from __future__ import annotations

from collections import Counter

import pytest

from bench import load
from bench.load import mix

SECONDS = 600.0  # LOAD_SECONDS shortens it


@pytest.mark.long
def test_an_instance_under_full_load_refuses_only_what_is_malformed_and_does_not_grow() -> None:
    done = load.run(load.seconds_from_environment(SECONDS))
    answers = done.answers
    assert answers.wrong == 0, answers.faults
    assert answers.server_errors == 0
    assert done.log == ""
    # Each kind of refusal was really tried, and all requests were answered.
    assert {request.name for request in mix.malformed()} <= {name for name, _, _ in answers.kinds}
    assert answers.kinds.total() == len(answers.latencies)
    assert abs(done.malformed / len(answers.latencies) - 1 / mix.MALFORMED) < 0.005
    assert done.growth <= load.MAX_GROWTH, done.memory


def test_the_mix_is_the_same_each_time_and_one_in_a_hundred_requests_is_malformed() -> None:
    one, other = mix.Mix(), mix.Mix()
    names = [one.next().name for _ in range(20_000)]
    assert names == [other.next().name for _ in range(20_000)]
    malformed = {request.name for request in mix.malformed()}
    counts = Counter(name in malformed for name in names)
    assert counts[True] == one.malformed
    assert 150 < counts[True] < 250
