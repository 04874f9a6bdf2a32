"""A signed link is valid; a link with any altered part is not, and the first fault says why."""

from __future__ import annotations

from datetime import datetime, timezone
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from signer import Credentials, Endpoint, InvalidLink, Verification, verify
from tests.signer.sdks import query_pairs, url_of_v2
from tests.signer.signing import (
    BUCKET,
    HANGZHOU,
    KEY,
    KEYS,
    NOW,
    TEMPORARY,
    VISIBLE,
    LinkRequest,
    random_request,
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
SCOPE = "20260301/cn-hangzhou/oss/aliyun_v4_request"


def replaced(url: str, **parts: str) -> str:
    return urlsplit(url)._replace(**parts).geturl()


def query_string(query: Query) -> str:
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()
    )


def verified(
    url: str = LINK.url,
    method: str = "GET",
    headers: dict[str, str] = HEADERS,
    credentials: Credentials = TEMPORARY,
    now: float = NOW,
    endpoint: Endpoint | None = None,
) -> Verification:
    return verify(method, url, credentials=credentials, headers=headers, now=now, endpoint=endpoint)


def altered(name: str, value: str | None) -> str:
    """The link with one parameter set, or removed if the value is None."""
    query = {**dict(query_pairs(LINK.url)), name: value}
    return replaced(LINK.url, query=query_string({n: v for n, v in query.items() if v is not None}))


def test_an_unaltered_link_is_valid() -> None:
    result = verified()

    assert result.ok
    assert (result.fault, result.parameter, result.faults, result.signature) == (
        None,
        None,
        (),
        True,
    )
    assert result.issued_at == datetime.fromtimestamp(NOW, timezone.utc)
    assert result.expires_at == LINK.expires_at
    assert result.access_key_id == "STS.EXAMPLE"
    assert result.string_to_sign.startswith(f"OSS4-HMAC-SHA256\n20260301T064111Z\n{SCOPE}\n")


def test_every_link_is_valid_from_fifteen_minutes_before_its_signing_time_until_its_expiry() -> (
    None
):
    for request in map(random_request, map(Random, range(100))):
        link = request.link()
        for now in (request.now - 900, request.now + request.expires_in - 1):
            result = verify(
                request.method,
                link.url,
                credentials=request.credentials,
                headers=link.headers,
                now=now,
            )
            assert (result.faults, result.expires_at) == ((), link.expires_at)


def rescoped(old: str, new: str) -> str:
    """The link with another credential."""
    return altered(CREDENTIAL, f"STS.EXAMPLE/{SCOPE}".replace(old, new))


CREDENTIAL = "x-oss-credential"
NAMES = "x-oss-additional-headers"
PAYLOAD = "x-oss-content-sha256"
MISMATCH, BAD_SCOPE = ("signature_mismatch", "x-oss-signature"), ("bad_parameter", CREDENTIAL)
ALTERED: list[tuple[str, str, str | None, Verification]] = [
    ("the object", *MISMATCH, verified(replaced(LINK.url, path=f"/{KEY}2"))),
    ("the bucket", *MISMATCH, verified(LINK.url.replace(BUCKET, "otherbucket"))),
    ("the host", *MISMATCH, verified(LINK.url.replace(".oss-cn", ".oss-us"))),
    ("the method", *MISMATCH, verified(method="HEAD")),
    ("a parameter", *MISMATCH, verified(altered("versionId", "v2"))),
    ("a parameter, removed", *MISMATCH, verified(altered("versionId", None))),
    ("an empty parameter, added", *MISMATCH, verified(altered("acl", ""))),
    ("the signing time", *MISMATCH, verified(altered("x-oss-date", "20260301T064112Z"))),
    ("the day of signing", *BAD_SCOPE, verified(altered("x-oss-date", "20260302T064111Z"))),
    (
        "the time's form",
        "bad_parameter",
        "x-oss-date",
        verified(altered("x-oss-date", "2026-03-01T06:41:11Z")),
    ),
    (
        "a day that does not exist",
        "bad_parameter",
        "x-oss-date",
        verified(altered("x-oss-date", "20260230T064111Z")),
    ),
    ("the expiry", *MISMATCH, verified(altered("x-oss-expires", "601"))),
    (
        "an expiry of zero",
        "expires_out_of_range",
        "x-oss-expires",
        verified(altered("x-oss-expires", "0")),
    ),
    (
        "an expiry below zero",
        "expires_out_of_range",
        "x-oss-expires",
        verified(altered("x-oss-expires", "-5")),
    ),
    (
        "an expiry too long",
        "expires_out_of_range",
        "x-oss-expires",
        verified(altered("x-oss-expires", "604801")),
    ),
    (
        "an expiry that is not an integer",
        "bad_parameter",
        "x-oss-expires",
        verified(altered("x-oss-expires", "6e2")),
    ),
    ("the key id", "unknown_access_key", CREDENTIAL, verified(rescoped("STS.EXAMPLE", "STS.X"))),
    ("the region", *MISMATCH, verified(rescoped("cn-hangzhou", "us-west-1"))),
    (
        "the region that is known",
        "wrong_scope",
        CREDENTIAL,
        verified(endpoint=HANGZHOU._replace(region="us-west-1")),
    ),
    ("the product", "wrong_product", CREDENTIAL, verified(rescoped("/oss/", "/oss2/"))),
    ("the scope's last word", *BAD_SCOPE, verified(rescoped("aliyun_v4", "aws4"))),
    ("a scope too long", *BAD_SCOPE, verified(rescoped("_request", "_request/more"))),
    ("a scope too short", *BAD_SCOPE, verified(altered(CREDENTIAL, "STS.EXAMPLE"))),
    (
        "the token",
        "wrong_token",
        "x-oss-security-token",
        verified(altered("x-oss-security-token", "CAISOTHER")),
    ),
    (
        "the token, removed",
        "missing_token",
        "x-oss-security-token",
        verified(altered("x-oss-security-token", None)),
    ),
    (
        "the version",
        "bad_parameter",
        "x-oss-signature-version",
        verified(altered("x-oss-signature-version", "OSS2")),
    ),
    ("the signature", *MISMATCH, verified(altered("x-oss-signature", "0" * 64))),
    ("the names of headers", *MISMATCH, verified(altered(NAMES, "host"))),
    ("the names of headers, removed", *MISMATCH, verified(altered(NAMES, None))),
    ("the names of headers, emptied", "bad_parameter", NAMES, verified(altered(NAMES, ""))),
    ("an additional header", *MISMATCH, verified(headers={**HEADERS, "Range": "bytes=0-"})),
    (
        "an additional header, removed",
        "missing_header",
        "range",
        verified(headers={"Content-Type": "text/plain"}),
    ),
    ("a header", *MISMATCH, verified(headers={**HEADERS, "Content-Type": "text/html"})),
    ("a header, added", *MISMATCH, verified(headers={**HEADERS, "x-oss-meta-a": "b"})),
    (
        "the secret",
        *MISMATCH,
        verified(credentials=TEMPORARY._replace(access_key_secret="othersecretEXAMPLE")),
    ),
    ("the credentials", "unknown_access_key", CREDENTIAL, verified(credentials=KEYS)),
    (
        "their expiry",
        "token_expired",
        "x-oss-security-token",
        verified(credentials=TEMPORARY._replace(expires_at=NOW)),
    ),
    ("the clock, behind", "skewed", "x-oss-date", verified(now=NOW - 901)),
    ("the clock, ahead", "expired", "x-oss-expires", verified(now=NOW + 600)),
    *(
        (f"{name}, removed", "bad_parameter", name, verified(altered(name, None)))
        for name in (
            "x-oss-credential",
            "x-oss-date",
            "x-oss-expires",
            "x-oss-signature-version",
            "x-oss-signature",
        )
    ),
]


@pytest.mark.parametrize(
    ("fault", "parameter", "result"), [row[1:] for row in ALTERED], ids=[row[0] for row in ALTERED]
)
def test_an_altered_part_has_its_own_fault(
    fault: str, parameter: str | None, result: Verification
) -> None:
    assert not result.ok
    assert (result.fault, result.parameter) == (fault, parameter)


@pytest.mark.parametrize(
    ("changes", "fault", "parameter"),
    [
        *(
            ({"product": product}, "wrong_product", "x-oss-credential")
            for product in ("oss2", "s3", "OSS")
        ),
        ({"region": "us-west-1"}, "wrong_scope", "x-oss-credential"),
        *(
            ({"headers": {PAYLOAD: value}}, "bad_parameter", PAYLOAD)
            for value in ("0" * 64, "unsigned-payload")
        ),
    ],
)
def test_a_link_that_is_signed_for_what_oss_refuses_has_this_fault_alone(
    changes: dict[str, Any], fault: str, parameter: str
) -> None:
    link_request = LinkRequest("PUT", **changes)
    url = url_of_v2(link_request).replace("oss-us-west-1", "oss-cn-hangzhou")
    result = verify(
        "PUT", url, credentials=KEYS, headers=link_request.headers, now=NOW, endpoint=HANGZHOU
    )

    assert [(found.code, found.parameter) for found in result.faults] == [(fault, parameter)]


def test_no_character_of_any_part_of_a_link_can_be_altered() -> None:
    for number in range(300):
        random = Random(f"altered {number}")
        request = random_request(random)
        link = request.link()
        pairs = dict(query_pairs(link.url))
        name = random.choice([*sorted(pairs), "the key"])
        value = request.key if name == "the key" else pairs[name]
        position = random.randrange(max(len(value), 1))
        letter = random.choice([*VISIBLE.replace("/", ""), "\0", "é"])
        forged = value[:position] + letter + value[position + 1 :]
        is_key = name == "the key"
        changed = (
            {"path": f"/{quote(forged)}"}
            if is_key
            else {"query": query_string({**pairs, name: forged})}
        )
        url, keys = replaced(link.url, **changed), request.credentials
        result = verify(
            request.method, url, credentials=keys, headers=link.headers, now=request.now
        )
        assert result.ok == (forged == value), number


def test_a_duplicate_parameter_is_refused() -> None:
    for name, value in query_pairs(LINK.url):
        for second in (value, "604800"):
            assert not verified(f"{LINK.url}&{name}={quote(second, safe='')}").ok
            assert not verified(LINK.url.replace("?", f"?{name}={quote(second, safe='')}&")).ok


def test_neither_the_order_of_the_query_nor_the_form_of_an_encoding_matters() -> None:
    assert verified(
        replaced(LINK.url, query=query_string(dict(reversed(query_pairs(LINK.url)))))
    ).ok
    link = sign(key="a/b c?.txt")
    assert verify(
        "GET", link.url.replace("/a/b", "/a%2fb").replace("%3F", "%3f"), credentials=KEYS, now=NOW
    ).ok


def test_faults_are_in_the_order_in_which_oss_checks() -> None:
    result = verified(altered("x-oss-security-token", "CAISOTHER"), headers={}, now=NOW + 600)

    assert [fault.code for fault in result.faults] == [
        "wrong_token",
        "expired",
        "missing_header",
        "signature_mismatch",
    ]
    assert not result.signature
    for now in (NOW + 600, NOW - 901):
        assert (verified(now=now).signature, len(verified(now=now).faults)) == (True, 1)


def test_a_url_without_a_signature_is_unsigned() -> None:
    assert verified(replaced(LINK.url, query="versionId=v1")).fault == "unsigned"
    assert verified(replaced(LINK.url, query="")).fault == "unsigned"


@pytest.mark.parametrize(
    "host", ["static.example.com", "127.0.0.1:9001", "localhost:9001", "[::1]:9001"]
)
def test_a_bucket_that_is_not_in_the_host_is_an_argument(host: str) -> None:
    link = sign(endpoint=Endpoint.custom_domain(f"https://{host}", "cn-hangzhou"))

    assert verify("GET", link.url, credentials=KEYS, bucket=BUCKET, now=NOW).ok
    assert not verify("GET", link.url, credentials=KEYS, bucket="otherbucket", now=NOW).ok


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9001", "http://localhost:9001", "http://[::1]:9001"]
)
def test_a_bucket_in_the_path_is_read_from_there(address: str) -> None:
    link = sign(endpoint=Endpoint.path_style(address, "cn-hangzhou"), signed_headers=["host"])

    assert verify("GET", link.url, credentials=KEYS, now=NOW).ok


OSS = "examplebucket.oss-cn-hangzhou.aliyuncs.com"


@pytest.mark.parametrize(
    "string",
    [
        "",
        "exampleobject.txt",
        f"ftp://{OSS}/a",
        "https://",
        "https:///a",
        "https://[::1/a",
        *(f"https://{OSS}{end}" for end in ("", "/?x-oss-date=1", "/%ff", "/a?b=%ff")),
        "https://static.example.com/a",
        "http://127.0.0.1/examplebucket",
        "https://oss-cn-hangzhou.aliyuncs.com/",
    ],
)
def test_a_string_that_does_not_name_an_object_is_refused(string: str) -> None:
    with pytest.raises(InvalidLink):
        verify("GET", string, credentials=KEYS, now=NOW)
