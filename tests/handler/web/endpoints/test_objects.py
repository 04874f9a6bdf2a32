"""An object's own address: GET and HEAD, a redirect or JSON, and a signature that holds."""

from __future__ import annotations

import json
from datetime import datetime
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from handler.core.cloud import oss
from handler.core.config import Config
from tests import system
from tests.handler.client import (
    EVENTS,
    KEYS,
    OTHER_KEYS,
    TOKEN,
    Answered,
    ask,
    context,
    invoke,
    mount,
    raw_path,
)
from tests.handler.upload_fixtures import query_of, submit_form
from tests.system import MAKER, WRITER, System

JSON = {"Accept": "application/json"}


def test_the_recorded_event_is_redirected_to_its_object() -> None:
    response = invoke((EVENTS / "http-get.json").read_bytes())
    assert response.status == 302
    assert response.body == ""
    assert response.key == "exampledir/你好 +1.txt"
    assert response.headers["Location"].startswith(
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/exampledir/%E4%BD%A0%E5%A5%BD%20%2B1.txt?"
    )
    assert response.expires_in == 600
    assert response.signs("GET")


@pytest.mark.parametrize(("method", "other"), [("GET", "HEAD"), ("HEAD", "GET")])
def test_a_link_is_signed_for_the_method_of_the_request_and_these_credentials(
    method: str, other: str
) -> None:
    response = ask(method=method)
    assert (response.status, response.parameters["x-oss-security-token"]) == (302, TOKEN)
    assert response.signs(method)
    assert not response.signs(other)
    assert not response.signs(method, keys=KEYS._replace(access_key_secret="anotherEXAMPLE"))


def test_the_json_of_a_link_has_exactly_the_documented_members() -> None:
    response = ask(headers=JSON)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert "Location" not in response.headers
    assert {name: value for name, value in response.json.items() if name != "url"} == {
        "method": "GET",
        "headers": {},
        "expires_at": "2026-03-01T06:56:11Z",
        "expires_in": 900,
        "clamped_by": None,
    }
    assert next(iter(response.json)) == "url"
    assert response.signs("GET")


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        ";,;=,",
        "application/*",
        "text/html,application/xml;q=0.9,*/*;q=0.8",
        # only by its name
        "application/json;q=0",
        "application/jsonl",
        "application/json;q=0.9, text/*",
        "application/json, text/plain, */*",
        "text/html, application/json",  # axios and Angular
        "application/json;q=0.8, text/html;q=0.1, */*;q=0.9",
        "application/json;q=0.8, text/html;q=0.9, */*;q=0.1",
        "application/json;q=.2, *; q=.3",  # Java's HttpURLConnection
    ],
)
def test_a_client_that_accepts_anything_as_much_as_json_gets_the_file(accept: str) -> None:
    assert ask(headers={"Accept": accept}).status == 302


@pytest.mark.parametrize(
    "accept",
    [
        "APPLICATION/JSON",
        "application/json;q=0.001",
        "application/json, text/javascript, */*; q=0.01",  # jQuery.getJSON
        "application/json, text/html;q=0.9",
        "application/json;q=0.9, text/html;q=0.8, */*;q=0.7",
        "application/json;q=0.2, text/html;q=0, */*;q=0.1",
        "application/json;q=0.2, text/html;q=0.1, text/*",  # the most specific range decides
    ],
)
def test_a_client_that_prefers_json_gets_the_link(accept: str) -> None:
    assert ask(headers={"Accept": accept}).status == 200


def test_a_request_without_an_accept_header_is_redirected() -> None:
    event = json.loads((EVENTS / "http-get.json").read_bytes())
    event["headers"] = {}
    assert invoke(json.dumps(event)).status == 302


@pytest.mark.parametrize(
    ("requested", "accept", "status"),
    [("json", "text/html", 200), ("redirect", "application/json", 302)],
)
def test_format_has_precedence_over_accept(requested: str, accept: str, status: int) -> None:
    response = ask(query={"format": requested}, headers={"Accept": accept})
    assert response.status == status
    assert response.signs("GET")
    assert response.query == {}


@pytest.mark.parametrize("requested", ["", "JSON", "xml", "json,json", "json "])
def test_an_unknown_format_is_refused(requested: str) -> None:
    response = ask(query={"format": requested})
    assert (response.status, response.code) == (400, "bad_format")
    assert "format" in response.json["detail"]


def test_the_response_to_head_has_no_body() -> None:
    for query in ({}, {"format": "json"}, {"format": "xml"}):
        assert ask(method="HEAD", query=query).body == ""
    assert ask("/nothing", "HEAD").body == ""
    assert ask("/-/health", "HEAD").body == ""


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("public", "examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        ("internal", "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        ("https://static.example.com", "static.example.com"),
    ],
)
def test_the_host_of_a_link_is_that_of_the_mount_and_never_of_the_request(
    endpoint: str, host: str
) -> None:
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    response = ask(headers=forged, config=mount(endpoint=endpoint))
    assert urlsplit(response.url).netloc == host


# --- downloads: the name of a file in `download` ---------------------------------------------------------------------


def disposition(download: str, path: str = "/exampledir/a.txt") -> str:
    response = ask(path, query={"download": download})
    assert response.status == 302, response
    assert set(response.query) == {"response-content-disposition"}
    assert response.signs()
    return response.query["response-content-disposition"]


def werkzeug_name(header: str) -> str:
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    return options["filename"]


def email_name(header: str) -> str | None:
    """As Python's email package reads it, which takes the first name and so gets only the extended one (RFC 2231)."""
    message = Message()
    message["Content-Disposition"] = "attachment; filename*=" + header.partition("; filename*=")[2]
    assert message.get_content_disposition() == "attachment"
    return message.get_filename()


# A slash, a backslash and control characters are refused; every other character is allowed.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
    min_size=1,
    max_size=60,
).filter(lambda name: len(name.encode()) <= 255)


@given(NAMES)
def test_other_parsers_read_the_same_name_and_those_without_rfc_6266_a_safe_one(name: str) -> None:
    header = disposition(name)
    assert werkzeug_name(header) == name
    assert email_name(header) == name.strip()
    assert header.isascii()
    assert header.isprintable()
    plain = header.split("; filename*=")[0]
    assert plain.startswith('attachment; filename="')
    assert plain.endswith('"')
    assert not {'"', "\\", "%"} & set(plain.removeprefix('attachment; filename="')[:-1])


def test_an_empty_download_uses_the_name_of_the_object() -> None:
    for path, name in (
        ("sub/%E6%8A%A5%E5%91%8A%201.txt", "报告 1.txt"),
        ("a%22b%25.txt", 'a"b%.txt'),
        ("a%2Fb", "b"),
    ):
        header = disposition("", f"/exampledir/{path}")
        assert werkzeug_name(header) == email_name(header) == name


def test_an_object_whose_name_is_not_a_file_name_is_downloaded_without_one() -> None:
    for key in ("sub/", "a\\b.txt", "你" * 100):
        assert disposition("", raw_path(f"/exampledir/{key}")) == "attachment"


def test_an_invalid_file_name_is_refused() -> None:
    # tests/signer/common/test_disposition.py has the others.
    for name in (
        "a/b",
        "a\r\nX: y",
        "你" * 86,
        "a\udfff",
    ):
        response = ask(query={"download": name})
        assert (response.status, response.code) == (400, "bad_download")
        assert "download" in response.json["detail"]
        assert name not in response.json["detail"]


def test_a_download_is_allowed_on_every_mount() -> None:
    for config in (
        mount(query=[]),
        mount(unknown_query="ignore"),
        mount(query=["response-content-disposition"]),
    ):
        for method in ("GET", "HEAD"):
            response = ask(method=method, query={"download": "b.txt"}, config=config)
            assert werkzeug_name(response.query["response-content-disposition"]) == "b.txt"
            assert response.signs(method)


# --- cache: the links of a window are one ----------------------------------------------------------------------------

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
    queries: list[dict[str, str]] = [
        {},
        {"expires": "10m"},
        {"download": ""},
        {"versionId": "CAEQ"},
    ]
    links = [
        request_at(START + second, CACHED, **query).url for query in queries for second in (0, 299)
    ]
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
    assert (response.expires_in, response.json["expires_in"], response.json["clamped_by"]) == (
        1000,
        701,
        "credentials",
    )


def test_a_redirect_is_cacheable_until_a_minute_before_the_link_expires() -> None:
    for second in (0, 1, 299):
        response = request_at(START + second)
        assert response.headers["Cache-Control"] == f"private, max-age={1200 - second - 60}"
        assert response.headers["Vary"] == "Accept, Authorization"
    soon = mount(expires="1s", cache="10s")
    assert request_at(START, soon).headers["Cache-Control"] == "no-store"
    assert (
        ask(method="HEAD", config=CACHED, now=START).headers["Cache-Control"]
        == "private, max-age=1140"
    )


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
    first, second = (
        ask("/exampledir/a.txt", config=checked, now=START + seconds) for seconds in (0, 60)
    )
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Location"] == second.headers["Location"]


def test_without_a_window_nothing_is_cacheable() -> None:
    plain = mount()
    assert request_at(START, plain).headers["Cache-Control"] == "no-store"
    assert request_at(START, plain).url != request_at(START + 1, plain).url


def test_callers_get_links_of_their_own(tmp_path: Path) -> None:
    service = system.service(tmp_path)
    links = {
        service.request("/open/a.txt", key=MAKER, now=START + second).url for second in range(3)
    }
    assert len(links) == 3
    response = service.request("/open/a.txt", query={"format": "redirect"}, key=MAKER, now=START)
    assert response.headers["Cache-Control"] == "no-store"


def test_links_of_shares_are_never_cacheable(in_memory: System) -> None:
    url = in_memory.create_share(path="/open/a.txt", now=START)
    responses = [in_memory.open(url, now=START + second) for second in range(3)]
    assert len({response.url for response in responses}) == 3
    assert [response.expires_in for response in responses] == [900] * 3
    assert {response.headers["Cache-Control"] for response in responses} == {"no-store"}


# --- traffic_limit ---------------------------------------------------------------------------------------------------

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
        {"path": "/both/a"},
        {"path": "/both/a", "method": "HEAD"},
        {"path": "/both/a", "method": "PUT", "size": 5},
    )
    assert [limit_of(link["url"]) for link in (get, head, put)] == [str(LIMIT), None, str(LIMIT)]
    assert limit_of(limited.request("/open/a").url) is None
    assert ask(config=UNLISTED).query == {NAME: "819200"}
    assert ask(query={NAME: "819200"}, config=UNLISTED).code == "not_signable"


def test_parts_have_it_and_what_completes_or_aborts_them_and_forms_have_none(
    limited: System,
) -> None:
    upload = limited.start_upload(path="/both/big.bin")
    assert {limit_of(part["url"]) for part in upload["parts"]} == {str(LIMIT)}
    assert limit_of(upload["complete"]["url"]) is limit_of(upload["abort"]["url"]) is None
    form = limited.create_form(path="/both/form.bin")
    assert NAME not in form["fields"]
    assert submit_form(form, b"content").status < 300


def test_shares_have_it(limited: System) -> None:
    share = limited.create_share(key=MAKER)
    assert (
        limit_of(limited.open(share).url)
        == limit_of(limited.use(share).headers["Location"])
        == str(LIMIT)
    )


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
