"""`cache` on an anonymous mount: the same link within a window, so that browsers and CDNs can cache the object."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.cloud import oss
from handler.core.config import Config
from tests import system
from tests.handler.client import OTHER_KEYS, Answered, ask, context, mount
from tests.system import MAKER, System

WINDOW = 300
START = 1_772_347_200  # a multiple of the window
CACHED = mount(expires="15m", max_expires="1h", cache="5m", query=["versionId"])


def request_at(now: float, config: Config = CACHED, /, **query: str) -> Answered:
    return ask(query=query, config=config, now=now)


def test_links_of_one_window_are_the_same_byte_for_byte() -> None:
    links = {request_at(START + second).url for second in (0, 0.001, 1, 150, 299, 299.999)}
    assert len(links) == 1
    assert request_at(START + 300).url not in links
    assert request_at(START - 0.001).url not in links


def test_different_requests_get_different_links() -> None:
    queries: list[dict[str, str]] = [{}, {"expires": "10m"}, {"download": ""}, {"versionId": "CAEQ"}]
    links = [request_at(START + second, CACHED, **query).url for query in queries for second in (0, 299)]
    assert len(set(links)) == len(queries)
    assert ask("/exampledir/b.txt", config=CACHED, now=START).url not in links
    assert ask(method="HEAD", config=CACHED, now=START).url not in links
    assert ask(config=CACHED, now=START, invocation=context(OTHER_KEYS)).url not in links


@given(second=st.floats(0, 599), requested=st.integers(1, 7200))
def test_expires_in_is_the_remaining_lifetime(second: float, requested: int) -> None:
    now = START + second
    response = request_at(now, format="json", expires=str(requested))
    end = START + int(second) // WINDOW * WINDOW + response.expires_in
    document = response.json
    assert document["expires_in"] == end - int(now)
    assert datetime.fromisoformat(document["expires_at"].replace("Z", "+00:00")).timestamp() == end
    assert response.signs(now=end - 1)
    assert not response.signs(now=end + 1)
    # The limits count from the time of signing, so no link exceeds max_expires.
    assert response.expires_in == min(requested + WINDOW, 3600)
    assert document["expires_in"] >= min(requested, 3600 - WINDOW)
    assert document["clamped_by"] == ("mount" if requested + WINDOW > 3600 else None)


def test_the_lifetime_of_credentials_limits_the_link() -> None:
    short = mount(cache="5m", max_expires="7d")._replace(credential_life=1000)
    response = request_at(START + 299, short, format="json", expires="2h")
    assert (response.expires_in, response.json["expires_in"], response.json["clamped_by"]) == (1000, 701, "credentials")


def test_a_redirect_is_cacheable_until_a_minute_before_the_link_expires() -> None:
    for second in (0, 1, 299):
        response = request_at(START + second)
        assert response.headers["Cache-Control"] == f"private, max-age={1200 - second - 60}"
        assert response.headers["Vary"] == "Accept, Authorization"
    soon = mount(expires="1s", cache="10s")
    assert request_at(START, soon).headers["Cache-Control"] == "no-store"
    assert ask(method="HEAD", config=CACHED, now=START).headers["Cache-Control"] == "private, max-age=1140"


def test_json_and_errors_are_not_cacheable() -> None:
    for response in (
        request_at(START, format="json"),
        request_at(START, unknown="1"),
        ask("/none", config=CACHED),
        ask(method="POST"),
    ):
        assert response.headers["Cache-Control"] == "no-store"


def test_with_check_browsers_come_back_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached redirect would lead to OSS's XML after the object is deleted."""
    monkeypatch.setattr(oss, "head_object", lambda *args: None)
    checked = mount(expires="15m", max_expires="1h", cache="5m", check=True)
    first, second = (ask("/exampledir/a.txt", config=checked, now=START + seconds) for seconds in (0, 60))
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Location"] == second.headers["Location"]


def test_without_a_window_nothing_is_cacheable() -> None:
    plain = mount()
    assert request_at(START, plain).headers["Cache-Control"] == "no-store"
    assert request_at(START, plain).url != request_at(START + 1, plain).url


def test_callers_get_links_of_their_own(tmp_path: Path) -> None:
    service = system.service(tmp_path)
    links = {service.request("/open/a.txt", key=MAKER, now=START + second).url for second in range(3)}
    assert len(links) == 3
    response = service.request("/open/a.txt", query={"format": "redirect"}, key=MAKER, now=START)
    assert response.headers["Cache-Control"] == "no-store"


def test_links_of_shares_are_never_cacheable(in_memory: System) -> None:
    url = in_memory.create_share(path="/open/a.txt", now=START)
    responses = [in_memory.open(url, now=START + second) for second in range(3)]
    assert len({response.url for response in responses}) == 3
    assert [response.expires_in for response in responses] == [900] * 3
    assert {response.headers["Cache-Control"] for response in responses} == {"no-store"}
