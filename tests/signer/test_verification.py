"""A link that was signed holds; a link of which any part was altered does not, and the first fault says why."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from signer import Credentials, Endpoint, InvalidLink, Verification, verify
from tests.signer.sdks import query_pairs, url_of_v2
from tests.signer.signing import (
    BUCKET,
    HANGZHOU,
    KEY,
    KEYS,
    LAST_SECOND,
    MAX_LIFE,
    NOW,
    TEMPORARY,
    Asked,
    requests,
    sign,
)

Query = dict[str, str]
HEADERS = {"Content-Type": "text/plain", "Range": "bytes=0-9"}
LINK = sign(
    credentials=TEMPORARY,
    expires_in=600,
    query={"versionId": "v1", "x-oss-traffic-limit": "819200"},
    headers=HEADERS,
    signed_headers=["range", "host"],
)
HOST = "examplebucket.oss-cn-hangzhou.aliyuncs.com"
SCOPE = "20260301/cn-hangzhou/oss/aliyun_v4_request"


def written(url: str, **parts: str) -> str:
    return urlsplit(url)._replace(**parts).geturl()


def query_text(query: Query) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())


def checked(
    url: str = LINK.url,
    method: str = "GET",
    headers: dict[str, str] = HEADERS,
    credentials: Credentials = TEMPORARY,
    now: float = NOW,
    endpoint: Endpoint | None = None,
) -> Verification:
    return verify(method, url, credentials=credentials, headers=headers, now=now, endpoint=endpoint)


def altered(name: str, value: str | None) -> str:
    """The link with one parameter set, or dropped where the value is None."""
    query = {**dict(query_pairs(LINK.url)), name: value}
    return written(LINK.url, query=query_text({n: v for n, v in query.items() if v is not None}))


def test_a_link_holds_whole() -> None:
    found = checked()

    assert found.ok
    assert (found.fault, found.parameter, found.faults) == (None, None, ())
    assert (found.signature, found.expiry, found.skew, found.token, found.headers) == (True,) * 5
    assert found.issued_at == datetime.fromtimestamp(NOW, timezone.utc)
    assert found.expires_at == LINK.expires_at
    assert found.access_key_id == "STS.EXAMPLE"
    assert found.string_to_sign.startswith(f"OSS4-HMAC-SHA256\n20260301T064111Z\n{SCOPE}\n")


@settings(max_examples=80, deadline=None)
@given(requests(), st.data())
def test_every_link_holds_from_a_quarter_of_an_hour_ahead_until_its_end(asked: Asked, data: st.DataObject) -> None:
    assume(900 <= asked.now <= LAST_SECOND - 2 * MAX_LIFE)
    now = data.draw(st.integers(asked.now - 900, asked.now + asked.expires_in - 1))
    link = asked.link()

    found = verify(asked.method, link.url, credentials=asked.credentials, headers=link.headers, now=now)

    assert found.faults == ()
    assert found.expires_at == link.expires_at


@settings(max_examples=100, deadline=None)
@given(requests())
def test_every_link_of_the_official_sdk_holds(asked: Asked) -> None:
    found = verify(
        asked.method, url_of_v2(asked), credentials=asked.credentials, headers=dict(asked.headers), now=asked.now
    )

    assert found.faults == ()


ALTERED: list[tuple[str, str, str | None, Verification]] = [
    ("the object", "signature_mismatch", "x-oss-signature", checked(written(LINK.url, path=f"/{KEY}2"))),
    ("the bucket", "signature_mismatch", "x-oss-signature", checked(LINK.url.replace(BUCKET, "otherbucket"))),
    ("the host", "signature_mismatch", "x-oss-signature", checked(LINK.url.replace(".oss-cn", ".oss-us"))),
    ("the method", "signature_mismatch", "x-oss-signature", checked(method="HEAD")),
    ("a parameter", "signature_mismatch", "x-oss-signature", checked(altered("versionId", "v2"))),
    ("a parameter, dropped", "signature_mismatch", "x-oss-signature", checked(altered("versionId", None))),
    ("a parameter, emptied", "signature_mismatch", "x-oss-signature", checked(altered("versionId", ""))),
    ("a parameter, added", "signature_mismatch", "x-oss-signature", checked(altered("response-expires", "1"))),
    ("an empty parameter, added", "signature_mismatch", "x-oss-signature", checked(altered("acl", ""))),
    ("the signing time", "signature_mismatch", "x-oss-signature", checked(altered("x-oss-date", "20260301T064112Z"))),
    ("the day of signing", "bad_parameter", "x-oss-credential", checked(altered("x-oss-date", "20260302T064111Z"))),
    ("the time's form", "bad_parameter", "x-oss-date", checked(altered("x-oss-date", "2026-03-01T06:41:11Z"))),
    ("a day that is none", "bad_parameter", "x-oss-date", checked(altered("x-oss-date", "20260230T064111Z"))),
    ("the expiry", "signature_mismatch", "x-oss-signature", checked(altered("x-oss-expires", "601"))),
    ("an expiry of zero", "expires_out_of_range", "x-oss-expires", checked(altered("x-oss-expires", "0"))),
    ("an expiry below zero", "expires_out_of_range", "x-oss-expires", checked(altered("x-oss-expires", "-5"))),
    ("an expiry too long", "expires_out_of_range", "x-oss-expires", checked(altered("x-oss-expires", "604801"))),
    ("an expiry that is none", "bad_parameter", "x-oss-expires", checked(altered("x-oss-expires", "6e2"))),
    ("the key id", "unknown_access_key", "x-oss-credential", checked(altered("x-oss-credential", f"STS.X/{SCOPE}"))),
    (
        "the region",
        "signature_mismatch",
        "x-oss-signature",
        checked(altered("x-oss-credential", "STS.EXAMPLE/20260301/us-west-1/oss/aliyun_v4_request")),
    ),
    (
        "the region where it is known",
        "wrong_scope",
        "x-oss-credential",
        checked(endpoint=HANGZHOU._replace(region="us-west-1")),
    ),
    (
        "the product",
        "signature_mismatch",
        "x-oss-signature",
        checked(altered("x-oss-credential", "STS.EXAMPLE/20260301/cn-hangzhou/oss2/aliyun_v4_request")),
    ),
    (
        "the scope's last word",
        "bad_parameter",
        "x-oss-credential",
        checked(altered("x-oss-credential", "STS.EXAMPLE/20260301/cn-hangzhou/oss/aws4_request")),
    ),
    (
        "a scope too long",
        "bad_parameter",
        "x-oss-credential",
        checked(altered("x-oss-credential", f"STS.EXAMPLE/{SCOPE}/more")),
    ),
    ("a scope too short", "bad_parameter", "x-oss-credential", checked(altered("x-oss-credential", "STS.EXAMPLE"))),
    ("the token", "wrong_token", "x-oss-security-token", checked(altered("x-oss-security-token", "CAISOTHER"))),
    ("the token, dropped", "missing_token", "x-oss-security-token", checked(altered("x-oss-security-token", None))),
    ("the version", "bad_parameter", "x-oss-signature-version", checked(altered("x-oss-signature-version", "OSS2"))),
    ("the signature", "signature_mismatch", "x-oss-signature", checked(altered("x-oss-signature", "0" * 64))),
    (
        "the names of headers",
        "signature_mismatch",
        "x-oss-signature",
        checked(altered("x-oss-additional-headers", "host")),
    ),
    (
        "the names of headers, dropped",
        "signature_mismatch",
        "x-oss-signature",
        checked(altered("x-oss-additional-headers", None)),
    ),
    (
        "the names of headers, emptied",
        "bad_parameter",
        "x-oss-additional-headers",
        checked(altered("x-oss-additional-headers", "")),
    ),
    (
        "an additional header",
        "signature_mismatch",
        "x-oss-signature",
        checked(headers={**HEADERS, "Range": "bytes=0-"}),
    ),
    ("an additional header, dropped", "missing_header", "range", checked(headers={"Content-Type": "text/plain"})),
    ("a header", "signature_mismatch", "x-oss-signature", checked(headers={**HEADERS, "Content-Type": "text/html"})),
    ("a header, dropped", "signature_mismatch", "x-oss-signature", checked(headers={"Range": "bytes=0-9"})),
    ("a header, added", "signature_mismatch", "x-oss-signature", checked(headers={**HEADERS, "x-oss-meta-a": "b"})),
    (
        "the secret",
        "signature_mismatch",
        "x-oss-signature",
        checked(credentials=TEMPORARY._replace(access_key_secret="othersecretEXAMPLE")),
    ),
    ("the credentials", "unknown_access_key", "x-oss-credential", checked(credentials=KEYS)),
    (
        "the credentials' life",
        "token_expired",
        "x-oss-security-token",
        checked(credentials=TEMPORARY._replace(expires_at=NOW)),
    ),
    ("the clock, behind", "skewed", "x-oss-date", checked(now=NOW - 901)),
    ("the clock, ahead", "expired", "x-oss-expires", checked(now=NOW + 600)),
    *(
        (f"{name}, dropped", "bad_parameter", name, checked(altered(name, None)))
        for name in ("x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature-version", "x-oss-signature")
    ),
]


@pytest.mark.parametrize(("fault", "parameter", "found"), [row[1:] for row in ALTERED], ids=[row[0] for row in ALTERED])
def test_an_altered_part_is_refused_for_what_it_is(fault: str, parameter: str | None, found: Verification) -> None:
    assert not found.ok
    assert (found.fault, found.parameter) == (fault, parameter)


@settings(max_examples=150, deadline=None)
@given(requests(), st.data())
def test_no_character_of_any_part_of_a_link_can_be_altered(asked: Asked, data: st.DataObject) -> None:
    link = asked.link()
    pairs = dict(query_pairs(link.url))
    name = data.draw(st.sampled_from([*sorted(pairs), "the key"]))
    value = asked.key if name == "the key" else pairs[name]
    place = data.draw(st.integers(0, max(len(value) - 1, 0)))
    letter = data.draw(st.characters(codec="utf-8", exclude_characters="/"))
    forged = value[:place] + letter + value[place + 1 :]
    assume(forged != value)

    url = (
        written(link.url, path="/" + quote(forged, safe="/"))
        if name == "the key"
        else written(link.url, query=query_text({**pairs, name: forged}))
    )

    assert not verify(asked.method, url, credentials=asked.credentials, headers=link.headers, now=asked.now).ok


@pytest.mark.parametrize("name", sorted(dict(query_pairs(LINK.url))))
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    value = dict(query_pairs(LINK.url))[name]

    for second in (value, "604800"):
        assert not checked(f"{LINK.url}&{name}={quote(second, safe='')}").ok
        assert not checked(LINK.url.replace("?", f"?{name}={quote(second, safe='')}&")).ok


def test_the_order_of_the_query_does_not_matter() -> None:
    assert checked(written(LINK.url, query=query_text(dict(reversed(query_pairs(LINK.url)))))).ok


def test_a_slash_may_be_encoded_and_letters_of_an_encoding_may_be_small() -> None:
    link = sign(key="a/b c?.txt")

    assert verify("GET", link.url.replace("/a/b", "/a%2fb").replace("%3F", "%3f"), credentials=KEYS, now=NOW).ok


def test_a_key_that_was_encoded_twice_is_another_key() -> None:
    link = sign(key="a b")

    assert verify("GET", link.url.replace("a%20b", "a%2520b"), credentials=KEYS, now=NOW).fault == "signature_mismatch"


def test_faults_come_in_the_order_in_which_oss_looks() -> None:
    found = checked(altered("x-oss-security-token", "CAISOTHER"), headers={}, now=NOW + 600)

    assert [fault.code for fault in found.faults] == ["wrong_token", "expired", "missing_header", "signature_mismatch"]
    assert (found.signature, found.expiry, found.skew, found.token, found.headers) == (False, False, True, False, False)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (checked(now=NOW + 600), (True, False, True, True, True)),
        (checked(now=NOW - 901), (True, True, False, True, True)),
        (checked(method="HEAD"), (False, True, True, True, True)),
        (checked(credentials=KEYS), (False, True, True, False, True)),
        (checked(altered("x-oss-signature", None)), (False, False, False, False, False)),
    ],
)
def test_each_thing_that_holds_is_told_by_itself(found: Verification, holds: tuple[bool, ...]) -> None:
    assert (found.signature, found.expiry, found.skew, found.token, found.headers) == holds


def test_a_url_without_a_signature_is_unsigned() -> None:
    assert checked(written(LINK.url, query="versionId=v1")).fault == "unsigned"
    assert checked(written(LINK.url, query="")).fault == "unsigned"


@pytest.mark.parametrize("host", ["static.example.com", "127.0.0.1:9001", "localhost:9001", "[::1]:9001"])
def test_a_bucket_that_the_host_does_not_carry_is_named(host: str) -> None:
    link = sign(endpoint=Endpoint.custom_domain(f"https://{host}", "cn-hangzhou"))

    assert verify("GET", link.url, credentials=KEYS, bucket=BUCKET, now=NOW).ok
    assert not verify("GET", link.url, credentials=KEYS, bucket="otherbucket", now=NOW).ok


@pytest.mark.parametrize("address", ["http://127.0.0.1:9001", "http://localhost:9001", "http://[::1]:9001"])
def test_a_bucket_in_the_path_is_read_from_there(address: str) -> None:
    link = sign(endpoint=Endpoint.path_style(address, "cn-hangzhou"), signed_headers=["host"])

    assert verify("GET", link.url, credentials=KEYS, now=NOW).ok


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exampleobject.txt",
        "ftp://examplebucket.oss-cn-hangzhou.aliyuncs.com/a",
        "https://",
        "https:///a",
        "https://[::1/a",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/?x-oss-date=1",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/%ff",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?b=%ff",
        "https://static.example.com/a",
        "http://127.0.0.1/examplebucket",
        "https://oss-cn-hangzhou.aliyuncs.com/",
    ],
)
def test_a_text_that_is_no_url_of_an_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidLink):
        verify("GET", text, credentials=KEYS, now=NOW)


@settings(deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"https://{HOST}/{text}"),
        st.text().map(lambda text: f"{LINK.url}x{text}"),
    )
)
def test_any_text_is_refused_or_found_wanting(text: str) -> None:
    try:
        found = verify("GET", text, credentials=TEMPORARY, headers=HEADERS, now=NOW, endpoint=HANGZHOU)
    except InvalidLink:
        return
    assert not found.ok
