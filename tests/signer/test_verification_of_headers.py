"""Requests that the official SDKs sign in their Authorization header are valid too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, given, settings

from signer import Verification
from signer.verification import verify_request
from tests.signer.sdks import signed_headers_of_oss2, signed_headers_of_v2
from tests.signer.signing import BUCKET, KEY, LAST_SECOND, MAX_EXPIRES_IN, NOW, TEMPORARY, LinkRequest, link_requests

SDKS: dict[str, Callable[[LinkRequest], Mapping[str, str]]] = {
    "alibabacloud-oss-v2": signed_headers_of_v2,
    "oss2": signed_headers_of_oss2,
}
REQUEST = LinkRequest(
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


def verified(link_request: LinkRequest, headers: Mapping[str, str], now: float | None = None) -> Verification:
    return verify_request(
        link_request.method,
        link_request.bucket,
        link_request.key,
        list(link_request.query.items()),
        headers,
        credentials=link_request.credentials,
        now=link_request.now if now is None else now,
    )


@every_sdk
@settings(max_examples=80, deadline=None)
@given(link_requests())
def test_every_request_of_an_sdk_is_valid(
    sdk: Callable[[LinkRequest], Mapping[str, str]], link_request: LinkRequest
) -> None:
    assume(900 <= link_request.now <= LAST_SECOND - MAX_EXPIRES_IN - 900)
    headers = sdk(link_request)

    for now in (link_request.now - 900, link_request.now, link_request.now + 900):
        assert verified(link_request, headers, now).faults == ()
    for now in (link_request.now - 901, link_request.now + 901):
        assume(now >= 0)
        assert verified(link_request, headers, now).fault == "skewed"


@every_sdk
def test_a_request_with_an_authorization_header_has_no_expiry(sdk: Callable[[LinkRequest], Mapping[str, str]]) -> None:
    result = verified(REQUEST, sdk(REQUEST))

    assert result.ok
    assert result.issued_at == REQUEST.signed_at
    assert result.expires_at is None


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
def test_an_altered_header_has_its_own_fault(
    sdk: Callable[[LinkRequest], Mapping[str, str]], name: str, value: str | None, fault: str, parameter: str | None
) -> None:
    headers = {header.lower(): string for header, string in sdk(REQUEST).items()} | {name: value or ""}
    if value is None:
        del headers[name]

    result = verified(REQUEST, headers)

    assert (result.fault, result.parameter) == (fault, parameter)


@every_sdk
@pytest.mark.parametrize(
    "forged",
    [
        REQUEST._replace(method="GET"),
        REQUEST._replace(bucket="otherbucket"),
        REQUEST._replace(key="otherkey"),
        REQUEST._replace(query={**REQUEST.query, "partNumber": "2"}),
        REQUEST._replace(query={}),
        REQUEST._replace(credentials=TEMPORARY._replace(access_key_secret="othersecretEXAMPLE")),
    ],
)
def test_a_signature_is_valid_only_for_its_own_request(
    sdk: Callable[[LinkRequest], Mapping[str, str]], forged: LinkRequest
) -> None:
    assert verified(forged, sdk(REQUEST)).fault == "signature_mismatch"


@every_sdk
def test_an_altered_part_of_the_authorization_is_refused(sdk: Callable[[LinkRequest], Mapping[str, str]]) -> None:
    headers = {name.lower(): value for name, value in sdk(REQUEST).items()}
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
        assert verified(REQUEST, {**headers, "authorization": signed.replace(old, new)}).fault == fault


def test_requests_to_a_bucket_and_to_the_service_have_short_paths() -> None:
    for bucket, path in (("examplebucket", "/examplebucket/"), ("", "/")):
        result = verify_request("GET", bucket, "", [], signed_headers_of_v2(REQUEST), credentials=TEMPORARY, now=NOW)
        assert result.canonical_request.split("\n")[:2] == ["GET", path]
