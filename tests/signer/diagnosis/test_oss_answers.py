"""What OSS answered is understood: its codes, its canonical request line by line, answers that were pasted badly."""

from __future__ import annotations

import base64
from random import Random

import pytest

import signer
from local.oss.authorization import mismatch
from signer import v4
from signer.diagnosis.oss_error import differences, read_error
from tests.signer.diagnosis.breakages import good

ISSUED = 1_764_000_000
KEYS = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
OURS = "GET\n/examplebucket/a%20b.txt\nx-oss-credential=c&x-oss-security-token=a%2Bb\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"


def a_link(**more: object) -> str:
    made = signer.presign(
        "GET",
        "examplebucket",
        "a b.txt",
        credentials=KEYS,
        endpoint=signer.Endpoint.public("cn-hangzhou"),
        now=ISSUED,
        **more,  # type: ignore[arg-type]
    )
    return made.url


def xml(code: str, message: str = "", ec: str = "") -> str:
    end = f"<EC>{ec}</EC>" if ec else ""
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{end}</Error>"


@pytest.mark.parametrize(
    ("code", "message", "ec", "finding"),
    [
        ("SignatureDoesNotMatch", "", "0002-00000040", "signature_mismatch"),
        ("AccessDenied", "Request has expired.", "", "expired"),
        ("InvalidAccessKeyId", "", "", "unknown_access_key"),
        ("SecurityTokenExpired", "", "", "token_expired"),
        ("InvalidSecurityToken", "", "", "wrong_token"),
        ("RequestTimeTooSkewed", "", "", "date_in_future"),
        ("AuthorizationQueryParametersError", "", "0002-00000232", "expires_out_of_range"),
        ("InvalidArgument", "", "0002-00000232", "expires_out_of_range"),
        ("AuthorizationQueryParametersError", "", "0002-00000219", "truncated"),
        ("AuthorizationQueryParametersError", "", "0002-00000076", "missing_header"),
        ("NoSuchKey", "", "", "no_such_key"),
        ("NoSuchBucket", "", "", "no_such_bucket"),
        ("NoSuchVersion", "", "", "no_such_version"),
        ("FileAlreadyExists", "", "", "already_exists"),
        ("PublicEndpointForbidden", "", "", "public_endpoint_forbidden"),
        ("", "", "0048-00000401", "public_endpoint_forbidden"),
        ("InvalidObjectState", "", "", "archived"),
        ("PreconditionFailed", "", "", "precondition_failed"),
        ("InvalidRange", "", "", "range_outside"),
        ("EntityTooLarge", "", "", "upload_refused"),
        ("InvalidPolicyDocument", "", "", "upload_refused"),
        ("AccessDenied", "Invalid according to Policy: too long", "", "upload_refused"),
        ("AccessDenied", "You have no right to access this object.", "", "access_denied"),
        ("SomethingNew", "Whatever it is", "", "other_error"),
    ],
)
def test_each_of_oss_s_codes_is_known(code: str, message: str, ec: str, finding: str) -> None:
    first = signer.explain(a_link(), error_xml=xml(code, message, ec), now=ISSUED + 1).findings[0]
    assert first.code == finding
    assert code in first.evidence
    assert ec in first.evidence


def test_an_unknown_code_is_quoted() -> None:
    told = signer.explain(a_link(), error_xml=xml("SomethingNew", "Whatever it is"), now=ISSUED + 1)
    assert "SomethingNew: Whatever it is" in told.findings[0].evidence


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("GET", "HEAD", "wrong_method", "Line 1, the verb: OSS saw HEAD, not GET."),
        ("a%20b", "a%2520b", "double_encoded", "Line 2, the path: it reached OSS encoded twice"),
        ("/a%20b.txt", "/examplebucket/a%20b.txt", "bucket_twice", "with the bucket in it twice"),
        ("a%20b.txt", "a%2Bb.txt", "changed_path", "from character 19 on OSS saw 'Bb.txt' where the link has '0b.txt'"),
        ("x-oss-credential", "utm=1&x-oss-credential", "added_parameters", "Line 3, the query: OSS saw utm, which"),
        ("&x-oss-security-token=a%2Bb", "", "missing_token", "x-oss-security-token of the link did not reach OSS"),
        ("a%2Bb", "a%20b", "plus_decoded", "reached OSS with blanks for plus signs"),
        ("host:h\n", "content-type:text/plain\nhost:h\n", "extra_header", "content-type was sent, and it is signed"),
        ("host:h\n", "", "missing_header", "host was signed but not sent"),
        ("host:h\n", "host:other\n", "wrong_host", "host was sent with another value"),
        ("UNSIGNED-PAYLOAD", "e3b0c442", "extra_header", "x-oss-content-sha256"),
    ],
)
def test_the_first_differing_line_is_named_in_words(old: str, new: str, code: str, words: str) -> None:
    first = differences(OURS.replace(old, new), OURS)[0]
    assert first.code == code
    assert words in first.sentence


def test_equal_requests_have_no_difference() -> None:
    assert differences(OURS, OURS) == ()
    assert differences("", OURS) == ()


def test_differences_are_told_in_the_order_of_the_lines() -> None:
    other = OURS.replace("GET", "PUT").replace("a%20b", "c").replace("host:h", "host:other")
    assert [one.line for one in differences(other, OURS)] == ["verb", "path", "headers"]


def canonical(url: str, method: str = "GET") -> str:
    return signer.verify(method, url, credentials=KEYS, now=ISSUED).canonical_request


def test_an_answer_is_read_however_it_was_pasted() -> None:
    request = canonical(a_link(), "HEAD")
    whole = mismatch("STS.EXAMPLE", "0" * 64, "OSS4-HMAC-SHA256\nd\ns\nh", request).xml("R", "H").decode()
    pasted = [
        whole,
        whole.replace("\n", "\r\n"),
        whole.partition("<OSSAccessKeyId>")[0] + whole.partition("</SignatureProvided>")[2],
        base64.b64encode(whole.encode()).decode(),
        "This XML file does not appear to have any style information associated with it.\n" + whole,
    ]
    for text in pasted:
        assert signer.explain(a_link(), error_xml=text, now=ISSUED).findings[0].code == "wrong_method"


def test_the_bytes_of_the_canonical_request_count_more_than_its_text() -> None:
    text = mismatch("k", "0" * 64, "a\nb\nc\nd", OURS).xml("R", "H").decode()
    spoilt = text.replace("GET\n/example", "GET /example")
    assert read_error(spoilt).canonical_request == OURS


def test_a_custom_domain_s_bucket_is_taken_from_the_answer() -> None:
    endpoint = signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    url = signer.presign("GET", "examplebucket", "a b.txt", credentials=KEYS, endpoint=endpoint, now=ISSUED).url
    _, path, query = canonical(a_link()).split("\n")[:3]
    request = v4.canonical_request("HEAD", path, query, "", "")
    answer = mismatch("STS.EXAMPLE", "0" * 64, "a\nb\nc\nd", request).xml("R", "H").decode()
    told = signer.explain(url, error_xml=answer, now=ISSUED)
    assert told.bucket == "examplebucket"
    assert told.findings[0].code == "wrong_method"


def test_what_is_no_answer_is_refused_with_what_to_give() -> None:
    for text in ("", "hello", "<html>403</html>", "aGVsbG8="):
        with pytest.raises(signer.InvalidLink, match="<Error>"):
            signer.explain(a_link(), error_xml=text)


def test_an_old_answer_about_the_signature_outranks_an_expiry_since_then() -> None:
    use = good(Random(3), method="GET")
    other = use._replace(credentials=use.credentials._replace(access_key_secret="anotherSecretEXAMPLE"))
    told = signer.explain(
        use.url, error_xml=other.answer(), now=use.now + 10**7, bucket=use.bucket, headers=use.headers, inside=True
    )
    assert [finding.code for finding in told.findings] == ["signature_mismatch", "expired"]
