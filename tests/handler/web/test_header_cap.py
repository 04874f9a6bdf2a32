"""Function Compute answers 502 for more than 8 KB of response headers, so every response stays well below that."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handler.client import KEYS, Answered, ask, context, mount, raw_path

CAP = 8192
# What Function Compute adds itself: the request's id, date, length, server, CORS, and a Content-Disposition.
RESERVED = 512
OPEN = mount(
    query=["versionId", "response-content-disposition", "response-content-type", "response-cache-control"],
    path="/",
    target="oss://examplebucket/dir/",
)
BROWSER = {"Accept": "text/html"}


def size(response: Answered) -> int:
    """The bytes of the headers over the wire."""
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in response.headers.items())


def with_token(length: int) -> object:
    return context(KEYS._replace(security_token=base64.b64encode(b"\xff\xfe" * length).decode()[:length]))


@given(
    key=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=1000),
    value=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=3000),
    token=st.integers(1, 3000),
    page=st.booleans(),
)
def test_the_headers_of_any_response_stay_below_the_cap(key: str, value: str, token: int, page: bool) -> None:
    path = "/a" + raw_path(key.encode()[:1000].decode("utf-8", "ignore"))
    response = ask(
        path, query={"versionId": value}, headers=BROWSER if page else {}, config=OPEN, invocation=with_token(token)
    )
    assert response.status in (302, 400)
    assert size(response) <= CAP - RESERVED
    if response.status == 302:
        assert response.query == {"versionId": value}
        assert response.signs(keys=KEYS._replace(security_token=response.parameters["x-oss-security-token"]))


def test_the_longest_redirect_stays_below_the_cap_and_one_more_letter_is_a_problem() -> None:
    answers = [ask("/a", query={"versionId": "v" * letters}, config=OPEN) for letters in range(6000, 8000, 50)]
    fitting = [answer for answer in answers if answer.status == 302]
    assert CAP - 2048 < size(fitting[-1]) <= CAP - RESERVED
    assert {answer.code for answer in answers[len(fitting) :]} == {"link_too_long"}


def test_the_problem_of_a_link_too_long_for_a_redirect_says_to_request_json() -> None:
    query = {"versionId": "v" * 7000}
    response = ask("/a", query=query, config=OPEN)
    assert (response.status, response.code) == (400, "link_too_long")
    assert "format=json" in response.json["detail"]
    assert "Location" not in response.headers
    assert response.line["bucket"] is None
    assert response.line["key"] is None
    as_json = ask("/a", query={**query, "format": "json"}, config=OPEN)
    assert as_json.status == 200
    assert as_json.query == query
    assert size(as_json) < 1024


@pytest.mark.parametrize("letter", ["a", "你", "😀", "%"])
def test_the_longest_key_and_file_name_fit_with_a_token_of_usual_size(letter: str) -> None:
    letters = len(letter.encode())
    key = letter * (1000 // letters)
    response = ask(
        raw_path("/" + key),
        query={"download": letter * (255 // letters)},
        config=OPEN,
        invocation=with_token(800),
    )
    assert (response.status, size(response) <= CAP - RESERVED) == (302, True)


def test_a_problem_repeats_little_of_the_request() -> None:
    response = ask(query={"x" * 4000: "1"}, headers=BROWSER)
    assert response.status == 400
    assert response.body.count("x") < 200
    assert size(response) < 1024
