"""What a link costs does not depend on the mounts, and grows in proportion with everything else.

What is counted is the work: bytecode instructions of a call, and requests to OSS. It is the same on every machine.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from types import FrameType
from typing import Any

import pytest

from bench.growth import history, links
from bench.growth.links import FLAT, LINEAR, Axis, Call
from handler.config import load
from handler.request import Request

TOLERANCE = 1.1


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


def test_a_link_takes_as_much_work_among_ten_thousand_mounts_as_with_one() -> None:
    one, many = (work(FLAT.prepare(count)) for count in (1, 10_000))
    assert many <= TOLERANCE * one


@pytest.mark.parametrize(
    ("route", "body"),
    [("/-/sign", {"links": [{"path": "/mount-00000/q3.pdf"}]}), ("/-/form", {"path": "/mount-00000/in/"})],
)
def test_so_do_links_and_forms_of_the_routes(route: str, body: dict[str, object]) -> None:
    request = Request("POST", route, {}, {}, json.dumps(body).encode(), "")
    methods = {"methods": ["GET", "POST"], "max_size": "1MB"}
    configs = [load.read(links.document(count, **methods), {}) for count in (1, 10_000)]
    one, many = (work(links.answered(lambda: request, config)) for config in configs)
    assert many <= TOLERANCE * one


@pytest.mark.parametrize("axis", LINEAR, ids=lambda axis: axis.largest)
def test_a_link_takes_work_in_proportion_to_its_parts(axis: Axis) -> None:
    sizes = (axis.sizes[0], axis.sizes[-1] // 2, axis.sizes[-1])
    assert_in_proportion(sizes, [work(axis.prepare(size)) for size in sizes])


CONTENT_TYPE = {"query": ["response-content-type"]}
UPLOADS = {"methods": ["GET", "PUT"], "max_size": "1MB"}
STATE = {"keys": "oss://examplebucket/.links/keys.json", "state": "oss://examplebucket/.links/state/"}
ROLE = {"assume_role": {"role": "acs:ram::1000000000000001:role/links-signer"}}


@pytest.mark.parametrize(
    ("mount", "top"),
    [
        ({}, {}),
        (CONTENT_TYPE, {}),
        (UPLOADS, STATE),
        ({}, ROLE),
        ({**UPLOADS, "endpoint": "https://a.example.com"}, {}),
    ],
    ids=["plain", "content types", "uploads", "sessions", "uploads to a domain"],
)
def test_links_toml_is_read_with_work_in_proportion_to_its_mounts(
    mount: dict[str, object], top: dict[str, object]
) -> None:
    sizes = (20, 60, 100)
    documents = [{**links.document(size, **mount), **top} for size in sizes]
    assert_in_proportion(sizes, [work(partial(load.read, document, {})) for document in documents])


def test_no_share_event_or_tick_asks_oss_more_often_with_a_long_history() -> None:
    for name, counts in history.requests((0, 1000, 100_000)).items():
        assert len(set(counts)) == 1, f"{name}: {counts}"
