"""One JSON line of audit per answer: small, and nothing secret can be in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler import links
from tests.handler.client import KEYLESS, KEYS, OTHER_KEYS, Answered, ask, context, event, invoke, mount

NAMES = [
    "request_id",
    "method",
    "path",
    "mount",
    "caller",
    "expires_in",
    "clamped_by",
    "code",
    "status",
    "client_ip",
    "milliseconds",
]
LINE = 16 * 1024  # bytes
OPEN = mount(query=["versionId", "response-content-type"])


def test_a_given_link_is_told_whole() -> None:
    answered = ask("/exampledir/%E4%BD%A0%20a.txt", query={"expires": "2h"})
    line = answered.line
    assert line.pop("milliseconds") >= 0
    assert line == {
        "request_id": "req-EXAMPLE",
        "method": "GET",
        "path": "/exampledir/你 a.txt",
        "mount": "/exampledir/",
        "caller": None,
        "expires_in": 3600,
        "clamped_by": "mount",
        "code": None,
        "status": 302,
        "client_ip": "203.0.113.7",
        "bucket": "examplebucket",
        "key": "exampledir/你 a.txt",
    }


def test_json_and_redirect_are_told_alike() -> None:
    redirect, told = ask().line, ask(query={"format": "json"}).line
    assert (redirect.pop("status"), told.pop("status")) == (302, 200)
    del redirect["milliseconds"], told["milliseconds"]
    assert redirect == told


REFUSED: list[tuple[str, Mapping[str, Any]]] = [
    ("bad_path", {"path": "/exampledir/%ff"}),
    ("not_found", {"path": "/nothing"}),
    ("not_found", {"path": "/whole/.links/keys.json"}),
    ("unauthorized", {"path": "/private/a.txt"}),
    ("method_not_allowed", {"method": "DELETE"}),
    ("not_signable", {"query": {"acl": ""}}),
    ("bad_expires", {"query": {"expires": "soon"}}),
    ("bad_download", {"query": {"download": "a/b"}}),
    ("bad_format", {"query": {"format": "xml"}}),
    ("link_too_long", {"query": {"versionId": "v" * 8000}, "under": OPEN}),
    ("bad_query", {"query": {"response-content-type": "a\nb"}, "under": OPEN}),
    ("no_credentials", {"invocation": context(None)}),
]


@pytest.mark.parametrize(("code", "request_"), REFUSED, ids=[code for code, _ in REFUSED])
def test_a_refusal_is_told_with_no_more_than_its_problem(code: str, request_: Mapping[str, Any]) -> None:
    answered = ask(**request_)
    line = answered.line
    assert line["code"] == answered.code == code
    assert line["status"] == answered.status
    assert line["request_id"] == answered.json["request_id"]
    for name in ("mount", "caller", "expires_in", "clamped_by", "bucket", "key"):
        assert line.get(name) is None
    assert not {"bucket", "key"} & {name for name in line if line[name] is not None}
    for hidden in ("examplebucket", "privatebucket"):
        assert hidden not in answered.printed


@pytest.mark.parametrize(
    ("path", "method"), [("/-/health", "GET"), ("/-/health", "OPTIONS"), ("/exampledir/a", "OPTIONS")]
)
def test_an_answer_without_a_link_names_no_object(path: str, method: str) -> None:
    line = ask(path, method).line
    assert line["code"] is None
    assert line.get("bucket") is None
    assert line.get("key") is None


EVENTS: list[bytes | str] = [b"", b"null", b"[]", b"\xff", "{}", b'{"rawPath": 7}', json.dumps(event("/%ff"))]


@pytest.mark.parametrize("raw", EVENTS)
def test_every_answer_has_one_line_with_the_same_names(raw: bytes | str) -> None:
    assert [name for name in NAMES if name not in invoke(raw).line] == []


def test_a_line_cannot_be_forged_by_a_line_feed() -> None:
    forged = '\n{"status": 200}\u2028\u0085\r'
    answered = ask("/a" + forged, forged, {forged: forged}, {"Accept": forged}, invocation=context(request_id=forged))
    assert answered.printed.isascii()
    assert answered.line["status"] == 400


# --- size ---------------------------------------------------------------------------------------------------------

WIDE = [*'a"\\\x00\x7fé你😀\ud800\u2028%', "%22", "%00", "%F0%9F%98%80", "share=a;"]


@pytest.mark.parametrize("filling", WIDE, ids=ascii)
def test_a_line_stays_under_16_kb_whatever_fills_it(filling: str) -> None:
    many = filling * (4096 // len(filling))
    worst = event(f"/exampledir/{many}", many, {many: many}, {many: many, "Accept": many})
    worst["requestContext"]["http"]["sourceIp"] = many
    worst["requestContext"]["domainName"] = many
    for document in (worst, event(f"/exampledir/{many}"), event(f"/exampledir/{filling * (900 // len(filling))}")):
        for name in ("requestId", "accountId"):
            document["requestContext"][name] = many
        for invocation in (context(), context(request_id=many), object()):
            answered = invoke(json.dumps(document), invocation=invocation)
            assert len(answered.printed.encode()) < LINE
            assert answered.line["status"] == answered.status


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=255))
def test_a_legal_path_is_told_whole(name: str) -> None:
    path = f"/exampledir/a{name}"
    answered = ask(quote(path))
    assert answered.line["path"] == path
    assert answered.line["key"] == path[1:]


def test_the_longest_legal_path_is_told_whole() -> None:
    for letter in ("a", "é", "你", "😀", '"'):
        path = "/whole/" + letter * ((1023 - len("whole/")) // len(letter.encode()))
        assert ask(quote(path)).line["path"] == path


# --- secrets ------------------------------------------------------------------------------------------------------

# Each letter of a token that is written in another way when it is encoded.
SECRET = st.text(st.sampled_from("ABCDEFGHabcdefgh0123456789+/="), min_size=24, max_size=60).filter(
    lambda secret: not secret.startswith(("/", "=", "+")) and "//" not in secret
)
LABELS = [
    "x-oss-signature=",
    "x-oss-security-token=",
    "x-oss-credential=",
    "security-token=",
    "OSSAccessKeyId=",
    "Signature=",
    "share=",
    "Authorization: Bearer ",
    "Bearer ",
    "X-Api-Key: ",
]


def written(secret: str) -> list[str]:
    """A secret as it is, and as URLs and JSON have it."""
    return [secret, quote(secret, safe=""), quote(quote(secret, safe=""), safe=""), json.dumps(secret)[1:-1]]


def assert_untold(secret: str, answered: Answered) -> None:
    for form in written(secret):
        assert form not in answered.printed
    longest = max(secret.replace("+", "/").replace("=", "/").split("/"), key=len)
    assert len(longest) < 8 or longest not in answered.printed


@given(secret=SECRET, label=st.sampled_from(LABELS), encoded=st.integers(0, 2), data=st.data())
def test_a_secret_in_the_path_does_not_reach_the_log(
    secret: str, label: str, encoded: int, data: st.DataObject
) -> None:
    text = label + secret
    for _ in range(encoded):
        text = quote(text, safe="")
    places = ["/exampledir/{}", "/{}", "/exampledir/a?{}", "/exampledir/%ff{}", "/whole/{}/b"]
    place = data.draw(st.sampled_from(places))
    assert_untold(secret, ask(place.format(text)))


@given(secret=SECRET, label=st.sampled_from(["", *LABELS]), method=st.sampled_from(["GET", "HEAD", "POST", "DELETE"]))
def test_a_secret_in_query_headers_or_body_does_not_reach_the_log(secret: str, label: str, method: str) -> None:
    text = label + secret
    headers = {"Authorization": text, "Cookie": text, "X-Api-Key": text, "X-Fc-Security-Token": text, text: "a"}
    headers |= {"Accept": text, "User-Agent": text, "Referer": text, "Origin": text}
    for query in ({text: ""}, {"versionId": text}, {"expires": text}, {"download": text}, {"format": text}):
        document = event("/exampledir/a.txt", method, query, headers, body=text, isBase64Encoded=False)
        document["requestContext"]["domainName"] = text
        document["requestContext"]["http"]["userAgent"] = text
        for under in (KEYLESS, OPEN):
            assert_untold(secret, invoke(json.dumps(document), under=under))
        assert_untold(secret, invoke(json.dumps({**document, "isBase64Encoded": True}), under=KEYLESS))


@given(secret=SECRET, token=SECRET, form=st.sampled_from(["json", "redirect", "xml"]))
def test_credentials_do_not_reach_the_log_or_any_answer_but_the_links_own_token(
    secret: str, token: str, form: str
) -> None:
    assume(secret not in token)
    keys = KEYS._replace(access_key_secret=secret, security_token=token)
    environ = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": OTHER_KEYS.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": token,
    }
    for answered in (
        ask(query={"format": form}, invocation=context(keys)),
        ask(query={"format": form}, invocation=context(None), environ=environ),
    ):
        assert_untold(secret, answered)
        assert_untold(token, answered)
        assert KEYS.access_key_id not in answered.printed
        assert OTHER_KEYS.access_key_id not in answered.printed
        if answered.status < 300:
            assert answered.json["expires_in"]
        told = answered.body + json.dumps(answered.headers)
        assert secret not in told


def test_neither_the_link_nor_any_part_of_its_signature_is_in_the_line() -> None:
    for query in ({}, {"format": "json"}, {"download": "a.txt"}):
        answered = ask(query=query)
        parameters = answered.parameters
        for name in ("x-oss-signature", "x-oss-security-token", "x-oss-credential"):
            assert_untold(parameters[name], answered)
        assert urlsplit(answered.url).netloc not in answered.printed
        assert "x-oss-" not in answered.printed
        assert "http" not in answered.printed


def test_a_link_that_was_pasted_behind_the_services_address_is_told_without_its_secrets() -> None:
    link = ask().url
    signature, token = (ask().parameters[name] for name in ("x-oss-signature", "x-oss-security-token"))
    for pasted in (link, link.partition("://")[2], quote(link, safe=""), quote(quote(link, safe=""), safe="")):
        for where in ("/", "/exampledir/", "/whole/"):
            answered = ask(where + pasted)
            assert_untold(signature, answered)
            assert_untold(token, answered)


def test_a_fault_is_told_by_type_file_and_line_and_by_no_value() -> None:
    secret = "topsecretEXAMPLE"

    def broken(*_: object, **__: object) -> None:
        raise ValueError(f"cannot sign with {secret}", {"token": secret})

    with patch.object(links, "presign", broken):
        answered = ask(query={"versionId": secret}, under=OPEN)
    assert answered.status == 500
    line = answered.line
    assert line["fault"]["error"] == "ValueError"
    assert any(frame.startswith("handler/links.py:") for frame in line["fault"]["frames"])
    assert secret not in answered.printed + answered.body
    assert "cannot sign" not in answered.printed + answered.body
