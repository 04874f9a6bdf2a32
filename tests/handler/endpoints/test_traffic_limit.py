"""The limit of the traffic that a mount imposes on its links."""

from __future__ import annotations

from typing import Any

import pytest

from handler.config.load import read
from tests.handler.client import Answered, ask, mount
from tests.handler.config.tables import A_MOUNT, document, refusal
from tests.handler.upload_fixtures import WRITER, UploadService, query_of, submit_form
from tests.worlds import HTML, MAKER

NAME = "x-oss-traffic-limit"
LIMIT = 8 * 1024**2  # bits per second, of "1MB"


@pytest.fixture
def limited(uploads: UploadService) -> UploadService:
    for path in ("/both/", "/reports/"):
        uploads = uploads.with_mount(path, traffic_limit=LIMIT)
    return uploads


def limit_of(url: str) -> str | None:
    return query_of(url).get(NAME)


def test_get_and_put_links_have_it_and_head_links_have_none(limited: UploadService) -> None:
    assert limit_of(limited.request("/both/a").url) == str(LIMIT)
    assert limit_of(limited.request("/both/a", "HEAD").headers["Location"]) is None
    get, head, put = limited.sign(
        {"path": "/both/a"}, {"path": "/both/a", "method": "HEAD"}, {"path": "/both/a", "method": "PUT", "size": 5}
    )
    assert [limit_of(link["url"]) for link in (get, head, put)] == [str(LIMIT), None, str(LIMIT)]
    assert limit_of(limited.request("/open/a").url) is None


def test_parts_have_it_and_what_completes_or_aborts_them_and_forms_have_none(limited: UploadService) -> None:
    upload = limited.start_upload(path="/both/big.bin")
    assert {limit_of(part["url"]) for part in upload["parts"]} == {str(LIMIT)}
    assert limit_of(upload["complete"]["url"]) is limit_of(upload["abort"]["url"]) is None
    form = limited.create_form(path="/both/form.bin")
    assert NAME not in form["fields"]
    assert submit_form(form, b"content").status < 300


def test_shares_have_it(limited: UploadService) -> None:
    share = limited.create_share(key=MAKER)
    limited.put("reports/q3.pdf")
    assert [limit_of(limited.open(share, headers=headers).url) for headers in ({}, HTML)] == [str(LIMIT)] * 2
    assert limit_of(limited.use(limited.create_share(key=MAKER, page=True), accept="*/*").headers["Location"]) == str(
        LIMIT
    )


@pytest.mark.parametrize(
    ("own", "signed"),
    [
        (819_200, 819_200),
        (LIMIT - 1, LIMIT - 1),
        (LIMIT, LIMIT),
        (LIMIT + 1, None),
        (838_860_800, None),
        (819_199, None),
    ],
)
@pytest.mark.parametrize("route", ["path", "sign"])
def test_a_caller_may_only_lower_it(limited: UploadService, own: int, signed: int | None, route: str) -> None:
    if route == "path":
        response: Answered = limited.request("/both/a", query={NAME: str(own), "format": "json"}, key=WRITER)
        result: dict[str, Any] = response.json
    else:
        (result,) = limited.sign({"path": "/both/a", "query": {NAME: str(own)}})
    if signed is not None:
        assert limit_of(result["url"]) == str(signed)
    else:
        problem = result.get("error", result)
        assert problem["code"] == "bad_query"
        assert f"from 819200 to {LIMIT}" in problem["detail"]


def test_the_mount_s_own_is_signed_although_callers_may_not_add_one() -> None:
    config = mount(traffic_limit="100KB")
    assert ask(config=config).query == {NAME: "819200"}
    assert ask(config=config).signs()
    assert ask(query={NAME: "819200"}, config=config).code == "not_signable"


def test_it_is_read_in_bytes_a_second_and_signed_in_bits() -> None:
    for value, bits in (("100KB", 819_200), ("1MB", LIMIT), ("100MB", 838_860_800), (102_400, 819_200)):
        assert read(document({**A_MOUNT, "traffic_limit": value}), {}).mounts[0].traffic_limit == bits
    assert read(document(A_MOUNT), {}).mounts[0].traffic_limit is None
    for invalid in ("99KB", 102_399, "101MB", 104_857_601, "1Mbit", "fast", 0, True, 1.5):
        sentence = refusal(document({**A_MOUNT, "traffic_limit": invalid}))
        assert "traffic_limit must be a size from 102400 to 104857600 bytes" in sentence
