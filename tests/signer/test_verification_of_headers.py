"""Requests that the official SDKs sign in their Authorization header hold too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, given, settings

from signer import Verification
from signer.verification import verify_request
from tests.signer.sdks import signed_headers_of_oss2, signed_headers_of_v2
from tests.signer.signing import BUCKET, KEY, LAST_SECOND, MAX_LIFE, NOW, TEMPORARY, Asked, requests

SDKS: dict[str, Callable[[Asked], Mapping[str, str]]] = {
    "alibabacloud-oss-v2": signed_headers_of_v2,
    "oss2": signed_headers_of_oss2,
}
ASKED = Asked(
    "PUT",
    BUCKET,
    KEY,
    TEMPORARY,
    "cn-hangzhou",
    "oss",
    600,
    {"partNumber": "1", "uploadId": "0004B9894A22EXAMPLE", "acl": ""},
    {"Content-Type": "text/plain", "x-oss-meta-author": "a b", "Range": "bytes=0-9"},
    ("host", "range"),
    NOW,
)

every_sdk = pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS)


def checked(asked: Asked, headers: Mapping[str, str], now: float | None = None) -> Verification:
    return verify_request(
        asked.method,
        asked.bucket,
        asked.key,
        list(asked.query.items()),
        headers,
        credentials=asked.credentials,
        now=asked.now if now is None else now,
    )


@every_sdk
@settings(max_examples=80, deadline=None)
@given(requests())
def test_every_request_of_an_sdk_holds(sdk: Callable[[Asked], Mapping[str, str]], asked: Asked) -> None:
    assume(900 <= asked.now <= LAST_SECOND - MAX_LIFE - 900)
    headers = sdk(asked)

    for now in (asked.now - 900, asked.now, asked.now + 900):
        assert checked(asked, headers, now).faults == ()
    for now in (asked.now - 901, asked.now + 901):
        assume(now >= 0)
        assert checked(asked, headers, now).fault == "skewed"


@every_sdk
def test_such_a_request_has_no_expiry(sdk: Callable[[Asked], Mapping[str, str]]) -> None:
    found = checked(ASKED, sdk(ASKED))

    assert found.ok
    assert found.issued_at == ASKED.moment
    assert found.expires_at is None


@every_sdk
@pytest.mark.parametrize(
    ("name", "value", "fault", "parameter"),
    [
        ("x-oss-date", "20260301T064112Z", "signature_mismatch", "authorization"),
        ("x-oss-date", "20260302T064111Z", "bad_parameter", "authorization"),
        ("x-oss-date", None, "bad_parameter", "x-oss-date"),
        ("x-oss-security-token", "CAISOTHER", "wrong_token", "x-oss-security-token"),
        ("x-oss-security-token", None, "missing_token", "x-oss-security-token"),
        ("x-oss-meta-author", "b", "signature_mismatch", "authorization"),
        ("x-oss-meta-author", None, "signature_mismatch", "authorization"),
        ("x-oss-meta-editor", "b", "signature_mismatch", "authorization"),
        ("content-type", "text/html", "signature_mismatch", "authorization"),
        ("x-oss-content-sha256", "0" * 64, "signature_mismatch", "authorization"),
        ("range", "bytes=0-", "signature_mismatch", "authorization"),
        ("range", None, "missing_header", "range"),
        ("host", None, "missing_header", "host"),
        ("authorization", None, "unsigned", None),
        ("authorization", "OSS LTAI5tEXAMPLE:c2ln", "unsigned", None),
        ("authorization", "OSS4-HMAC-SHA256 Credential=STS.EXAMPLE", "bad_parameter", "authorization"),
        ("authorization", "OSS4-HMAC-SHA256 ", "bad_parameter", "authorization"),
    ],
)
def test_an_altered_header_is_refused_for_what_it_is(
    sdk: Callable[[Asked], Mapping[str, str]], name: str, value: str | None, fault: str, parameter: str | None
) -> None:
    headers = {given.lower(): text for given, text in sdk(ASKED).items()} | {name: value or ""}
    if value is None:
        del headers[name]

    found = checked(ASKED, headers)

    assert (found.fault, found.parameter) == (fault, parameter)


@every_sdk
@pytest.mark.parametrize(
    "forged",
    [
        ASKED._replace(method="GET"),
        ASKED._replace(bucket="otherbucket"),
        ASKED._replace(key="otherkey"),
        ASKED._replace(query={**ASKED.query, "partNumber": "2"}),
        ASKED._replace(query={}),
        ASKED._replace(credentials=TEMPORARY._replace(access_key_secret="othersecretEXAMPLE")),
    ],
)
def test_a_signature_holds_for_its_own_request_alone(sdk: Callable[[Asked], Mapping[str, str]], forged: Asked) -> None:
    assert checked(forged, sdk(ASKED)).fault == "signature_mismatch"


@every_sdk
def test_the_parts_of_the_authorization_are_altered_in_vain(sdk: Callable[[Asked], Mapping[str, str]]) -> None:
    headers = {name.lower(): value for name, value in sdk(ASKED).items()}
    signed = headers["authorization"]

    for old, new, fault in (
        ("STS.EXAMPLE", "STS.OTHER", "unknown_access_key"),
        ("cn-hangzhou", "us-west-1", "signature_mismatch"),
        ("/oss/", "/oss2/", "signature_mismatch"),
        ("20260301", "20260302", "bad_parameter"),
        ("host;range", "host", "signature_mismatch"),
        ("Signature=", "Signature=0", "signature_mismatch"),
    ):
        assert old in signed
        assert checked(ASKED, {**headers, "authorization": signed.replace(old, new)}).fault == fault


def test_requests_of_a_bucket_and_of_the_service_have_short_paths() -> None:
    for bucket, path in (("examplebucket", "/examplebucket/"), ("", "/")):
        found = verify_request("GET", bucket, "", [], signed_headers_of_v2(ASKED), credentials=TEMPORARY, now=NOW)
        assert found.canonical_request.split("\n")[:2] == ["GET", path]
