"""What is signed with V1 is valid, with any altered part it is not, and the first fault says why."""

from __future__ import annotations

import json
import re
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote

import oss2
import pytest
from alibabacloud_oss_v2 import operations
from alibabacloud_oss_v2.signer.v1 import SignerV1

from signer import Credentials, Verification, explain, v1, verify
from signer.verification import verify_request
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import BUCKET, KEY, KEYS, NOW, TEMPORARY, LinkRequest, random_requests

OSS2_SUB_RESOURCES = oss2.auth.ProviderAuth._subresource_key_set
HEADERS = {
    "Content-Type": "image/png",
    "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "X-Oss-Meta-Author": "a b",
}
QUERY = {"response-content-type": "a+b c", "acl": ""}
REQUEST = LinkRequest("PUT", credentials=TEMPORARY, query=QUERY, headers=HEADERS)
LINK = v1_url_of_oss2(REQUEST)


def verified(
    url: str = LINK,
    method: str = "PUT",
    headers: dict[str, str] = HEADERS,
    credentials: Credentials = TEMPORARY,
    now: int = NOW,
) -> Verification:
    return verify(method, url, credentials=credentials, headers=headers, now=now)


def altered(name: str, value: str | None) -> str:
    """The link with another raw value of a parameter, or without it if the value is None."""
    return re.sub(
        rf"&?\b{name}(?:=[^&]*)?(?=&|$)", "" if value is None else f"&{name}={value}", LINK
    )


# --- the specification, step by step ---------------------------------------------------------------------------------

SECRET = "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV"  # of the documentation's examples


def test_the_documented_request_signed_in_its_header() -> None:
    headers = {
        "content-md5": "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=",
        "content-type": "text/html",
        "x-oss-meta-author": "foo@bar.com",
        "x-oss-magic": "abracadabra",
        "host": "oss-example.oss-cn-hangzhou.aliyuncs.com",
    }
    resource = v1.canonicalized_resource("oss-example", "nelson", [])
    string = v1.string_to_sign("PUT", headers, "Thu, 17 Nov 2005 18:49:58 GMT", resource)
    assert string == (
        "PUT\nODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=\ntext/html\nThu, 17 Nov 2005 18:49:58 GMT\n"
        "x-oss-magic:abracadabra\nx-oss-meta-author:foo@bar.com\n/oss-example/nelson"
    )
    assert v1.signature(SECRET, string) == "26NBxoKdsyly4EDv6inkoDft/yA="


def test_the_documented_url() -> None:
    string = v1.string_to_sign(
        "GET", {}, "1141889120", v1.canonicalized_resource("oss-example", "oss-api.pdf", [])
    )
    assert string == "GET\n\n\n1141889120\n/oss-example/oss-api.pdf"
    assert v1.signature(SECRET, string) == "EwaNTn1erJGkimiJ9WmXgwnANLc="


def test_the_sub_resources_are_those_of_the_sdks() -> None:
    """alibabacloud-oss-v2 signs what each operation names, too."""
    of_v2 = set(SignerV1._subresource_key_set)
    for path in Path(str(operations.__file__)).parent.glob("*.py"):
        for pair in re.findall(r"'sub-resource': \[(.*?)\]", path.read_text()):
            of_v2.update(re.findall(r"'([^']+)'", pair))
    assert of_v2 | OSS2_SUB_RESOURCES == v1.SUB_RESOURCES


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([("uploadId", "1"), ("acl", ""), ("utm_source", "x")], "/b/k?acl&uploadId=1"),
        ([("acl", "z"), ("acl", ""), ("acl", "a")], "/b/k?acl=z&acl&acl=a"),
        ([("Expires", "1"), ("Signature", "x"), ("OSSAccessKeyId", "y")], "/b/k"),
    ],
)
def test_the_resource_has_the_sub_resources_by_name(
    query: list[tuple[str, str]], expected: str
) -> None:
    assert v1.canonicalized_resource("b", "k", query) == expected
    assert v1.canonicalized_resource("", "", query) == expected.replace("/b/k", "/")


# --- the SDKs --------------------------------------------------------------------------------------------------------


def test_links_of_oss2_are_valid_until_they_expire() -> None:
    for drawn in random_requests(150):
        request = drawn._replace(now=NOW)
        ends, (method, keys) = NOW + request.expires_in, (request.method, request.credentials)
        url, headers = v1_url_of_oss2(request), dict(request.headers)
        for url_form in (url, url.replace("%20", "+") if " " not in request.key else url):
            result = verified(url_form, method, headers, keys, ends - 1)
            assert (result.faults, result.access_key_id) == ((), keys.access_key_id), request
        assert result.expires_at is not None
        assert result.expires_at.timestamp() == ends
        assert [fault.code for fault in verified(url, method, headers, keys, ends).faults] == [
            "expired"
        ]
        assert (
            verified(url, method, {**headers, "x-oss-a": "b"}, keys, ends - 1).fault
            == "signature_mismatch"
        )


def test_a_link_of_oss2_is_valid_as_its_client_makes_it() -> None:
    bucket = oss2.Bucket(oss2.Auth(*KEYS[:2]), "https://oss-cn-hangzhou.aliyuncs.com", BUCKET)
    for slash_safe in (False, True):
        url = bucket.sign_url(
            "GET", "dir/a b+ü%2F?.txt", 600, params={"versionId": "a+b"}, slash_safe=slash_safe
        )
        assert verify("GET", url, credentials=KEYS).ok


# --- what is altered -------------------------------------------------------------------------------------------------

MISMATCH = ("signature_mismatch", "Signature")
ENDED = TEMPORARY._replace(expires_at=NOW)
TOKEN = quote(TEMPORARY.security_token or "", safe="")
ALTERED: dict[str, tuple[str, str, Verification]] = {
    "the object": (*MISMATCH, verified(LINK.replace(KEY, "other"))),
    "the bucket": (*MISMATCH, verified(LINK.replace(BUCKET, "otherbucket"))),
    "the method": (*MISMATCH, verified(method="GET")),
    "the secret": (*MISMATCH, verified(credentials=TEMPORARY._replace(access_key_secret="other"))),
    "a sub-resource": (*MISMATCH, verified(altered("response-content-type", "b"))),
    "a sub-resource, removed": (*MISMATCH, verified(altered("acl", None))),
    "a sub-resource, repeated": (*MISMATCH, verified(LINK + "&acl")),
    "a content type": (*MISMATCH, verified(headers={**HEADERS, "Content-Type": "a/b"})),
    "a content MD5, removed": (
        *MISMATCH,
        verified(headers={n: v for n, v in HEADERS.items() if n != "Content-MD5"}),
    ),
    "a header of OSS, added": (*MISMATCH, verified(headers={**HEADERS, "x-oss-acl": "private"})),
    "the expiry": (*MISMATCH, verified(altered("Expires", str(NOW + 601)))),
    "the expiry, removed": ("bad_parameter", "Expires", verified(altered("Expires", None))),
    "the expiry, no time": ("bad_parameter", "Expires", verified(altered("Expires", "10m"))),
    "the expiry, repeated": ("bad_parameter", "Expires", verified(LINK + f"&Expires={NOW + 600}")),
    "the signature, removed": ("bad_parameter", "Signature", verified(altered("Signature", None))),
    "the signature, empty": ("bad_parameter", "Signature", verified(altered("Signature", ""))),
    "the signature, repeated": ("bad_parameter", "Signature", verified(LINK + "&Signature=a")),
    "the access key": (
        "unknown_access_key",
        "OSSAccessKeyId",
        verified(altered("OSSAccessKeyId", "LTAI5tOTHER")),
    ),
    "the access key, removed": (
        "bad_parameter",
        "OSSAccessKeyId",
        verified(altered("OSSAccessKeyId", None)),
    ),
    "the token": ("wrong_token", "security-token", verified(altered("security-token", "other"))),
    "the token, removed": (
        "missing_token",
        "security-token",
        verified(altered("security-token", None)),
    ),
    "the credentials' end": ("token_expired", "security-token", verified(credentials=ENDED)),
    "the clock": ("expired", "Expires", verified(now=NOW + 600)),
}


def test_an_unaltered_link_is_valid() -> None:
    result = verified()
    assert result.ok
    assert result.signature
    assert (result.issued_at, result.canonical_request) == (None, "")
    assert TOKEN in LINK
    assert verified(f"{LINK}&utm_source=mail&list-type=2&Foo").ok  # no sub-resources
    assert "CAIS" not in repr(result)


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_part_has_its_own_fault(what: str) -> None:
    code, parameter, result = ALTERED[what]
    assert (result.fault, result.parameter) == (code, parameter)


@pytest.mark.parametrize(
    "query", ["Expires=1", "Signature=a", "security-token=CAIS", "x-oss-traffic-limit=1"]
)
def test_a_part_of_a_signature_alone_is_unsigned(query: str) -> None:
    assert (
        verified(f"https://{BUCKET}.oss-cn-hangzhou.aliyuncs.com/{KEY}?{query}").fault == "unsigned"
    )


# --- in the Authorization header -------------------------------------------------------------------------------------


def at(seconds: int) -> str:
    return formatdate(NOW + seconds, usegmt=True)


def sent_by_header(times: dict[str, str], changes: dict[str, str | None]) -> Verification:
    """Of a request signed with these times, of which x-oss-date counts, and then changed (None: without the header)."""
    headers = {
        "x-oss-meta-author": "a b",
        "x-oss-security-token": TEMPORARY.security_token or "",
        **times,
    }
    string = v1.string_to_sign(
        "PUT", headers, [*times.values()][-1], v1.canonicalized_resource(BUCKET, KEY, [])
    )
    signed = v1.signature(TEMPORARY.access_key_secret, string)
    sent = {**headers, "authorization": f"OSS {TEMPORARY.access_key_id}:{signed}", **changes}
    given = {name: value for name, value in sent.items() if value is not None}
    return verify_request("PUT", BUCKET, KEY, [], given, credentials=TEMPORARY, now=NOW)


@pytest.mark.parametrize(
    "times",
    [{"date": at(0)}, {"date": at(-901), "x-oss-date": at(0)}, {"x-oss-date": "20260301T064111Z"}],
)
def test_a_date_or_an_x_oss_date_is_the_time_of_a_header(times: dict[str, str]) -> None:
    result = sent_by_header(times, {})
    assert result.faults == ()
    assert (result.issued_at, result.expires_at) == (REQUEST.signed_at, None)


@pytest.mark.parametrize("seconds", [-901, -900, 900, 901])
def test_a_header_is_valid_for_15_minutes_before_and_after_its_time(seconds: int) -> None:
    result = sent_by_header({"date": at(seconds)}, {})
    assert (result.fault, result.parameter) == (
        ("skewed", "date") if abs(seconds) > 900 else (None, None)
    )


@pytest.mark.parametrize(
    ("name", "value", "fault", "parameter"),
    [
        ("date", at(1), "signature_mismatch", "authorization"),
        ("x-oss-date", at(0), "signature_mismatch", "authorization"),
        ("date", None, "bad_parameter", "date"),
        ("date", "now", "bad_parameter", "date"),
        ("x-oss-meta-author", None, "signature_mismatch", "authorization"),
        ("x-oss-security-token", "CAISOTHER", "wrong_token", "x-oss-security-token"),
        ("x-oss-security-token", None, "missing_token", "x-oss-security-token"),
        ("authorization", "OSS STS.EXAMPLE", "bad_parameter", "authorization"),
        ("authorization", "OSS  :c2ln", "bad_parameter", "authorization"),
        ("authorization", "OSS LTAI5tOTHER:c2ln", "unknown_access_key", "authorization"),
    ],
)
def test_an_altered_header_has_its_own_fault(
    name: str, value: str | None, fault: str, parameter: str
) -> None:
    result = sent_by_header({"date": at(0)}, {name: value})
    assert (result.fault, result.parameter) == (fault, parameter)


# --- secrecy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", [None, TEMPORARY, KEYS])
def test_an_explanation_shows_neither_the_signature_nor_the_token(
    credentials: Credentials | None,
) -> None:
    signature = unquote(LINK.partition("Signature=")[2].partition("&")[0])
    for url in (LINK, LINK.replace(KEY, "a"), LINK[:-3], LINK.replace("&", "&amp;")):
        explanation = explain(url, method="PUT", headers=HEADERS, credentials=credentials, now=NOW)
        shown = f"{explanation}{explanation!r}{json.dumps(explanation.to_json())}"
        assert not {secret for secret in (signature[:12], "CAIS") if secret in shown}
