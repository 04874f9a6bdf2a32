"""Events of any shape: a link, or a problem; never an exception, and never a link for another object."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handler
from handler import app, links, startup
from handler.config import InvalidConfig
from handler.endpoints import objects
from tests.handler.client import EVENTS, Answered, ask, context, event, invoke, mount

ORIGIN = {"Origin": "https://evil.example"}


def without(*path: str) -> dict[str, Any]:
    """The documented event with one member taken away."""
    document = event()
    place = document
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return document


def changed(**changes: object) -> dict[str, Any]:
    """The documented event with members of another value."""
    return {**event(), **changes}


NO_EVENTS: list[bytes | str | int | dict[str, str] | None] = [
    b"",
    b"null",
    b"true",
    b"7",
    b'"text"',
    b"[]",
    b"{}",
    b"not JSON",
    b"\xff\xfe\x00",
    b"\x80",
    b'{"rawPath": "/exampledir/a.txt"',
    b'{"rawPath": "/exampledir/a.txt"}',
    b'[{"rawPath": "/exampledir/a.txt"}]',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 10_000,
    "",
    None,
    7,
    {"rawPath": "/exampledir/a.txt"},
    json.dumps([event()]),
    json.dumps(json.dumps(event())),
    json.dumps(without("rawPath")),
    json.dumps(without("requestContext")),
    json.dumps(without("requestContext", "http")),
    json.dumps(without("requestContext", "http", "method")),
    json.dumps(changed(rawPath=None)),
    json.dumps(changed(rawPath=["/exampledir/a.txt"])),
    json.dumps(changed(requestContext=None)),
    json.dumps(changed(requestContext=[])),
    json.dumps(changed(requestContext={"http": None})),
    json.dumps(changed(requestContext={"http": "GET"})),
    json.dumps(changed(requestContext={"http": {"method": None}})),
    json.dumps(changed(requestContext={"http": {"method": ["GET"]}})),
    json.dumps(changed(headers=[])),
    json.dumps(changed(headers="Accept: */*")),
    json.dumps(changed(headers={"Accept": None})),
    json.dumps(changed(headers={"Accept": ["*/*"]})),
    json.dumps(changed(queryParameters=[])),
    json.dumps(changed(queryParameters="expires=90")),
    json.dumps(changed(queryParameters={"expires": 90})),
    json.dumps(changed(queryParameters={"expires": ["90"]})),
    json.dumps(changed(queryParameters={"expires": None})),
    json.dumps(changed(body=7)),
    json.dumps(changed(body=["a"])),
    json.dumps(changed(body={"a": "b"})),
    json.dumps(changed(body="%%%", isBase64Encoded=True)),
    json.dumps(changed(body="YQ", isBase64Encoded=True)),
    json.dumps(changed(body="YQ==\n", isBase64Encoded=True)),
    json.dumps(changed(body="YQ==YQ==", isBase64Encoded=True)),
    json.dumps(changed(body="报告", isBase64Encoded=True)),
    json.dumps(changed(body="\ud800", isBase64Encoded=False)),
]


@pytest.mark.parametrize("raw", NO_EVENTS, ids=lambda raw: ascii(raw)[:40])
def test_what_is_no_http_event_is_a_problem(raw: Any) -> None:
    answered = invoke(raw)
    assert (answered.status, answered.code) == (400, "bad_event")
    assert answered.json["request_id"] == "req-EXAMPLE"
    assert answered.line["code"] == "bad_event"


@pytest.mark.parametrize("name", ["timer", "oss-trigger", "eventbridge-oss", "mns-topic", "kafka", "rocketmq"])
def test_an_event_of_another_trigger_is_a_problem(name: str) -> None:
    other = {
        "timer": {"triggerTime": "2026-03-01T06:41:11Z", "triggerName": "t", "payload": ""},
        "oss-trigger": {"events": [{"eventName": "ObjectCreated:PutObject", "oss": {"object": {"key": "a.txt"}}}]},
        "eventbridge-oss": {"source": "acs.oss", "type": "oss:ObjectCreated:PutObject", "data": {}},
        "mns-topic": {"TopicOwner": "1000000000000001", "Message": "{}"},
        "kafka": ["{}"],
        "rocketmq": [{"specversion": "1.0", "data": {}}],
    }[name]
    assert invoke(json.dumps(other)).code == "bad_event"


GOOD = [
    changed(headers=None),
    changed(headers={}),
    changed(queryParameters=None),
    changed(queryParameters={}),
    changed(queryParameters={"null": ""}),
    changed(body=None),
    changed(body="", isBase64Encoded=True),
    changed(body="", isBase64Encoded=None),
    changed(body="text", isBase64Encoded=False),
    changed(body="dGV4dA==", isBase64Encoded=True),
    changed(version="v2", more={"unknown": [1]}),
    without("version"),
    without("headers"),
    without("queryParameters"),
    without("body"),
    without("isBase64Encoded"),
    without("requestContext", "domainName"),
    without("requestContext", "requestId"),
    without("requestContext", "http", "sourceIp"),
    without("requestContext", "http", "path"),
]


@pytest.mark.parametrize("document", GOOD, ids=range(len(GOOD)))
def test_what_is_left_out_and_not_needed_is_not_missed(document: dict[str, Any]) -> None:
    answered = invoke(json.dumps(document))
    assert answered.status == 302
    assert answered.key == "exampledir/a.txt"


def test_header_names_are_read_in_any_case() -> None:
    for name in ("Accept", "accept", "ACCEPT"):
        assert invoke(json.dumps(changed(headers={name: "application/json"}))).status == 200


def test_the_request_id_is_the_invocations_and_the_events_where_that_has_none() -> None:
    bad = json.dumps(event("/nothing"))
    assert invoke(bad, invocation=context(request_id="one")).json["request_id"] == "one"
    for invocation in (SimpleNamespace(), SimpleNamespace(request_id=None), SimpleNamespace(request_id="")):
        assert invoke(bad, invocation=invocation).json["request_id"] == "1-6743a0f1-00000000-000000000001"
    assert invoke(b"null", invocation=SimpleNamespace(request_id=7)).json["request_id"] == ""


# --- mutations ----------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place of a document that can be changed."""
    found = [where] if where else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*where, name))
    return found


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    file = EVENTS / draw(st.sampled_from(["http-get.json", "http-post.json"]))
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if document["rawPath"] == "/-/sign":
        document["rawPath"] = "/exampledir/b.txt"
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(places(document)))
        place = document
        for name in where[:-1]:
            place = place[name]
        change = draw(st.sampled_from(["drop", "replace", "rename", "add"]))
        if change in ("drop", "rename"):
            value = place.pop(where[-1])
            if change == "rename":
                place[draw(st.text(max_size=8))] = value
        elif change == "replace":
            place[where[-1]] = draw(JSON_VALUES)
        else:
            place[draw(st.text(max_size=8))] = draw(JSON_VALUES)
    return document


@given(mutations())
def test_a_mutated_event_is_answered_and_never_with_a_link_for_another_object(document: dict[str, Any]) -> None:
    answered = invoke(json.dumps(document))
    assert answered.status in (200, 204, 302, 400, 404, 405)
    assert answered.line["status"] == answered.status
    if answered.status in (200, 302):
        path = unquote_to_bytes(document["rawPath"]).decode()
        if path == "/-/health":
            return
        method = document["requestContext"]["http"]["method"]
        assert method in ("GET", "HEAD")
        if method == "HEAD" and answered.status == 200:
            return
        assert "/" + answered.key == path
        assert path.startswith("/exampledir/")
        assert answered.signs(method)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_anything_at_all_is_answered(raw: bytes) -> None:
    answered = invoke(raw)
    assert (answered.status, answered.code) == (400, "bad_event")


# --- faults of our own --------------------------------------------------------------------------------------------

SECRET = "topsecretEXAMPLE"


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError(f"no value of this may show: {SECRET}")


def assert_told_as_a_fault(answered: Answered) -> None:
    assert answered.status == 500
    assert answered.code == "internal_error"
    assert answered.json["request_id"] == "req-EXAMPLE"
    assert answered.line["status"] == 500
    assert answered.line["code"] == "internal_error"
    assert answered.line["fault"]["error"] == "RuntimeError"
    assert all(frame.count(":") == 1 and frame.split(":")[1].isdigit() for frame in answered.line["fault"]["frames"])
    for told in (answered.body, json.dumps(answered.headers), answered.printed):
        assert SECRET not in told
        assert "no value" not in told
        assert "Traceback" not in told


FAULTS: list[tuple[object, str]] = [
    (links, "presign"),
    (links, "attachment"),
    (links, "find_mount"),
    (objects, "credentials_for"),
    (objects, "redirect"),
    (objects, "note_link"),
    (app, "read_path"),
    (app, "route"),
]


@pytest.mark.parametrize(("room", "name"), FAULTS, ids=[name for _, name in FAULTS])
@pytest.mark.parametrize("headers", [{}, ORIGIN], ids=["", "from another origin"])
def test_a_fault_is_a_500_problem_and_the_log_gets_no_values(room: object, name: str, headers: dict[str, str]) -> None:
    with patch.object(room, name, broken):
        assert_told_as_a_fault(ask(query={"download": ""}, headers=headers))


@pytest.mark.parametrize("headers", [{}, ORIGIN], ids=["", "from another origin"])
def test_a_policy_that_breaks_in_an_unforeseen_way_is_a_500_problem(headers: dict[str, str]) -> None:
    assert_told_as_a_fault(answer_under(broken, headers))


@pytest.mark.parametrize("headers", [{}, ORIGIN, {"Accept": "text/html"}], ids=str)
def test_a_bad_configuration_is_a_500_problem_without_its_sentence(headers: dict[str, str]) -> None:
    def bad() -> Any:
        raise InvalidConfig(f"mount 1 (/a/): target: {SECRET}")

    answered = answer_under(bad, headers)
    assert answered.status == 500
    assert answered.line["code"] == "bad_configuration"
    assert "fault" not in answered.line
    assert SECRET not in answered.body + answered.printed


def test_a_fault_while_a_page_is_made_still_tells_the_problem() -> None:
    from handler import pages

    with patch.object(pages, "problem_page", broken):
        answered = ask("/nothing", headers={"Accept": "text/html"})
    assert (answered.status, answered.code) == (404, "not_found")
    assert SECRET not in answered.body + answered.printed


@pytest.mark.parametrize("problem", [OSError("full"), BrokenPipeError(), ValueError("closed")], ids=repr)
def test_a_log_that_takes_nothing_takes_no_answer_from_anyone(problem: Exception) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise problem

    with (
        patch.dict(os.environ, {}, clear=True),
        patch.object(startup, "config", lambda: mount()),
        contextlib.redirect_stdout(Closed()),
    ):
        answer = handler.on_http(json.dumps(event("/nothing")).encode(), context())
    assert answer["statusCode"] == 404
    assert sys.stdout is not None


OUTERMOST = ["audit.write", "audit.string", "audit.fault", "_problem_response", "time.perf_counter"]


@pytest.mark.parametrize("room", OUTERMOST)
def test_nothing_escapes_even_where_the_outermost_frame_itself_breaks(room: str) -> None:
    owner, _, name = room.rpartition(".")
    place = getattr(app, owner) if owner else app
    with patch.object(place, name, broken), patch.object(links, "find_mount", broken):
        answered = answer_under(lambda: mount(), {})
    assert answered.status == 500
    assert answered.headers["Content-Type"] == "application/problem+json"
    assert answered.json["code"] == "internal_error"
    assert answered.json["request_id"] == "req-EXAMPLE"
    assert SECRET not in answered.body + answered.printed


def answer_under(policy: Callable[[], Any], headers: dict[str, str]) -> Answered:
    """What is answered where the policy is got in this way."""
    out = io.StringIO()
    with (
        patch.dict(os.environ, {}, clear=True),
        patch.object(startup, "config", policy),
        contextlib.redirect_stdout(out),
    ):
        answer: dict[str, Any] = handler.on_http(json.dumps(event(headers=headers)).encode(), context())
    return Answered(answer["statusCode"], answer["headers"], answer["body"], out.getvalue())
