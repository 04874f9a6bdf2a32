"""An object's own address: GET and HEAD, a redirect or JSON, and a signature that holds."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from tests.handler.client import EVENTS, KEYS, TOKEN, ask, invoke, mount

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
def test_a_link_is_signed_for_the_method_of_the_request_and_these_credentials(method: str, other: str) -> None:
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
        *("*/*", ";,;=,", "application/*", "text/html,application/xml;q=0.9,*/*;q=0.8"),
        # only by its name
        *("application/json;q=0", "application/jsonl", "application/json;q=0.9, text/*"),
        *("application/json, text/plain, */*", "text/html, application/json"),  # axios and Angular
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
        *("APPLICATION/JSON", "application/json;q=0.001"),
        "application/json, text/javascript, */*; q=0.01",  # jQuery.getJSON
        *("application/json, text/html;q=0.9", "application/json;q=0.9, text/html;q=0.8, */*;q=0.7"),
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
    ("requested", "accept", "status"), [("json", "text/html", 200), ("redirect", "application/json", 302)]
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
def test_the_host_of_a_link_is_that_of_the_mount_and_never_of_the_request(endpoint: str, host: str) -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    response = ask(headers=forged, config=mount(endpoint=endpoint))
    assert urlsplit(response.url).netloc == host
