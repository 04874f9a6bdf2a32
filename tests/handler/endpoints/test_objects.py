"""An object's own address: GET and HEAD, a redirect or JSON, and a signature that holds."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
from alibabacloud_oss_v2.credentials import Credentials as OfficialCredentials
from alibabacloud_oss_v2.signer.v4 import SignerV4
from alibabacloud_oss_v2.types import HttpRequest, SigningContext

from tests.handler.client import EVENTS, KEYS, NOW, TOKEN, Answered, ask, invoke, mount, policy

JSON = {"Accept": "application/json"}


def official_signature(method: str, answered: Answered) -> str:
    """The signature that the official SDK computes for a link of ours."""
    issued = datetime.fromtimestamp(int(NOW), timezone.utc)
    url = urlsplit(answered.url)
    own = "&".join(p for p in url.query.split("&") if not p.startswith(("x-oss-signature=", "x-oss-security-token=")))
    request = HttpRequest(method=method, url=f"{url.scheme}://{url.netloc}{url.path}?{own}", headers={})
    signing = SigningContext(
        product="oss",
        region="cn-hangzhou",
        bucket="examplebucket",
        key=answered.key,
        request=request,
        credentials=OfficialCredentials(KEYS.access_key_id, KEYS.access_key_secret, KEYS.security_token),
        signing_time=issued,
    )
    signing.auth_method_query = True
    signing.expiration_time = issued + timedelta(seconds=answered.expires_in)
    SignerV4().sign(signing)
    return str(request.url).partition("x-oss-signature=")[2].partition("&")[0]


def test_the_recorded_event_is_redirected_to_the_object_that_it_names() -> None:
    answered = invoke((EVENTS / "http-get.json").read_bytes())
    assert answered.status == 302
    assert answered.body == ""
    assert answered.key == "exampledir/你好 +1.txt"
    assert answered.headers["Location"].startswith(
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/exampledir/%E4%BD%A0%E5%A5%BD%20%2B1.txt?"
    )
    assert answered.expires_in == 600
    assert answered.signs("GET")


def test_the_event_may_be_text_as_well_as_bytes() -> None:
    assert invoke((EVENTS / "http-get.json").read_text("utf-8")).status == 302


@pytest.mark.parametrize(("method", "other"), [("GET", "HEAD"), ("HEAD", "GET")])
def test_a_link_is_signed_for_the_very_method_that_was_asked(method: str, other: str) -> None:
    answered = ask(method=method)
    assert answered.status == 302
    assert answered.signs(method)
    assert not answered.signs(other)


def test_a_link_carries_the_security_token_and_no_other_credentials_verify_it() -> None:
    answered = ask()
    assert answered.parameters["x-oss-security-token"] == TOKEN
    assert not answered.signs(keys=KEYS._replace(access_key_secret="anotherEXAMPLE"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_official_sdk_computes_the_same_signature(method: str) -> None:
    answered = ask("/exampledir/%E4%BD%A0%E5%A5%BD%20%2B1%25.txt", method, {"download": "报告 1.txt", "expires": "10m"})
    assert answered.parameters["x-oss-signature"] == official_signature(method, answered)


def test_the_json_of_a_link_has_the_members_of_the_contract_and_no_other() -> None:
    answered = ask(headers=JSON)
    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/json"
    assert "Location" not in answered.headers
    assert {name: value for name, value in answered.json.items() if name != "url"} == {
        "method": "GET",
        "headers": {},
        "expires_at": "2026-03-01T06:56:11Z",
        "expires_in": 900,
        "clamped_by": None,
    }
    assert next(iter(answered.json)) == "url"
    assert answered.signs("GET")


def test_the_expiry_that_json_tells_is_the_one_that_is_signed() -> None:
    answered = ask(query={"expires": "61"}, headers=JSON)
    issued = datetime.strptime(answered.parameters["x-oss-date"], "%Y%m%dT%H%M%SZ")
    told = datetime.strptime(answered.json["expires_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert told - issued == timedelta(seconds=61)
    assert answered.json["expires_in"] == answered.expires_in == 61
    assert answered.signs(now=NOW + 60)
    assert not answered.signs(now=NOW + 62)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("APPLICATION/JSON", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;q=0.001", 200),
        ("text/html, application/json;q=0.5", 200),
        ("*/*, application/json", 200),
        (" application/json ,text/plain", 200),
        ("application/json;q=0", 302),
        ("application/json; q=0.000", 302),
        ("application/json;q=0.0, text/html", 302),
        ("application/jsonl", 302),
        ("application/json+x", 302),
        ("application/problem+json", 302),
        ("x-application/json", 302),
        ("application/*", 302),
        ("*/*", 302),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 302),
        ("", 302),
        (";,;=,", 302),
    ],
)
def test_accept_chooses_json_only_where_it_names_it(accept: str, status: int) -> None:
    assert ask(headers={"Accept": accept}).status == status


def test_a_request_without_an_accept_header_is_redirected() -> None:
    event = json.loads((EVENTS / "http-get.json").read_bytes())
    event["headers"] = {}
    assert invoke(json.dumps(event)).status == 302


@pytest.mark.parametrize(
    ("wanted", "accept", "status"),
    [
        ("json", "*/*", 200),
        ("json", "text/html", 200),
        ("redirect", "application/json", 302),
        ("redirect", "*/*", 302),
    ],
)
def test_format_outweighs_accept(wanted: str, accept: str, status: int) -> None:
    answered = ask(query={"format": wanted}, headers={"Accept": accept})
    assert answered.status == status
    assert answered.signs("GET")
    assert answered.query == {}


@pytest.mark.parametrize("wanted", ["", "JSON", "xml", "json,json", "json "])
def test_an_unknown_format_is_refused_by_name(wanted: str) -> None:
    answered = ask(query={"format": wanted})
    assert (answered.status, answered.code) == (400, "bad_format")
    assert "format" in answered.json["detail"]


def test_head_has_no_body_whatever_is_asked() -> None:
    for query in ({}, {"format": "json"}, {"format": "xml"}):
        assert ask(method="HEAD", query=query).body == ""
    assert ask("/nothing", "HEAD").body == ""
    assert ask("/-/health", "HEAD").body == ""


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("public", "examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        ("internal", "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        ("accelerate", "examplebucket.oss-accelerate.aliyuncs.com"),
        ("dual-stack", "examplebucket.cn-hangzhou.oss.aliyuncs.com"),
        ("https://static.example.com", "static.example.com"),
    ],
)
def test_the_host_of_a_link_is_the_mounts_endpoint_whatever_the_request_says(endpoint: str, host: str) -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    answered = ask(headers=forged, under=mount(endpoint=endpoint))
    assert urlsplit(answered.url).netloc == host


def test_a_local_oss_takes_all_links_whatever_the_mounts_say() -> None:
    text = """
    region = "cn-hangzhou"
    [[mount]]
    path = "/exampledir/"
    target = "oss://examplebucket/exampledir/"
    access = "anonymous"
    endpoint = "https://static.example.com"
    """
    answered = ask(under=policy(text, {"LINK_OSS_ENDPOINT": "http://127.0.0.1:9001"}))
    assert answered.url.startswith("http://127.0.0.1:9001/examplebucket/exampledir/a.txt?")
    assert answered.signs()


def test_the_longest_path_prefix_wins_and_a_mount_ends_at_its_slash() -> None:
    under = policy(
        """
        region = "cn-hangzhou"
        [[mount]]
        path = "/pub/"
        target = "oss://examplebucket/one/"
        access = "anonymous"
        [[mount]]
        path = "/pub/deep/"
        target = "oss://otherbucket/two/"
        access = "anonymous"
        """
    )
    assert ask("/pub/a", under=under).key == "one/a"
    assert ask("/pub/deep/a", under=under).key == "two/a"
    assert ask("/pub/deep", under=under).key == "one/deep"
    assert ask("/pub/deeper/a", under=under).key == "one/deeper/a"
    assert ask("/public-secret", under=under).status == 404
    assert ask("/pub", under=under).status == 404


def test_one_event_after_another_gives_each_its_own_link() -> None:
    keys = [f"exampledir/{number}.txt" for number in range(20)]
    assert [ask(f"/{key}").key for key in keys] == keys
