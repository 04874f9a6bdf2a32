"""The limit of the traffic that a mount imposes on its links."""

from __future__ import annotations

import pytest

from tests.handler.client import ask, mount
from tests.handler.upload_fixtures import query_of, submit_form
from tests.system import MAKER, WRITER, System

NAME = "x-oss-traffic-limit"
LIMIT = 8 * 1024**2  # bits per second, of "1MB"

UNLISTED = mount(traffic_limit="100KB")  # callers may not add the parameter


@pytest.fixture
def limited(uploads: System) -> System:
    for path in ("/both/", "/reports/"):
        uploads = uploads.with_mount(path, traffic_limit=LIMIT)
    return uploads


def limit_of(url: str) -> str | None:
    return query_of(url).get(NAME)


def test_get_and_put_links_have_it_and_head_links_have_none(limited: System) -> None:
    assert limit_of(limited.request("/both/a").url) == str(LIMIT)
    assert limit_of(limited.request("/both/a", "HEAD").headers["Location"]) is None
    get, head, put = limited.sign(
        {"path": "/both/a"}, {"path": "/both/a", "method": "HEAD"}, {"path": "/both/a", "method": "PUT", "size": 5}
    )
    assert [limit_of(link["url"]) for link in (get, head, put)] == [str(LIMIT), None, str(LIMIT)]
    assert limit_of(limited.request("/open/a").url) is None
    assert ask(config=UNLISTED).query == {NAME: "819200"}
    assert ask(query={NAME: "819200"}, config=UNLISTED).code == "not_signable"


def test_parts_have_it_and_what_completes_or_aborts_them_and_forms_have_none(limited: System) -> None:
    upload = limited.start_upload(path="/both/big.bin")
    assert {limit_of(part["url"]) for part in upload["parts"]} == {str(LIMIT)}
    assert limit_of(upload["complete"]["url"]) is limit_of(upload["abort"]["url"]) is None
    form = limited.create_form(path="/both/form.bin")
    assert NAME not in form["fields"]
    assert submit_form(form, b"content").status < 300


def test_shares_have_it(limited: System) -> None:
    share = limited.create_share(key=MAKER)
    assert limit_of(limited.open(share).url) == limit_of(limited.use(share).headers["Location"]) == str(LIMIT)


@pytest.mark.parametrize("own", [819_199, 819_200, LIMIT - 1, LIMIT, LIMIT + 1, 838_860_800])
def test_a_caller_may_only_lower_it(limited: System, own: int) -> None:
    by_path = limited.request("/both/a", query={NAME: str(own), "format": "json"}, key=WRITER).json
    (by_route,) = limited.sign({"path": "/both/a", "query": {NAME: str(own)}})
    for result in (by_path, by_route):
        if 819_200 <= own <= LIMIT:
            assert limit_of(result["url"]) == str(own)
        else:
            problem = result.get("error", result)
            assert problem["code"] == "bad_query"
            assert f"from 819200 to {LIMIT}" in problem["detail"]
