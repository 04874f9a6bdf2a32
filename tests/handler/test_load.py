"""Minutes of all the requests that the platform sends an instance at a time, one in a hundred malformed.

Function Compute sends an instance no more requests at a time than instanceConcurrency in
`deploy/custom-runtime/s.yaml`, so that many connections are kept busy.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.checks import shipped
from tests.handler import load_mix
from tests.handler.busy_client import keep_busy
from tests.handler.custom_runtime import instance
from tests.handler.load_mix import KEYS_DOCUMENT, LINKS, Mix

SECONDS = 600.0  # LOAD_SECONDS shortens it
WARM_UP = 5.0  # seconds before those that are measured
WINDOW = 60  # seconds at the start and at the end, whose memory is compared
MAX_GROWTH = 4.0  # MB


@pytest.mark.long
def test_an_instance_under_full_load_refuses_only_what_is_malformed_and_does_not_grow(tmp_path: Path) -> None:
    seconds = float(os.environ.get("LOAD_SECONDS") or SECONDS)
    (tmp_path / "keys.json").write_text(json.dumps(KEYS_DOCUMENT), "utf-8")
    connections = shipped.custom()["instanceConcurrency"]
    mix, memory = Mix(), list[float]()
    with instance(tmp_path, LINKS) as running:

        def look() -> None:
            memory.append(resident(running.process.pid))
            os.truncate(tmp_path / "out", 0)  # the audit lines of millions of requests would fill the disk

        keep_busy(running.port, connections, WARM_UP, Mix(seed=1), lambda: None)
        answers = keep_busy(running.port, connections, seconds, mix, look)
        assert (tmp_path / "err").read_text("utf-8") == ""
    assert answers.wrong == 0, answers.faults
    assert answers.server_errors == 0
    # Each kind of refusal was really tried, and one in a hundred requests was malformed.
    malformed = {request.name for request in load_mix.malformed()}
    assert malformed <= {name for name, _, _ in answers.kinds}
    refused = sum(count for (name, _, _), count in answers.kinds.items() if name in malformed)
    assert refused == mix.malformed
    assert abs(refused / answers.kinds.total() - 1 / load_mix.MALFORMED) < 0.005
    # In a short run, the last third is compared with the first.
    window = max(1, int(min(WINDOW, seconds / 3)))
    assert statistics.median(memory[-window:]) - statistics.median(memory[:window]) <= MAX_GROWTH, memory


def resident(process: int) -> float:
    """MB of a process and its children, 0 if the system does not say."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(resident(int(child)) for child in children)


def test_the_mix_is_the_same_each_time_and_one_in_a_hundred_requests_is_malformed() -> None:
    one, other = Mix(), Mix()
    names = [one.next().name for _ in range(20_000)]
    assert names == [other.next().name for _ in range(20_000)]
    malformed = {request.name for request in load_mix.malformed()}
    counts = Counter(name in malformed for name in names)
    assert counts[True] == one.malformed
    assert 150 < counts[True] < 250
