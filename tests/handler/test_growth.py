"""What a link costs does not depend on the mounts, and grows in proportion with everything else.

What is counted is the work: bytecode instructions of a call, and requests to OSS. It is the same on every machine.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from types import FrameType
from typing import Any

import pytest

from handler.core.cloud.sessions import Sessions
from handler.core.config import load
from handler.core.request import Request
from tests.handler import sized_requests, state_history
from tests.handler.core.sessions import opener
from tests.handler.sized_requests import MAX_TOKEN, Call

TOLERANCE = 1.1
ROLE = {"assume_role": {"role": opener.ROLE}}


def work(call: Call) -> int:
    """The instructions that a call executes, once it has filled the caches."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += 1
        return trace

    previous = sys.gettrace()
    with redirect_stdout(io.StringIO()):
        call()
        # Python 3.12 counts the instructions of a function only once it was traced before.
        for _ in range(2):
            count = 0
            sys.settrace(trace)
            try:
                call()
            finally:
                sys.settrace(previous)
    return count


def assert_in_proportion(sizes: Sequence[int], works: Sequence[int]) -> None:
    """Each further unit costs no more in the second half than in the first."""
    first, middle, last = sizes
    early, late = (works[1] - works[0]) / (middle - first), (works[2] - works[1]) / (last - middle)
    assert late <= max(TOLERANCE * early, 1), works


def test_a_link_takes_as_much_work_among_a_thousand_mounts_as_with_one() -> None:
    one, many = (work(sized_requests.mounts(count)) for count in (1, 1000))
    assert many <= TOLERANCE * one


@pytest.mark.parametrize(
    ("route", "body"),
    [("/-/sign", {"links": [{"path": "/mount-00000/q3.pdf"}]}), ("/-/form", {"path": "/mount-00000/in/"})],
)
def test_so_do_links_and_forms_of_the_routes(route: str, body: dict[str, object]) -> None:
    request = Request("POST", route, {}, {}, json.dumps(body).encode(), "")
    methods = {"methods": ["GET", "POST"], "max_size": "1MB"}
    configs = [load.read(sized_requests.document(count, **methods), {}) for count in (1, 1000)]
    one, many = (work(sized_requests.answered(lambda: request, config)) for config in configs)
    assert many <= TOLERANCE * one


@pytest.mark.parametrize(
    ("prepare", "smallest", "largest"),
    [
        (sized_requests.plain_key, 1, 1023),
        (sized_requests.encoded_key, 1, 1023),
        (sized_requests.ignored_query, 0, 100),
        (sized_requests.signed_query, 0, 100),
        (sized_requests.token, 0, MAX_TOKEN),
    ],
)
def test_a_link_takes_work_in_proportion_to_its_parts(
    prepare: Callable[[int], Call], smallest: int, largest: int
) -> None:
    sizes = (smallest, largest // 2, largest)
    assert_in_proportion(sizes, [work(prepare(size)) for size in sizes])


def test_a_kept_session_adds_little_work_to_a_link() -> None:
    request = Request("GET", "/mount-00000/q3.pdf", {"format": "json"}, {}, b"", "")
    configs = [load.read({**sized_requests.document(1), **top}, {}) for top in ({}, ROLE)]
    opened = Sessions(opener.Opener())
    without, kept = (work(sized_requests.answered(lambda: request, config, opened)) for config in configs)
    assert without < kept <= 1.05 * without


CONTENT_TYPE = {"query": ["response-content-type"]}
UPLOADS = {"methods": ["GET", "PUT"], "max_size": "1MB"}
STATE = {"keys": "oss://examplebucket/.links/keys.json", "state": "oss://examplebucket/.links/state/"}


SAME = {"target": "oss://examplebucket/all/", "access": "anonymous"}
TO_A_DOMAIN = {**UPLOADS, "endpoint": "https://a.example.com"}


@pytest.mark.parametrize(
    ("mount", "top"),
    [({}, ROLE), (TO_A_DOMAIN, STATE), ({**SAME, **CONTENT_TYPE}, {}), ({**SAME, **TO_A_DOMAIN}, {})],
    ids=["sessions", "uploads to a domain", "the same target", "uploads to the same target"],
)
def test_links_toml_is_read_with_work_in_proportion_to_its_mounts(
    mount: dict[str, object], top: dict[str, object]
) -> None:
    sizes = (20, 60, 100)
    documents = [{**sized_requests.document(size, **mount), **top} for size in sizes]
    for document in documents:
        document["mount"].append({"path": "/else/", "target": "oss://examplebucket/else/"})
    assert_in_proportion(sizes, [work(partial(load.read, document, {})) for document in documents])


def test_no_share_event_or_tick_asks_oss_more_often_with_a_long_history() -> None:
    for name, counts in state_history.requests((0, 1000, 5000)).items():
        assert len(set(counts)) == 1, f"{name}: {counts}"
