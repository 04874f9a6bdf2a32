"""Requests that the official SDKs sign in their Authorization header are valid too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from signer import Verification, v4
from signer.signed_request import Fault
from signer.verification import verify_request
from tests.signer.sdks import signed_headers_of_oss2, signed_headers_of_v2
from tests.signer.signing import BUCKET, KEY, KEYS, NOW, TEMPORARY, LinkRequest, random_requests

REQUEST = LinkRequest(
    "PUT",
    credentials=TEMPORARY,
    query={"partNumber": "1", "uploadId": "0004B9894A22EXAMPLE", "acl": ""},
    headers={"Content-Type": "text/plain", "x-oss-meta-author": "a b", "Range": "bytes=0-9"},
    signed_headers=("host", "range"),
)


def verified(
    link_request: LinkRequest, headers: Mapping[str, str], now: float | None = None
) -> Verification:
    return verify_request(
        link_request.method,
        link_request.bucket,
        link_request.key,
        list(link_request.query.items()),
        headers,
        credentials=link_request.credentials,
        now=link_request.now if now is None else now,
    )


@pytest.mark.parametrize("sdk", [signed_headers_of_v2, signed_headers_of_oss2])
def test_every_request_of_an_sdk_is_valid(sdk: Callable[[LinkRequest], Mapping[str, str]]) -> None:
    for request in random_requests(100):
        headers = sdk(request)
        for now in (request.now - 900, request.now + 900):
            result = verified(request, headers, now)
            assert (result.faults, result.issued_at, result.expires_at) == (
                (),
                request.signed_at,
                None,
            )
        for now in (request.now - 901, request.now + 901):
            assert verified(request, headers, now).fault == "skewed"


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
        ("x-oss-content-sha256", "0" * 64, "bad_parameter", "x-oss-content-sha256"),
        ("x-oss-content-sha256", "", "bad_parameter", "x-oss-content-sha256"),
        ("x-oss-content-sha256", "unsigned-payload", "bad_parameter", "x-oss-content-sha256"),
        ("x-oss-content-sha256", None, "bad_parameter", "x-oss-content-sha256"),
        ("range", "bytes=0-", "signature_mismatch", "authorization"),
        ("range", None, "missing_header", "range"),
        ("host", None, "missing_header", "host"),
        ("authorization", None, "unsigned", None),
        ("authorization", "OSS LTAI5tEXAMPLE:c2ln", "unknown_access_key", "authorization"),
        (
            "authorization",
            "OSS4-HMAC-SHA256 Credential=STS.EXAMPLE",
            "bad_parameter",
            "authorization",
        ),
        ("authorization", "OSS4-HMAC-SHA256 ", "bad_parameter", "authorization"),
    ],
)
def test_an_altered_header_has_its_own_fault(
    name: str, value: str | None, fault: str, parameter: str | None
) -> None:
    sent = {header.lower(): string for header, string in signed_headers_of_v2(REQUEST).items()}
    headers = {header: string for header, string in sent.items() if header != "date"} | {
        name: value or ""
    }
    if value is None:
        del headers[name]

    result = verified(REQUEST, headers)

    assert (result.fault, result.parameter) == (fault, parameter)


def test_an_altered_part_of_the_authorization_is_refused() -> None:
    headers = {name.lower(): value for name, value in signed_headers_of_v2(REQUEST).items()}
    signed = headers["authorization"]

    for old, new, fault in (
        ("STS.EXAMPLE", "STS.OTHER", "unknown_access_key"),
        ("cn-hangzhou", "us-west-1", "signature_mismatch"),
        ("/oss/", "/oss2/", "wrong_product"),
        ("20260301", "20260302", "bad_parameter"),
        ("host;range", "host", "signature_mismatch"),
        ("Signature=", "Signature=0", "signature_mismatch"),
    ):
        assert old in signed
        assert (
            verified(REQUEST, {**headers, "authorization": signed.replace(old, new)}).fault == fault
        )


def test_requests_to_a_bucket_and_to_the_service_have_short_paths() -> None:
    for bucket, path in (("examplebucket", "/examplebucket/"), ("", "/")):
        result = verify_request(
            "GET", bucket, "", [], signed_headers_of_v2(REQUEST), credentials=TEMPORARY, now=NOW
        )
        assert result.canonical_request.split("\n")[:2] == ["GET", path]


def test_a_signature_for_another_product_is_refused_though_it_is_right() -> None:
    headers = signed_headers_of_v2(REQUEST._replace(product="s3"))

    assert verified(REQUEST, headers).faults == (Fault("wrong_product", "authorization"),)
    assert verified(REQUEST, signed_headers_of_v2(REQUEST._replace(product="oss-cloudbox"))).ok


def signed_by_date(signed_date: str, sent_date: str | None = None) -> dict[str, str]:
    """The headers of a request that has Date and not x-oss-date, with `signed_date` in its string to sign.

    OSS's Go SDK 3 sends such requests: it signs Date as it is sent (`oss/auth.go`, getSignedStrV4).
    """
    headers = {"content-type": "text/plain", "x-oss-content-sha256": v4.UNSIGNED_PAYLOAD}
    canonical = v4.canonical_request(
        "PUT", f"/{BUCKET}/{KEY}", "", v4.canonical_headers(headers), ""
    )
    scope = v4.scope("20260301", "cn-hangzhou")
    key = v4.signing_key(KEYS.access_key_secret, "20260301", "cn-hangzhou")
    signature = v4.signature(key, v4.string_to_sign(signed_date, scope, canonical))
    authorization = (
        f"OSS4-HMAC-SHA256 Credential={KEYS.access_key_id}/{scope},Signature={signature}"
    )
    return {**headers, "Date": sent_date or DATE, "Authorization": authorization}


DATE = "Sun, 01 Mar 2026 06:41:11 GMT"  # NOW
DATED = LinkRequest("PUT")


@pytest.mark.parametrize("signed_date", [DATE, "20260301T064111Z"])
def test_a_date_header_stands_for_a_missing_x_oss_date(signed_date: str) -> None:
    result = verified(DATED, signed_by_date(signed_date))

    assert result.faults == ()
    assert result.issued_at == DATED.signed_at
    assert verified(DATED, signed_by_date(signed_date), NOW + 900).ok
    assert verified(DATED, signed_by_date(signed_date), NOW + 901).fault == "skewed"
    assert verified(DATED, signed_by_date(signed_date), NOW - 901).fault == "skewed"


@pytest.mark.parametrize(
    ("date", "fault"),
    [
        ("Sun, 01 Mar 2026 06:41:12 GMT", "signature_mismatch"),
        ("Mon, 02 Mar 2026 06:41:11 GMT", "bad_parameter"),
        ("Sun, 01 Mar 2026 06:41:11 +0000", "bad_parameter"),
        ("Sun, 31 Feb 2026 06:41:11 GMT", "bad_parameter"),
        ("20260301T064111Z", "bad_parameter"),
        ("", "bad_parameter"),
    ],
)
def test_an_altered_date_header_is_refused(date: str, fault: str) -> None:
    assert verified(DATED, {**signed_by_date(DATE), "Date": date}).fault == fault


def test_x_oss_date_is_preferred_to_date() -> None:
    headers = {**signed_headers_of_v2(REQUEST), "Date": "Mon, 02 Mar 2026 06:41:11 GMT"}

    assert verified(REQUEST, headers).ok
