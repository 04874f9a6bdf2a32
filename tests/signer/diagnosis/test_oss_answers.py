"""OSS's answers are understood: each code, each line of the canonical request, and answers that were pasted badly."""

from __future__ import annotations

import base64

import pytest

import signer
from local.oss.authorization import mismatch
from signer import v4
from signer.diagnosis.oss_error import compare_canonical_requests, read_error
from tests.signer.signing import sign

ISSUED = 1_764_000_000
CREDENTIALS = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
EXPECTED = (
    "GET\n/examplebucket/a%20b.txt\nx-oss-credential=c&x-oss-security-token=a%2Bb\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"
)


def presign() -> str:
    return sign(key="a b.txt", credentials=CREDENTIALS, now=ISSUED).url


def xml(code: str, message: str = "", ec: str = "") -> str:
    ec_element = f"<EC>{ec}</EC>" if ec else ""
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{ec_element}</Error>"


@pytest.mark.parametrize(
    ("code", "message", "ec", "finding"),
    [
        # The pages of docs/errors name what stands in the table of codes.
        ("NoSuchKey", "", "", "no_such_key"),
        ("InvalidArgument", "Invalid signing region in Authorization header.", "0002-00000226", "wrong_region"),
        ("InvalidArgument", "Invalid signing region in Authorization header.", "", "wrong_region"),
        ("AuthorizationHeaderMalformed", "", "", "wrong_region"),
        ("BucketDisable", "BucketDisable", "", "suspended"),
        ("InDebtOverdue", "Current user is indebted Overdue", "", "suspended"),
        ("InvalidPolicyDocument", "", "", "upload_refused"),
        ("AccessKeyIdAndSecurityTokenNotMatch", "The token does not match", "", "wrong_token"),
        ("InvalidAccessKeyId", "The OSSAccessKeyId is disabled.", "0002-00000904", "network_policy"),
        ("", "", "0048-00000203", "app_package_domain"),
        ("AccessDenied", "Invalid according to Policy: too long", "", "upload_refused"),
        ("AccessDenied", "You have no right to access this object.", "", "access_denied"),
        ("SomethingNew", "Whatever it is", "", "other_error"),
        ("AccessDenied", "You are denied by bucket referer policy.", "", "referer"),
        ("AccessDenied", "This request is forbidden by kms", "", "kms_denied"),
        ("KmsServiceNotEnabled", "KMS is not activated.", "0005-00000218", "kms_denied"),
        ("AccessDenied", "AccessDenied", "0005-00000201", "kms_denied"),
        ("AccessDenied", "Access denied by VPC endpoint policy.", "", "access_denied"),
        ("AccessDenied", "Access denied for requester pay bucket.", "0003-00000702", "other_error"),
        ("AccessDenied", "The source image is protected.", "", "other_error"),
        ("InvalidArgument", "The value: abc of parameter: w is invalid.", "0017-00000102", "other_error"),
        ("InvalidArgument", "The callback configuration is not json format.", "0007-00000002", "other_error"),
        ("InvalidArgument", "The value of response-expires is invalid.", "", "other_error"),
        ("InvalidArgument", "The value of x-oss-date is invalid.", "", "malformed_parameter"),
        ("InvalidArgument", "The value is invalid.", "0002-00000070", "malformed_parameter"),
        ("FileImmutable", "The object you specified is immutable.", "", "other_error"),
    ],
)
def test_each_code_of_oss_leads_to_its_finding_and_its_message_is_shown(
    code: str, message: str, ec: str, finding: str
) -> None:
    for url in (presign(), None):
        first = signer.explain(url, error_xml=xml(code, message, ec), now=ISSUED + 1).findings[0]
        assert first.code == finding
        assert code in first.evidence
        assert ec in first.evidence
        assert message.rstrip(".") in first.evidence
        assert ".." not in first.evidence


def test_who_denied_what_is_shown_in_the_words_that_are_known() -> None:
    said = {"AuthAction": "oss:GetObject", "NoPermissionType": "ExplicitDeny", "PolicyType": "SessionPolicy"}
    detail = "".join(f"<{name}>{value}</{name}>" for name, value in (*said.items(), ("AuthPrincipalOwnerId", "1032")))
    for change, shown in (
        ("", "oss:GetObject, ExplicitDeny, SessionPolicy."),
        ("SessionPolicy", "oss:GetObject, ExplicitDeny."),
    ):
        answer = xml("AccessDenied", "Whatever it is").replace("<Message", f"{detail}<Message")
        answer = answer.replace(change, "0123456789") if change else answer
        first = signer.explain(presign(), error_xml=answer, now=ISSUED + 1).findings[0]
        assert (first.code, first.certainty) == ("access_denied", "certain")
        assert f"AccessDeniedDetail: {shown}" in first.evidence
        assert "1032" not in first.evidence


@pytest.mark.parametrize(
    ("old", "new", "code", "sentence"),
    [
        ("GET", "HEAD", "wrong_method", "Line 1 (method): OSS received HEAD instead of GET."),
        ("a%20b", "a%2520b", "double_encoded", "Line 2 (path): OSS received it encoded twice"),
        ("/a%20b.txt", "/examplebucket/a%20b.txt", "bucket_twice", "OSS received it with the bucket twice"),
        ("a%20b.txt", "a%2Bb.txt", "changed_path", "character 19 on, OSS received 'Bb.txt' instead of '0b.txt'"),
        ("x-oss-credential", "utm=1&x-oss-credential", "added_parameters", "Line 3 (query): OSS received utm, which"),
        ("&x-oss-security-token=a%2Bb", "", "missing_token", "OSS did not receive x-oss-security-token of the link"),
        ("a%2Bb", "a%20b", "plus_decoded", "OSS received x-oss-security-token with spaces for plus signs"),
        ("host:h\n", "content-type:text/plain\nhost:h\n", "extra_header", "content-type was sent but not signed"),
        ("host:h\n", "", "missing_header", "host was signed but not sent"),
        ("host:h\n", "host:other\n", "wrong_host", "host was sent with another value"),
        ("UNSIGNED-PAYLOAD", "e3b0c442", "extra_header", "x-oss-content-sha256"),
    ],
)
def test_the_first_difference_is_described(old: str, new: str, code: str, sentence: str) -> None:
    first = compare_canonical_requests(EXPECTED.replace(old, new), EXPECTED)[0]
    assert first.code == code
    assert sentence in first.sentence


@pytest.mark.parametrize("signed", ["a%20b//c", "a%20b/./c", "a%20b/d/../c", "/a%20b/c", "a%20b/c/d/.."])
def test_a_path_whose_odd_segments_a_client_removed_is_a_rewritten_key(signed: str) -> None:
    expected = EXPECTED.replace("a%20b.txt", signed)
    received = EXPECTED.replace("a%20b.txt", "a%20b/c/" if signed.endswith("..") else "a%20b/c")
    assert [difference.code for difference in compare_canonical_requests(received, expected)] == ["rewritten_key"]


def test_differences_are_in_the_order_of_the_lines_and_equal_requests_have_none() -> None:
    assert compare_canonical_requests(EXPECTED, EXPECTED) == ()
    assert compare_canonical_requests("", EXPECTED) == ()
    other = EXPECTED.replace("GET", "PUT").replace("a%20b", "c").replace("host:h", "host:other")
    lines = [difference.line for difference in compare_canonical_requests(other, EXPECTED)]
    assert lines == ["verb", "path", "headers"]


def canonical(url: str, method: str = "GET") -> str:
    return signer.verify(method, url, credentials=CREDENTIALS, now=ISSUED).canonical_request


def test_an_answer_is_read_in_whatever_form_it_was_pasted() -> None:
    request = canonical(presign(), "HEAD")
    document = mismatch("STS.EXAMPLE", "0" * 64, "OSS4-HMAC-SHA256\nd\ns\nh", request).xml("R", "H").decode()
    pasted = [
        document,
        document.replace("\n", "\r\n"),
        document.partition("<OSSAccessKeyId>")[0] + document.partition("</SignatureProvided>")[2],
        base64.b64encode(document.encode()).decode(),
        "This XML file does not appear to have any style information associated with it.\n" + document,
    ]
    for error_xml in pasted:
        assert signer.explain(presign(), error_xml=error_xml, now=ISSUED).findings[0].code == "wrong_method"


def test_the_bytes_of_the_canonical_request_are_preferred_to_its_text() -> None:
    document = mismatch("k", "0" * 64, "a\nb\nc\nd", EXPECTED).xml("R", "H").decode()
    spoilt = document.replace("GET\n/example", "GET /example")
    assert read_error(spoilt).canonical_request == EXPECTED


def test_a_custom_domain_s_bucket_is_taken_from_the_answer() -> None:
    endpoint = signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    url = sign(key="a b.txt", credentials=CREDENTIALS, endpoint=endpoint, now=ISSUED).url
    _, path, query = canonical(presign()).split("\n")[:3]
    request = v4.canonical_request("HEAD", path, query, "", "")
    answer = mismatch("STS.EXAMPLE", "0" * 64, "a\nb\nc\nd", request).xml("R", "H").decode()
    explanation = signer.explain(url, error_xml=answer, now=ISSUED)
    assert explanation.bucket == "examplebucket"
    assert explanation.findings[0].code == "wrong_method"


def test_what_is_not_an_error_document_is_refused_with_what_was_expected() -> None:
    for error_xml in ("", "hello", "<html>403</html>", "aGVsbG8=", "HTTP/1.1 403 Forbidden\nx-oss-err: aGVsbG8=\n"):
        with pytest.raises(signer.InvalidLink, match="<Error>"):
            signer.explain(presign(), error_xml=error_xml)


def test_an_answer_about_the_signature_outranks_a_later_expiry() -> None:
    explanation = signer.explain(presign(), error_xml=xml("SignatureDoesNotMatch"), now=ISSUED + 10**7)
    assert [finding.code for finding in explanation.findings] == ["signature_mismatch", "expired"]
