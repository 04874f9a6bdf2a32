"""The table of error codes: each entry is complete, plain and in use."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from handler.core.errors import ERRORS, Problem, bad_body, malformed_credential, method_not_allowed

HANDLER = Path(__file__).parents[3] / "handler"


def test_an_entry_has_two_sentences() -> None:
    for sentence in (
        sentence for entry in ERRORS.values() for sentence in (entry.meaning, entry.action)
    ):
        assert re.fullmatch(r'[A-Z"][^\n]{4,130}[^.\s]\.', sentence), sentence


def test_every_code_is_raised_and_every_raised_code_has_an_entry() -> None:
    raised = set()
    for path in HANDLER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) == "Problem"
            ):
                assert isinstance(node.args[0], ast.Constant), (
                    f"{path}:{node.lineno}: write the code as a string"
                )
                raised.add(node.args[0].value)
    assert raised == set(ERRORS)


def test_the_title_is_the_phrase_of_the_status_in_every_version_of_python() -> None:
    titles = {entry.status: Problem(code).document("")["title"] for code, entry in ERRORS.items()}
    assert titles == {
        400: "Bad Request",
        401: "Unauthorized",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        409: "Conflict",
        410: "Gone",
        413: "Content Too Large",
        415: "Unsupported Media Type",
        422: "Unprocessable Content",
        500: "Internal Server Error",
        503: "Service Unavailable",
    }


def test_a_401_says_how_to_authenticate() -> None:
    codes = [code for code, entry in ERRORS.items() if entry.status == 401]
    assert {Problem(code).headers["WWW-Authenticate"].split()[0] for code in codes} == {"Bearer"}


def test_a_problem_says_the_meaning_and_the_action_of_its_code() -> None:
    problem = Problem("credentials_expiring")
    assert problem.sentence == str(problem)
    assert problem.sentence == (
        "The credentials of this instance expire in less than a minute. Try again in a minute."
    )
    assert problem.headers == {"Retry-After": "60"}
    assert problem.document("req-EXAMPLE") == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": problem.sentence,
        "code": "credentials_expiring",
        "request_id": "req-EXAMPLE",
    }
    exact = Problem("credentials_expiring", "Wait.", {"X-Reason": "test"})
    assert (exact.sentence, exact.headers) == ("Wait.", {"Retry-After": "60", "X-Reason": "test"})
    assert Problem("credentials_expiring").headers == {"Retry-After": "60"}


def test_the_factories_use_the_entries_of_their_codes() -> None:
    refused = method_not_allowed(("GET", "OPTIONS"))
    assert (refused.status, refused.headers) == (405, {"Allow": "GET, OPTIONS"})
    assert refused.sentence == "The method is not allowed here (allowed: GET, OPTIONS)."
    assert bad_body('"path" is required').sentence == 'Invalid request body: "path" is required.'
    assert (
        malformed_credential("The token is malformed").headers
        == ERRORS["malformed_credential"].headers
    )
