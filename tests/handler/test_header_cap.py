"""Function Compute answers 502 for more than 8 KB of response headers, so no answer comes near that."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handler.client import KEYS, Answered, ask, context, mount, raw_path

CAP = 8192
# What Function Compute adds by itself: the request's id, date, length, server, CORS, and a Content-Disposition.
ROOM = 512
OPEN = mount(
    query=["versionId", "response-content-disposition", "response-content-type", "response-cache-control"],
    path="/",
    target="oss://examplebucket/dir/",
)
BROWSER = {"Accept": "text/html"}


def size(answered: Answered) -> int:
    """The headers as they go over the wire."""
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in answered.headers.items())


def with_token(length: int) -> object:
    return context(KEYS._replace(security_token=base64.b64encode(b"\xff\xfe" * length).decode()[:length]))


@given(
    key=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=1000),
    value=st.text(st.sampled_from("aé你😀% +"), min_size=1, max_size=3000),
    token=st.integers(1, 3000),
    page=st.booleans(),
)
def test_whatever_is_asked_the_headers_stay_below_the_cap(key: str, value: str, token: int, page: bool) -> None:
    path = "/a" + raw_path(key.encode()[:1000].decode("utf-8", "ignore"))
    answered = ask(
        path, query={"versionId": value}, headers=BROWSER if page else {}, under=OPEN, invocation=with_token(token)
    )
    assert answered.status in (302, 400)
    assert size(answered) <= CAP - ROOM
    if answered.status == 302:
        assert answered.query == {"versionId": value}
        assert answered.signs(keys=KEYS._replace(security_token=answered.parameters["x-oss-security-token"]))


def test_the_longest_link_that_is_given_stays_below_the_cap_and_one_more_letter_is_refused() -> None:
    def ask_for(letters: int) -> Answered:
        return ask("/a", query={"versionId": "v" * letters}, under=OPEN)

    fits, refused = 1, 8000
    assert ask_for(fits).status == 302
    assert ask_for(refused).status == 400
    while refused - fits > 1:
        middle = (fits + refused) // 2
        if ask_for(middle).status == 302:
            fits = middle
        else:
            refused = middle
    assert CAP - 2048 < size(ask_for(fits)) <= CAP - ROOM
    assert ask_for(refused).code == "link_too_long"


def test_a_link_too_long_for_a_redirect_is_a_problem_that_says_how_to_get_it() -> None:
    query = {"versionId": "v" * 7000}
    answered = ask("/a", query=query, under=OPEN)
    assert (answered.status, answered.code) == (400, "link_too_long")
    assert "format=json" in answered.json["detail"]
    assert "Location" not in answered.headers
    assert answered.line["bucket"] is None
    assert answered.line["key"] is None
    given = ask("/a", query={**query, "format": "json"}, under=OPEN)
    assert given.status == 200
    assert given.query == query
    assert size(given) < 1024


@pytest.mark.parametrize("letter", ["a", "你", "😀", "%"])
def test_the_longest_key_and_the_longest_name_fit_with_a_token_of_usual_size(letter: str) -> None:
    letters = len(letter.encode())
    key = letter * (1000 // letters)
    answered = ask(
        raw_path("/" + key),
        query={"download": letter * (255 // letters)},
        under=OPEN,
        invocation=with_token(800),
    )
    assert answered.status == 302
    assert size(answered) <= CAP - ROOM


def test_a_problem_repeats_little_of_what_was_sent() -> None:
    answered = ask(query={"x" * 4000: "1"}, headers=BROWSER)
    assert answered.status == 400
    assert answered.body.count("x") < 200
    assert size(answered) < 1024
