"""`cache` on an anonymous mount: within one window the same link, so that browsers and CDNs can keep the object."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config import Config, InvalidConfig
from tests.handler.client import KEYS, OTHER_KEYS, Answered, ask, context, mount
from tests.handler.share_fixtures import MAKER, world

WINDOW = 300
START = 1_772_347_200  # a multiple of the window
CACHED = mount(expires="15m", max_expires="1h", cache="5m", query=["versionId"])
JSON = {"Accept": "application/json"}


def at(moment: float, under: Config = CACHED, /, **query: str) -> Answered:
    return ask(query=query, under=under, now=moment)


def test_links_of_one_window_are_the_same_byte_for_byte() -> None:
    links = {at(START + second).url for second in (0, 0.001, 1, 150, 299, 299.999)}
    assert len(links) == 1
    assert at(START + 300).url not in links
    assert at(START - 0.001).url not in links


def test_they_differ_where_what_is_asked_differs() -> None:
    asked: list[dict[str, str]] = [{}, {"expires": "10m"}, {"download": ""}, {"versionId": "CAEQ"}]
    links = [at(START + second, CACHED, **query).url for query in asked for second in (0, 299)]
    assert len(set(links)) == len(asked)
    assert ask("/exampledir/b.txt", under=CACHED, now=START).url not in links
    assert ask(method="HEAD", under=CACHED, now=START).url not in links
    assert ask(under=CACHED, now=START, invocation=context(OTHER_KEYS)).url not in links


def test_a_link_lives_at_least_as_long_as_was_asked() -> None:
    for second, left in [(0, 1200), (1, 1199), (150, 1050), (299, 901)]:
        answer = at(START + second, format="json")
        assert answer.json["expires_in"] == left
        assert answer.json["clamped_by"] is None
        assert answer.signs(now=START + second)


@given(second=st.floats(0, 599), asked=st.integers(1, 7200))
def test_what_is_said_of_its_end_is_what_remains(second: float, asked: int) -> None:
    moment = START + second
    answer = at(moment, format="json", expires=str(asked))
    end = START + int(second) // WINDOW * WINDOW + answer.expires_in
    said = answer.json
    assert said["expires_in"] == end - int(moment)
    assert datetime.fromisoformat(said["expires_at"].replace("Z", "+00:00")).timestamp() == end
    assert answer.signs(now=end - 1)
    assert not answer.signs(now=end + 1)
    # The bounds hold from the signing time, so nobody gets more than max_expires.
    assert answer.expires_in == min(asked + WINDOW, 3600)
    assert said["expires_in"] >= min(asked, 3600 - WINDOW)
    assert said["clamped_by"] == ("mount" if asked + WINDOW > 3600 else None)


def test_the_life_of_credentials_bounds_it_too() -> None:
    short = mount(cache="5m", max_expires="7d")._replace(credential_life=1000)
    answer = at(START + 299, short, format="json", expires="2h")
    assert (answer.expires_in, answer.json["expires_in"], answer.json["clamped_by"]) == (1000, 701, "credentials")


def test_the_redirect_may_be_kept_until_a_minute_before_the_link_ends() -> None:
    for second in (0, 1, 299):
        answer = at(START + second)
        assert answer.headers["Cache-Control"] == f"private, max-age={1200 - second - 60}"
        assert answer.headers["Vary"] == "Accept, Authorization, X-Api-Key"
    soon = mount(expires="1s", cache="10s")
    assert at(START, soon).headers["Cache-Control"] == "no-store"
    assert ask(method="HEAD", under=CACHED, now=START).headers["Cache-Control"] == "private, max-age=1140"


def test_json_and_refusals_are_not_kept() -> None:
    for answer in (at(START, format="json"), at(START, unknown="1"), ask("/none", under=CACHED), ask(method="POST")):
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_window_nothing_is_kept() -> None:
    plain = mount()
    assert at(START, plain).headers["Cache-Control"] == "no-store"
    assert at(START, plain).url != at(START + 1, plain).url


def test_it_is_refused_on_a_mount_that_is_not_anonymous() -> None:
    with pytest.raises(InvalidConfig, match='cache requires access = "anonymous"'):
        mount(access="authenticated", cache="5m")


@pytest.mark.parametrize("cache", ["0", "9s", "31m", "nonsense", True, 1.5])
def test_a_window_that_no_link_outlives_twice_is_refused(cache: object) -> None:
    with pytest.raises(InvalidConfig, match="cache"):
        mount(cache=cache)


def test_a_caller_s_link_is_his_own(tmp_path: Path) -> None:
    found = world(tmp_path)
    links = {found.ask("/open/a.txt", key=MAKER, now=START + second).url for second in range(3)}
    assert len(links) == 3
    kept = found.ask("/open/a.txt", query={"format": "redirect"}, key=MAKER, now=START)
    assert kept.headers["Cache-Control"] == "no-store"


def test_a_share_s_links_are_never_kept(tmp_path: Path) -> None:
    found = world(tmp_path)
    url = found.share(path="/open/a.txt", now=START)
    answers = [found.open(url, now=START + second) for second in range(3)]
    assert len({answer.url for answer in answers}) == 3
    assert [answer.expires_in for answer in answers] == [900] * 3
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_every_link_of_a_window_is_verified() -> None:
    assert all(at(START + second).signs(keys=KEYS, now=START + second) for second in range(0, 900, 50))
