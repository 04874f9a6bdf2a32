"""One JSON audit line per response: short, and without secrets."""

from __future__ import annotations

import contextlib
import io
import json
import re
from unittest.mock import Mock, patch
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler.core import audit
from tests.handler.client import (
    KEYLESS,
    KEYS,
    OTHER_KEYS,
    Answered,
    ask,
    context,
    event,
    invoke,
    mount,
    variables,
)

NAMES = {
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
}
MAX_LINE = 16 * 1024  # bytes
OPEN = mount(query=["versionId", "response-content-type"])


SHARED = "AkmScyE6sD_fKZk7JhRT8g"


@pytest.mark.parametrize("path", ["/-/s/{}", "/-/{}", "/-/{}/a", "/-/s/%ff/{}"])
def test_the_secret_of_a_share_in_a_path_is_not_logged(path: str) -> None:
    response = ask(path.format(SHARED))
    assert response.line["path"] == path.format("REDACTED")
    assert SHARED not in json.dumps(response.line)


def test_the_line_of_an_issued_link_names_everything_about_it() -> None:
    response = ask("/exampledir/%E4%BD%A0%20a.txt", query={"expires": "2h"})
    line = response.line
    assert line.pop("milliseconds") >= 0
    # What alarms read comes first: a log's index may cut a long line, and the path may be long.
    assert list(line)[:6] == ["request_id", "method", "code", "status", "client_ip", "path"]
    path, expires = "/exampledir/你 a.txt", {"expires_in": 3600, "clamped_by": "mount"}
    request = {
        "request_id": "req-EXAMPLE",
        "method": "GET",
        "path": path,
        "client_ip": "203.0.113.7",
    }
    facts = {"mount": "/exampledir/", "caller": None, "code": None, "status": 302}
    assert line == {**request, **facts, **expires, "bucket": "examplebucket", "key": path[1:]}
    redirect, as_json = ask().line, ask(query={"format": "json"}).line
    assert {**redirect, "status": 200, "milliseconds": 0} == {**as_json, "milliseconds": 0}


def test_every_response_has_one_line_with_the_same_names() -> None:
    for raw in (b"", b"[]", b"\xff", "{}", b'{"rawPath": 7}', json.dumps(event("/%ff"))):
        assert set(invoke(raw).line) >= NAMES


def test_a_line_feed_cannot_forge_a_line() -> None:
    forged = '\n{"status": 200}\u2028\u0085\r'
    response = ask(
        "/a" + forged,
        forged,
        {forged: forged},
        {"Accept": forged},
        invocation=context(request_id=forged),
    )
    assert response.printed.isascii()
    assert response.line["status"] == 400


# --- size ---------------------------------------------------------------------------------------------------------

LONG_WHEN_ESCAPED = [*'a"\\\x00😀\ud800%', "%00", "%F0%9F%98%80", "share=a;"]


@pytest.mark.parametrize("filling", LONG_WHEN_ESCAPED, ids=ascii)
def test_a_line_stays_under_16_kb(filling: str) -> None:
    many = filling * (4096 // len(filling))
    worst = event(f"/exampledir/{many}", many, {many: many}, {many: many, "Accept": many})
    worst["requestContext"]["http"]["sourceIp"] = many
    worst["requestContext"]["domainName"] = many
    for document in (
        worst,
        event(f"/exampledir/{many}"),
        event(f"/exampledir/{filling * (900 // len(filling))}"),
    ):
        document["requestContext"] |= {"requestId": many, "accountId": many}
        for invocation in (context(), context(request_id=many), object()):
            response = invoke(json.dumps(document), invocation=invocation)
            assert len(response.printed.encode()) < MAX_LINE
            assert response.line["status"] == response.status


def test_the_longest_valid_path_is_logged_completely() -> None:
    for letter in ("a", "é", "你", "😀", '"', "\u2028"):
        path = "/whole/" + letter * ((1023 - len("whole/")) // len(letter.encode()))
        line = ask(quote(path)).line
        assert (line["path"], line["key"]) == (path, path.removeprefix("/whole/"))


# --- secrets ------------------------------------------------------------------------------------------------------

# With the characters of a token that change when it is encoded.
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


def encodings(secret: str) -> list[str]:
    """A secret as it is, and encoded as in URLs and JSON."""
    return [
        secret,
        quote(secret, safe=""),
        quote(quote(secret, safe=""), safe=""),
        json.dumps(secret)[1:-1],
    ]


def assert_not_logged(secret: str, response: Answered) -> None:
    for encoded in encodings(secret):
        assert encoded not in response.printed
    longest = max(secret.replace("+", "/").replace("=", "/").split("/"), key=len)
    assert len(longest) < 8 or longest not in response.printed


@given(secret=SECRET, label=st.sampled_from(LABELS), encoded=st.integers(0, 2), data=st.data())
def test_a_secret_in_the_path_does_not_reach_the_log(
    secret: str, label: str, encoded: int, data: st.DataObject
) -> None:
    labelled = label + secret
    for _ in range(encoded):
        labelled = quote(labelled, safe="")
    templates = ["/exampledir/{}", "/{}", "/exampledir/a?{}", "/exampledir/%ff{}", "/whole/{}/b"]
    template = data.draw(st.sampled_from(templates))
    assert_not_logged(secret, ask(template.format(labelled)))


@given(
    secret=SECRET,
    label=st.sampled_from(["", *LABELS]),
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
)
def test_a_secret_in_query_headers_or_body_does_not_reach_the_log(
    secret: str, label: str, method: str
) -> None:
    value = label + secret
    headers = {"Authorization": value, "Cookie": value, "X-Fc-Security-Token": value, value: "a"}
    headers |= {"Accept": value, "User-Agent": value, "Referer": value, "Origin": value}
    for query in (
        {value: ""},
        {"versionId": value},
        {"expires": value},
        {"download": value},
        {"format": value},
    ):
        document = event(
            "/exampledir/a.txt", method, query, headers, body=value, isBase64Encoded=False
        )
        document["requestContext"]["domainName"] = value
        document["requestContext"]["http"]["userAgent"] = value
        for config in (KEYLESS, OPEN):
            assert_not_logged(secret, invoke(json.dumps(document), config=config))
        assert_not_logged(
            secret, invoke(json.dumps({**document, "isBase64Encoded": True}), config=KEYLESS)
        )


@given(secret=SECRET, token=SECRET, format_=st.sampled_from(["json", "redirect", "xml"]))
def test_credentials_do_not_reach_the_log_or_the_response_except_the_token_in_the_link(
    secret: str, token: str, format_: str
) -> None:
    assume(secret not in token)
    keys = KEYS._replace(access_key_secret=secret, security_token=token)
    environ = variables(keys._replace(access_key_id=OTHER_KEYS.access_key_id))
    for response in (
        ask(query={"format": format_}, invocation=context(keys)),
        ask(query={"format": format_}, invocation=context(None), environ=environ),
    ):
        assert_not_logged(secret, response)
        assert_not_logged(token, response)
        assert KEYS.access_key_id not in response.printed
        assert OTHER_KEYS.access_key_id not in response.printed
        if response.status < 300:
            assert response.json["expires_in"]
        assert secret not in response.body + json.dumps(response.headers)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlRVhBTVBMRQ"


PASTED = [
    JWT,
    f"token-{JWT}.txt",
    "KEYfcp_reader_EXAMPLE_0000000000",
    "q3.pdf\uff1fshare\uff1dsecretEXAMPLE0123456789",
    "q3.pdf?share[]=secretEXAMPLE0123456789",
    "201508150800/9044548ef1527deadafa49a890a377f0/q3.txt",
    "a37fa50a5fb8f71214b1e7c95ec7a1bd/55ce8100/q3.txt",
]


@pytest.mark.parametrize("pasted", PASTED)
def test_a_token_a_key_a_share_or_a_link_of_a_cdn_pasted_into_a_path_does_not_reach_the_log(
    pasted: str,
) -> None:
    secret = max(re.split(r"[._=\uff1d]|fcp", pasted.removesuffix(".txt")), key=len)
    for path in (f"/exampledir/{pasted}", f"/-/s/{pasted}", f"/{pasted}", f"/whole/{pasted}/\x00"):
        for written in (path, quote(path), quote(quote(path))):
            assert secret not in ask(written).printed


WORDS = ("fcp_", "whsec_", "bearer", "eyj")
SIGNS = "=:%,~\uff1d\uff1a"
# Entire words, some without their first or last letter, and letters that the search looks around.
PIECES = st.sampled_from(
    [*WORDS, *(word[1:] for word in WORDS), *(word[:-1] for word in WORDS), *"_jbx/"]
)


@given(st.lists(PIECES | PIECES.map(str.upper) | st.characters(), max_size=8).map("".join))
def test_a_string_is_searched_for_secrets_if_it_has_a_sign_or_word_of_one(value: str) -> None:
    with patch.object(audit, "_redact", Mock(return_value="")) as redact:
        audit.string(value)
    assert redact.called or not any(piece in value.lower() for piece in (*SIGNS, *WORDS))


def test_neither_the_link_nor_a_part_of_its_signature_is_in_the_line() -> None:
    for query in ({}, {"format": "json"}, {"download": "a.txt"}):
        response = ask(query=query)
        parameters = response.parameters
        for name in ("x-oss-signature", "x-oss-security-token", "x-oss-credential"):
            assert_not_logged(parameters[name], response)
        assert urlsplit(response.url).netloc not in response.printed
        assert "x-oss-" not in response.printed
        assert "http" not in response.printed


def test_a_link_pasted_after_the_services_address_is_logged_without_its_secrets() -> None:
    link = ask().url
    signature, token = (
        ask().parameters[name] for name in ("x-oss-signature", "x-oss-security-token")
    )
    for pasted in (
        link,
        link.partition("://")[2],
        quote(link, safe=""),
        quote(quote(link, safe=""), safe=""),
    ):
        for path in ("/", "/exampledir/", "/whole/"):
            response = ask(path + pasted)
            assert_not_logged(signature, response)
            assert_not_logged(token, response)


FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), FACTS, max_size=4))
def test_a_line_is_json_as_python_writes_it(facts: dict[str, object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        audit.write(facts)
    assert out.getvalue() == json.dumps(facts, separators=(",", ":")) + "\n"


def test_a_request_whose_line_is_no_json_has_one_that_says_so() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        audit.write({"request_id": "req-EXAMPLE", "status": 200, "path": b"bytes"})
    line = json.loads(out.getvalue())
    assert line.pop("fault")["error"] == "TypeError"
    assert line == {"request_id": "req-EXAMPLE", "status": 200}


@pytest.mark.parametrize("begin", [f"share={'A' * 980}&", ""])
def test_half_a_secret_at_the_end_of_what_is_read_is_not_logged(begin: str) -> None:
    secret = "fcp_reader_EXAMPLE_0000000000"
    for end in range(4, 20):
        filling = begin.ljust(audit.MAX_STRING - end, " ")
        assert "fcp_" not in audit.string(filling + secret)
