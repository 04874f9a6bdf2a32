"""Events of any shape get a link or a problem, never an exception, and never a link to another object."""

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

import pytest

import handler
from handler import startup
from handler.core import links
from handler.core.config import InvalidConfig, Mounts
from handler.core.context import Invocation
from handler.web import app
from tests.handler.client import EVENTS, Answered, ask, context, event, invoke, mount, new_instance

ORIGIN = {"Origin": "https://evil.example"}


def without(*path: str) -> dict[str, Any]:
    """The documented event without one member."""
    document = event()
    parent = document
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    return document


def changed(**changes: object) -> dict[str, Any]:
    """The documented event with other values of some members."""
    return {**event(), **changes}


VALUES_THAT_ARE_INVALID: dict[str, list[object]] = {
    "rawPath": [None, ["/exampledir/a.txt"]],
    "requestContext": [
        None,
        [],
        {"http": "GET"},
        {"http": {"method": None}},
        {"http": {"method": ["GET"]}},
    ],
    "headers": [[], "Accept: */*", {"Accept": None}, {"Accept": ["*/*"]}],
    "queryParameters": [[], "expires=90", {"expires": 90}, {"expires": None}],
    "body": [7, ["a"], {"a": "b"}],
}
# Bodies that are not base64 where the event says so, and one that UTF-8 cannot encode where it does not.
BODIES = [
    ("%%%", True),
    ("YQ", True),
    ("YQ==\n", True),
    ("YQ==YQ==", True),
    ("报告", True),
    ("\ud800", False),
]
INVALID_EVENTS: list[bytes | str | int | dict[str, str] | None] = [
    b"",
    b"null",
    b"7",
    b'"text"',
    b"[]",
    b"{}",
    b"not JSON",
    b"\xff\xfe\x00",
    b'{"rawPath": "/exampledir/a.txt"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 10_000,
    "",
    None,
    7,
    {"rawPath": "/exampledir/a.txt"},
    (EVENTS / "oss-trigger.json").read_bytes(),
    json.dumps([event()]),
    json.dumps(json.dumps(event())),
    *(
        json.dumps(without(*path))
        for path in (["rawPath"], ["requestContext"], ["requestContext", "http"])
    ),
    json.dumps(without("requestContext", "http", "method")),
    *(
        json.dumps(changed(**{name: value}))
        for name, values in VALUES_THAT_ARE_INVALID.items()
        for value in values
    ),
    *(json.dumps(changed(body=body, isBase64Encoded=is_base64)) for body, is_base64 in BODIES),
]


@pytest.mark.parametrize("raw", INVALID_EVENTS, ids=lambda raw: ascii(raw)[:40])
def test_an_invalid_event_is_a_problem(raw: Any) -> None:
    response = invoke(raw)
    assert (response.status, response.code) == (400, "bad_event")
    assert response.json["request_id"] == "req-EXAMPLE"
    assert response.line["code"] == "bad_event"


VALID_EVENTS = [
    *(changed(**{name: None}) for name in ("headers", "queryParameters")),
    *(changed(**{name: {}}) for name in ("headers", "queryParameters")),
    changed(queryParameters={"null": ""}),
    *(changed(body=body, isBase64Encoded=True) for body in (None, "", "dGV4dA==")),
    *(changed(body="text", isBase64Encoded=value) for value in (None, False)),
    changed(version="v2", more={"unknown": [1]}),
    *(
        without(name)
        for name in ("version", "headers", "queryParameters", "body", "isBase64Encoded")
    ),
    *(without("requestContext", name) for name in ("domainName", "requestId")),
    *(without("requestContext", "http", name) for name in ("sourceIp", "path")),
]


@pytest.mark.parametrize("document", VALID_EVENTS, ids=range(len(VALID_EVENTS)))
def test_members_that_are_not_needed_may_be_missing(document: dict[str, Any]) -> None:
    response = invoke(json.dumps(document))
    assert response.status == 302
    assert response.key == "exampledir/a.txt"
    assert invoke(json.dumps({**document, "headers": {"ACCEPT": "application/json"}})).status == 200


def test_the_request_id_is_the_contexts_otherwise_the_events() -> None:
    raw = json.dumps(event("/nothing"))
    assert invoke(raw, invocation=context(request_id="one")).json["request_id"] == "one"
    for invocation in (
        SimpleNamespace(),
        SimpleNamespace(request_id=None),
        SimpleNamespace(request_id=""),
    ):
        assert (
            invoke(raw, invocation=invocation).json["request_id"]
            == "1-6743a0f1-00000000-000000000001"
        )
    assert invoke(b"null", invocation=SimpleNamespace(request_id=7)).json["request_id"] == ""


@pytest.mark.parametrize(
    "template",
    ["%s{}", "%s x", "%s,", "\x0b%s", "\xa0%s", "%s\x0c", "\ufeff%s", "[%s]", " \t\r\n%s\n ", "%s"],
)
def test_an_event_is_read_like_any_json(template: str) -> None:
    raw = template % json.dumps(event("/exampledir/a.txt"))
    try:
        is_object = isinstance(json.loads(raw), dict)
    except ValueError:
        is_object = False
    for sent in (raw, raw.encode()):
        assert invoke(sent).status == (302 if is_object else 400)


# --- unexpected errors --------------------------------------------------------------------------------------------

SECRET = "topsecretEXAMPLE"


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError(f"must not be shown: {SECRET}")


def assert_internal_error(response: Answered) -> None:
    assert (response.status, response.code, response.json["request_id"]) == (
        500,
        "internal_error",
        "req-EXAMPLE",
    )
    assert (response.line["status"], response.line["code"]) == (500, "internal_error")
    assert response.line["fault"]["error"] == "RuntimeError"
    assert all(
        frame.count(":") == 1 and frame.split(":")[1].isdigit()
        for frame in response.line["fault"]["frames"]
    )
    for output in (response.body, json.dumps(response.headers), response.printed):
        assert SECRET not in output
        assert "must not" not in output
        assert "Traceback" not in output


BREAKABLE: list[tuple[object, str]] = [
    (links, "presign"),
    (Invocation, "credentials"),
    (app, "read_path"),
    (app, "route"),
]


@pytest.mark.parametrize(("module", "name"), BREAKABLE, ids=[name for _, name in BREAKABLE])
@pytest.mark.parametrize("headers", [{}, ORIGIN], ids=["", "from another origin"])
def test_an_unexpected_error_is_a_500_that_shows_no_values(
    module: object, name: str, headers: dict[str, str]
) -> None:
    with patch.object(module, name, broken):
        response = ask(query={"download": ""}, headers=headers)
    assert_internal_error(response)
    assert any(frame.startswith("web/app.py:") for frame in response.line["fault"]["frames"])


@pytest.mark.parametrize("headers", [{}, ORIGIN, {"Accept": "text/html"}], ids=str)
def test_an_unexpected_error_or_an_invalid_configuration_is_a_500_without_its_sentence(
    headers: dict[str, str],
) -> None:
    def invalid() -> Any:
        raise InvalidConfig(f"mount 1 (/a/): target: {SECRET}")

    if "Accept" not in headers:
        assert_internal_error(respond_under(broken, headers))
    response = respond_under(invalid, headers)
    assert (response.status, response.line["code"], "fault" in response.line) == (
        500,
        "bad_configuration",
        False,
    )
    assert SECRET not in response.body + response.printed


def test_an_unexpected_error_of_the_page_still_answers_with_the_problem() -> None:
    from handler.web import pages

    with patch.object(pages, "problem_page", broken):
        response = ask("/nothing", headers={"Accept": "text/html"})
    assert (response.status, response.code) == (404, "not_found")
    assert SECRET not in response.body + response.printed


@pytest.mark.parametrize(
    "error", [OSError("full"), BrokenPipeError(), ValueError("closed")], ids=repr
)
def test_a_broken_log_does_not_break_the_response(error: Exception) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    with (
        patch.dict(os.environ, {}, clear=True),
        patch.object(startup, "instance", lambda: new_instance(mount())),
        contextlib.redirect_stdout(Closed()),
    ):
        response = handler.on_http(json.dumps(event("/nothing")).encode(), context())
    assert response["statusCode"] == 404
    assert sys.stdout is not None


ERROR_HANDLING = [
    "audit.write",
    "audit.string",
    "audit.fault",
    "_problem_response",
    "time.perf_counter",
]


@pytest.mark.parametrize("dotted_name", ERROR_HANDLING)
def test_no_exception_escapes_even_if_the_error_handling_breaks(dotted_name: str) -> None:
    owner, _, name = dotted_name.rpartition(".")
    with (
        patch.object(getattr(app, owner) if owner else app, name, broken),
        patch.object(Mounts, "find", broken),
    ):
        response = respond_under(lambda: new_instance(mount()), {})
    assert (response.status, response.code, response.json["request_id"]) == (
        500,
        "internal_error",
        "req-EXAMPLE",
    )
    assert SECRET not in response.body + response.printed


def respond_under(load_instance: Callable[[], Any], headers: dict[str, str]) -> Answered:
    """The response with the configuration that `load_instance` returns."""
    out = io.StringIO()
    with (
        patch.dict(os.environ, {}, clear=True),
        patch.object(startup, "instance", load_instance),
        contextlib.redirect_stdout(out),
    ):
        result: dict[str, Any] = handler.on_http(
            json.dumps(event(headers=headers)).encode(), context()
        )
    return Answered(result["statusCode"], result["headers"], result["body"], out.getvalue())
