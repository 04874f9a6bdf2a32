"""Request bodies are read strictly: known members of the right JSON type, and nothing else."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.errors import Problem
from handler.core.request import Request, read_members, read_weights

MEMBERS = {"path": str, "size": int, "overwrite": bool, "query": dict, "links": list}
VALUES = {"path": "/a", "size": 7, "overwrite": False, "query": {"a": "b"}, "links": [1]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


def request(body: bytes, content_type: str | None = "application/json") -> Request:
    headers = {} if content_type is None else {"content-type": content_type}
    return Request("POST", "/-/sign", {}, headers, body, "")


def problem_of(document: object, *, required: tuple[str, ...] = ()) -> Problem:
    with pytest.raises(Problem) as error:
        read_members(document, MEMBERS, required=required)
    assert (error.value.status, error.value.code) == (400, "bad_body")
    return error.value


def test_a_json_body_is_read_and_another_media_type_is_a_415() -> None:
    for json_type in (None, "application/json", "APPLICATION/JSON ; charset=utf-8"):
        assert (
            request(json.dumps(VALUES).encode(), json_type).json(MEMBERS, required=tuple(MEMBERS))
            == VALUES
        )
    for other in ("", "text/plain", "application/jsonp"):
        with pytest.raises(Problem) as error:
            request(b"{}", other).json(MEMBERS)
        assert (error.value.status, error.value.code) == (415, "not_json")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"{} {}", b"[" * 20_000], ids=lambda body: ascii(body)[:20]
)
def test_a_body_that_is_not_json_is_a_400(body: bytes) -> None:
    with pytest.raises(Problem) as error:
        request(body).json(MEMBERS)
    assert error.value.code == "bad_body"
    assert error.value.sentence == "The request body is not valid JSON."


@pytest.mark.parametrize(("count", "is_parsed"), [(20_000, True), (20_001, False)])
def test_a_body_with_more_lists_and_objects_than_a_batch_needs_is_a_400_before_it_is_parsed(
    count: int, is_parsed: bool
) -> None:
    """A megabyte of them took forty of memory in each thread, whatever else was wrong."""
    half = count // 2
    body = b"".join((b'{"links":', b"[[],{}" + b",[]" * half + b",{}" * (count - half - 4), b"]}"))
    assert body.count(b"[") + body.count(b"{") == count
    if is_parsed:
        assert len(request(body).json(MEMBERS)["links"]) == count - 2
        return
    tracemalloc.start()
    with pytest.raises(Problem, match="20000 of") as error:
        request(body).json(MEMBERS)
    assert error.value.code == "bad_body"
    assert tracemalloc.get_traced_memory()[1] < len(body)
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "it must be a JSON object"),
        ({"paht": None}, "unknown member 'paht' (known: path, size, overwrite, query, links)"),
        ({"path": 7}, '"path" must be a string'),
        ({"size": "7"}, '"size" must be an integer'),
        ({"size": True}, '"size" must be an integer'),
        ({"overwrite": 1}, '"overwrite" must be true or false'),
        ({"query": []}, '"query" must be an object'),
        ({"links": {}}, '"links" must be a list'),
    ],
)
def test_the_problem_names_the_member_and_what_it_must_be(document: object, reason: str) -> None:
    assert problem_of(document).sentence == f"Invalid request body: {reason}."


def test_a_required_member_must_not_be_missing_or_null_and_a_long_unknown_name_is_shortened() -> (
    None
):
    for document in ({}, {"size": 7}, {"path": None}):
        assert (
            problem_of(document, required=("path",)).sentence
            == 'Invalid request body: "path" is required.'
        )
    assert len(problem_of({"x" * 5000: 1}).sentence) < 300


@given(JSON | st.dictionaries(st.sampled_from([*MEMBERS, "other"]), JSON, max_size=4))
def test_any_document_has_values_of_the_right_types_or_is_a_problem(document: Any) -> None:
    valid = isinstance(document, dict) and all(
        name in MEMBERS and (value is None or type(value) is MEMBERS[name])
        for name, value in document.items()
    )
    if valid:
        assert read_members(document, MEMBERS) == {**dict.fromkeys(MEMBERS), **document}
    else:
        problem_of(document)


@pytest.mark.parametrize(
    ("header", "weights"),
    [
        ("*/*", {"*/*": 1.0}),
        (
            "text/html,application/xml;q=0.9,*/*;q=0.8",
            {"text/html": 1.0, "application/xml": 0.9, "*/*": 0.8},
        ),
        ("Text/HTML ; level=1 ; Q=0.25", {"text/html": 0.25}),
        ('a/b;title="x,y;q=0.1\\"";q=0.5', {"a/b": 0.5}),
        ('a/b;title="never closed;q=0.5, c/d', {"a/b": 1.0}),
        ("a/b;q=.5, c/d;q=1., e/f;q=7", {"a/b": 0.5, "c/d": 1.0, "e/f": 1.0}),
        (
            "a/b;q=, c/d;q=nan, e/f;q=-1, g/h;q=1e1, i/j;q=0x1",
            dict.fromkeys(("a/b", "c/d", "e/f", "g/h", "i/j"), 0.0),
        ),
        ("a/b;q=0.2, a/b;q=0.4", {"a/b": 0.4}),
        ("de-DE, zh-CN;q=0.9, en;q=0.8", {"de-de": 1.0, "zh-cn": 0.9, "en": 0.8}),
    ],
)
def test_the_weights_of_a_header_are_read(header: str, weights: dict[str, float]) -> None:
    assert read_weights(header) == weights


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(['"', "\\", ",", ";", "q=", "0", "1.", "a/b", " "])).map("".join)
)
def test_any_header_has_weights_from_0_to_1(header: str) -> None:
    assert all(0 <= weight <= 1 for weight in read_weights(header).values())


@pytest.mark.parametrize("repeated", ['"', '"\\"', "\\", 'a;"', ",", ";q=1", "q=0."])
def test_a_long_header_is_read_in_linear_time(repeated: str) -> None:
    started = time.process_time()
    read_weights(repeated * 100_000)
    assert time.process_time() - started < 2
