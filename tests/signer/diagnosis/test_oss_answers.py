"""OSS's answers are understood: each code, each line of what OSS signed, a refused signature, and bad pastes."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest

import signer
from signer import v1, v4
from signer.diagnosis import Explanation
from signer.diagnosis.canonical_request import compare_canonical_requests
from signer.diagnosis.server_error import read_error
from signer.emulator.oss.authorization import mismatch
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import KEYS, LinkRequest, sign, sign_without_token

ISSUED = 1_764_000_000
CREDENTIALS = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
QUERY = "x-oss-credential=c&x-oss-security-token=a%2Bb"
EXPECTED = f"GET\n/examplebucket/a%20b.txt\n{QUERY}\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"


LINK = sign(key="a b.txt", credentials=CREDENTIALS, now=ISSUED).url
HOST = "examplebucket.oss-cn-hangzhou.aliyuncs.com"
LIMITED = {"x-oss-ac-source-ip": "203.0.113.7"}
MESSAGE = "The request signature we calculated does not match the signature you provided."


def presign(method: str = "GET", **options: Any) -> str:
    return sign(method, key="a.txt", now=ISSUED, **options).url


def xml(code: str, message: str = "", ec: str = "") -> str:
    ec_element = f"<EC>{ec}</EC>" if ec else ""
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{ec_element}</Error>"


@pytest.mark.parametrize(
    ("code", "message", "ec", "finding"),
    [
        ("NoSuchKey", "", "", "no_such_key"),
        (
            "InvalidArgument",
            "Invalid signing region in Authorization header.",
            "0002-00000226",
            "wrong_region",
        ),
        ("InvalidArgument", "Invalid signing region in Authorization header.", "", "wrong_region"),
        ("AuthorizationHeaderMalformed", "", "", "wrong_region"),
        ("BucketDisable", "BucketDisable", "", "suspended"),
        ("InDebtOverdue", "Current user is indebted Overdue", "", "suspended"),
        ("InvalidPolicyDocument", "", "", "upload_refused"),
        ("AccessKeyIdAndSecurityTokenNotMatch", "The token does not match", "", "wrong_token"),
        (
            "InvalidAccessKeyId",
            "The OSSAccessKeyId is disabled.",
            "0002-00000904",
            "network_policy",
        ),
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
        (
            "InvalidArgument",
            "The value: abc of parameter: w is invalid.",
            "0017-00000102",
            "other_error",
        ),
        (
            "InvalidArgument",
            "The callback configuration is not json format.",
            "0007-00000002",
            "other_error",
        ),
        ("InvalidArgument", "The value of response-expires is invalid.", "", "other_error"),
        ("InvalidArgument", "The value of x-oss-date is invalid.", "", "malformed_parameter"),
        ("InvalidArgument", "The value is invalid.", "0002-00000070", "malformed_parameter"),
        ("InvalidArgument", "A signed header is missing.", "", "missing_header"),
        ("InvalidArgument", "The additional headers are invalid.", "", "missing_header"),
        (
            "AuthorizationQueryParametersError",
            "X-OSS-Expires must be less than 604800 seconds",
            "",
            "expires_out_of_range",
        ),
        ("FileImmutable", "The object you specified is immutable.", "", "other_error"),
    ],
)
def test_each_code_of_oss_leads_to_its_finding_and_its_message_is_shown(
    code: str, message: str, ec: str, finding: str
) -> None:
    for url in (LINK, None):
        first = signer.explain(url, error_xml=xml(code, message, ec), now=ISSUED + 1).findings[0]
        assert first.code == finding
        assert code in first.evidence
        assert ec in first.evidence
        assert message.rstrip(".") in first.evidence
        assert ".." not in first.evidence


def test_who_denied_what_is_shown_in_the_words_that_are_known() -> None:
    said = {
        "AuthAction": "oss:GetObject",
        "NoPermissionType": "ExplicitDeny",
        "PolicyType": "SessionPolicy",
    }
    detail = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in (*said.items(), ("AuthPrincipalOwnerId", "1032"))
    )
    for change, shown in (
        ("", "oss:GetObject, ExplicitDeny, SessionPolicy."),
        ("SessionPolicy", "oss:GetObject, ExplicitDeny."),
    ):
        answer = xml("AccessDenied", "Whatever it is").replace("<Message", f"{detail}<Message")
        answer = answer.replace(change, "0123456789") if change else answer
        first = signer.explain(LINK, error_xml=answer, now=ISSUED + 1).findings[0]
        assert (first.code, first.certainty) == ("access_denied", "certain")
        assert f"AccessDeniedDetail: {shown}" in first.evidence
        assert "1032" not in first.evidence


@pytest.mark.parametrize(
    ("old", "new", "code", "sentence"),
    [
        ("GET", "HEAD", "wrong_method", "Line 1 (method): OSS received HEAD instead of GET."),
        ("a%20b", "a%2520b", "double_encoded", "Line 2 (path): OSS received it encoded twice"),
        (
            "/a%20b.txt",
            "/examplebucket/a%20b.txt",
            "bucket_twice",
            "OSS received it with the bucket twice",
        ),
        (
            "a%20b.txt",
            "a%2Bb.txt",
            "changed_path",
            "character 19 on, OSS received 'Bb.txt' instead of '0b.txt'",
        ),
        (
            "x-oss-credential",
            "utm=1&x-oss-credential",
            "added_parameters",
            "Line 3 (query): OSS received utm, which",
        ),
        (
            "&x-oss-security-token=a%2Bb",
            "",
            "missing_token",
            "OSS did not receive x-oss-security-token of the link",
        ),
        (
            "a%2Bb",
            "a%20b",
            "plus_decoded",
            "OSS received x-oss-security-token with spaces for plus signs",
        ),
        (
            "host:h\n",
            "content-type:text/plain\nhost:h\n",
            "extra_header",
            "content-type was sent but not signed",
        ),
        ("host:h\n", "", "missing_header", "host was signed but not sent"),
        ("host:h\n", "host:other\n", "wrong_host", "host was sent with another value"),
        ("UNSIGNED-PAYLOAD", "e3b0c442", "extra_header", "x-oss-content-sha256"),
        (
            "\nhost\n",
            "\nhost;range\n",
            "changed_query",
            "Additional headers: OSS received other names",
        ),
    ],
)
def test_the_first_difference_is_described(old: str, new: str, code: str, sentence: str) -> None:
    first = compare_canonical_requests(EXPECTED.replace(old, new), EXPECTED)[0]
    assert first.code == code
    assert sentence in first.sentence


@pytest.mark.parametrize(
    "signed", ["a%20b//c", "a%20b/./c", "a%20b/d/../c", "/a%20b/c", "a%20b/c/d/.."]
)
def test_a_path_whose_odd_segments_a_client_removed_is_a_rewritten_key(signed: str) -> None:
    expected = EXPECTED.replace("a%20b.txt", signed)
    received = EXPECTED.replace("a%20b.txt", "a%20b/c/" if signed.endswith("..") else "a%20b/c")
    assert [difference.code for difference in compare_canonical_requests(received, expected)] == [
        "rewritten_key"
    ]


def test_differences_are_in_the_order_of_the_lines_and_equal_requests_have_none() -> None:
    assert compare_canonical_requests(EXPECTED, EXPECTED) == ()
    assert compare_canonical_requests("", EXPECTED) == ()
    other = EXPECTED.replace("GET", "PUT").replace("a%20b", "c").replace("host:h", "host:other")
    lines = [difference.line for difference in compare_canonical_requests(other, EXPECTED)]
    assert lines == ["verb", "path", "headers"]


def canonical(url: str, method: str = "GET") -> str:
    return signer.verify(method, url, credentials=CREDENTIALS, now=ISSUED).canonical_request


def test_an_answer_is_read_in_whatever_form_it_was_pasted() -> None:
    request = canonical(LINK, "HEAD")
    document = (
        mismatch("STS.EXAMPLE", "0" * 64, "OSS4-HMAC-SHA256\nd\ns\nh", request)
        .xml("R", "H")
        .decode()
    )
    pasted = [
        document,
        document.replace("\n", "\r\n"),
        document.partition("<OSSAccessKeyId>")[0] + document.partition("</SignatureProvided>")[2],
        base64.b64encode(document.encode()).decode(),
        "This XML file does not appear to have any style information associated with it.\n"
        + document,
    ]
    for error_xml in pasted:
        assert (
            signer.explain(LINK, error_xml=error_xml, now=ISSUED).findings[0].code == "wrong_method"
        )


def test_whether_the_key_or_its_token_is_unknown_is_seen_by_the_link() -> None:
    without_token = sign_without_token(CREDENTIALS, now=ISSUED)
    for url, answer, code in (
        (without_token, xml("InvalidAccessKeyId"), "missing_token"),
        (LINK, xml("InvalidAccessKeyId"), "unknown_access_key"),
        (without_token, xml("InvalidAccessKeyId", ec="0002-00000002"), "missing_token"),
        (LINK, xml("InvalidAccessKeyId", ec="0002-00000002"), "unknown_access_key"),
    ):
        assert firsts(explain(url, answer)) == [(code, "certain")]


def test_what_oss_says_of_one_fault_leaves_the_others_of_the_link_as_certain_as_they_were() -> None:
    url = f"{LINK}&utm_source=mail"
    found = firsts(explain(url, xml("InvalidAccessKeyId")))
    assert found == [("unknown_access_key", "certain"), ("added_parameters", "certain")]
    assert firsts(explain(url, xml("NoSuchKey"))) == [("no_such_key", "certain")]


def test_an_expired_link_does_not_explain_what_oss_cannot_read() -> None:
    answer = xml("InvalidArgument", "The value of x-oss-date is invalid.")
    explanation = signer.explain(LINK, error_xml=answer, now=ISSUED + 10**7)
    assert ("malformed_parameter", "certain") in firsts(explanation)


def test_the_bytes_of_the_canonical_request_are_preferred_to_its_text() -> None:
    document = mismatch("k", "0" * 64, "a\nb\nc\nd", EXPECTED).xml("R", "H").decode()
    spoilt = document.replace("GET\n/example", "GET /example")
    assert read_error(spoilt).canonical_request == EXPECTED


def test_a_custom_domain_s_bucket_is_taken_from_the_answer() -> None:
    endpoint = signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    url = sign(key="a b.txt", credentials=CREDENTIALS, endpoint=endpoint, now=ISSUED).url
    _, path, query = canonical(LINK).split("\n")[:3]
    request = v4.canonical_request("HEAD", path, query, "", "")
    answer = mismatch("STS.EXAMPLE", "0" * 64, "a\nb\nc\nd", request).xml("R", "H").decode()
    explanation = signer.explain(url, error_xml=answer, now=ISSUED)
    assert explanation.bucket == "examplebucket"
    assert explanation.findings[0].code == "wrong_method"


def test_what_is_not_an_error_document_is_refused_with_what_was_expected() -> None:
    for error_xml in (
        "",
        "hello",
        "<html>403</html>",
        "aGVsbG8=",
        "HTTP/1.1 403 Forbidden\nx-oss-err: aGVsbG8=\n",
    ):
        with pytest.raises(signer.InvalidLink, match="<Error>"):
            signer.explain(LINK, error_xml=error_xml)


def test_an_answer_about_the_signature_outranks_a_later_expiry() -> None:
    explanation = signer.explain(LINK, error_xml=xml("SignatureDoesNotMatch"), now=ISSUED + 10**7)
    assert [finding.code for finding in explanation.findings] == ["signature_mismatch", "expired"]


@pytest.mark.parametrize(
    "answer",
    [
        "AccessDenied",
        "AccessDenied: Access Denied.",
        xml("AccessDenied", "AccessDenied"),
        "AccessDenied: RequestId: 67D9A1F0C2B4E53039A7F001",
        "AccessDenied HostId: examplebucket.oss-cn-hangzhou.aliyuncs.com",
        'oss: service returned error: ErrorCode=AccessDenied, ErrorMessage="", RequestId=67D9A1F0',
        "AccessDenied ERROR: exit status 1",
    ],
)
def test_a_bare_refusal_of_an_expired_link_is_first_for_its_expiry(answer: str) -> None:
    v1_url = v1_url_of_oss2(LinkRequest(method="GET", key="a b.txt", credentials=KEYS, now=ISSUED))
    for url in (LINK, v1_url):
        explanation = signer.explain(f"{url}\n{answer}", now=ISSUED + 10**6)
        assert firsts(explanation) == [("expired", "likely"), ("access_denied", "possible")]
        assert "OSS answered AccessDenied" in explanation.findings[0].evidence
        assert "It expired at" in explanation.findings[0].evidence
        valid = signer.explain(f"{url}\n{answer}", now=ISSUED + 1)
        assert firsts(valid) == [("access_denied", "likely")]


@pytest.mark.parametrize(
    ("message", "ec"),
    [("You have no right to access this object.", ""), ("", "0003-00000001")],
)
def test_a_refusal_with_a_reason_counts_more_than_the_expiry(message: str, ec: str) -> None:
    answer = xml("AccessDenied", message, ec)
    explanation = signer.explain(LINK, error_xml=answer, now=ISSUED + 10**6)
    assert firsts(explanation) == [("access_denied", "certain"), ("expired", "possible")]


# --- a refused signature: what was sent is suspected, or the secret ---------------------------------------------------


def refused(ec: str = "0002-00000040", **elements: str) -> str:
    said = {"Code": "SignatureDoesNotMatch", "Message": MESSAGE, **elements, "EC": ec}
    return (
        "<Error>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in said.items())
        + "</Error>"
    )


def explain(url: str, answer: str, **options: Any) -> Explanation:
    return signer.explain(url, error_xml=answer, now=ISSUED + 1, **options)


def firsts(explanation: Explanation) -> list[tuple[str, str]]:
    return [(finding.code, finding.certainty) for finding in explanation.findings]


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("PUT", {"Content-Type": "image/png"}, "extra_header"),
        ("POST", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "extra_header"),
        ("PUT", {"User-Agent": "curl"}, "signature_mismatch"),
        ("PUT", None, "signature_mismatch"),
        ("GET", {"Content-Type": "application/pdf"}, "extra_header"),
        ("GET", {"x-oss-meta-a": "b"}, "extra_header"),
        ("GET", {"Accept": "*/*"}, "signature_mismatch"),
        ("HEAD", None, "wrong_method"),
        ("DELETE", {}, "wrong_method"),
    ],
)
def test_what_was_sent_is_suspected_before_the_method(
    method: str, headers: dict[str, str] | None, code: str
) -> None:
    (finding,) = explain(presign(method), refused(), method=method, headers=headers).findings
    assert (finding.code, finding.certainty) == (code, "likely")


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_a_header_is_suspected_besides_a_method_that_is_seldom_signed(method: str) -> None:
    explanation = explain(
        presign(method), refused(), method=method, headers={"Content-Type": "image/png"}
    )
    assert firsts(explanation) == [("wrong_method", "likely"), ("extra_header", "likely")]


def test_a_link_that_is_limited_to_an_address_may_be_refused_as_a_wrong_signature() -> None:
    for ec in ("0002-00000602", "0002-00000225"):
        for options in ({}, {"credentials": KEYS}):
            found = firsts(explain(presign(query=LIMITED), refused(ec), **options))
            assert found == [("source_address", "likely"), ("signature_mismatch", "likely")]
    found = firsts(explain(presign(query=LIMITED), refused()))
    assert found == [("signature_mismatch", "likely"), ("source_address", "possible")]
    assert firsts(explain(presign(), refused())) == [("signature_mismatch", "likely")]


def test_the_secret_is_not_proved_wrong_where_an_address_may_be() -> None:
    for query, certainty in ((LIMITED, "likely"), (None, "proved")):
        url = presign(query=query)
        assert firsts(explain(url, answered(url), credentials=KEYS))[0] == (
            "other_secret",
            certainty,
        )


def answered(url: str, **headers: str) -> str:
    """OSS's answer to a GET, as it knows another secret."""
    checked = signer.verify("GET", url, headers=headers, credentials=KEYS, now=ISSUED)
    error = mismatch(
        "LTAI5tEXAMPLE",
        checked.provided_signature,
        checked.string_to_sign,
        checked.canonical_request,
    )
    return error.xml("R", "H").decode()


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("", {"method": "POST"}),
        ("a.txt", {"StringToSign": "GET\n\n\nTue, 23 May 2023 15:24:55 GMT\n/examplebucket/a.txt"}),
    ],
    ids=["a form", "a signed header"],
)
def test_a_signature_that_oss_refused_was_not_missing(path: str, options: dict[str, str]) -> None:
    method = options.pop("method", "GET")
    explanation = explain(
        f"https://{HOST}/{path}", refused("0002-00000705", **options), method=method
    )
    assert firsts(explanation) == [("signature_mismatch", "likely"), ("unsigned", "possible")]
    assert "it was in a form, or in the header Authorization" in explanation.findings[0].evidence


def test_of_an_address_without_a_signature_only_an_anonymous_request_is_denied() -> None:
    denied = "<Error><Code>AccessDenied</Code><Message>You have no right to access this object.</Message>{}</Error>"
    unknown = "<Error><Code>InvalidAccessKeyId</Code><Message>It does not exist.</Message></Error>"
    for answer, method, code in (
        (denied, "GET", "unsigned"),
        (denied, "POST", "access_denied"),
        (
            denied.replace("{}", "<AuthPrincipalType>SubUser</AuthPrincipalType>"),
            "GET",
            "access_denied",
        ),
        (unknown, "POST", "unknown_access_key"),
    ):
        assert firsts(explain(f"https://{HOST}/a.txt", answer, method=method))[0] == (
            code,
            "certain",
        )


def v1_link(method: str = "GET", **headers: str) -> str:
    string = v1.string_to_sign(method, headers, str(ISSUED + 600), "/examplebucket/a.txt")
    signature = quote(v1.signature(KEYS.access_key_secret, string), safe="")
    return f"https://{HOST}/a.txt?OSSAccessKeyId=LTAI5tEXAMPLE&Expires={ISSUED + 600}&Signature={signature}"


RECEIVED = f"GET\n\n\n{ISSUED + 600}\n/examplebucket/a.txt"


@pytest.mark.parametrize(
    ("old", "new", "code", "certainty", "evidence"),
    [
        (
            "GET\n\n\n",
            "HEAD\n\n\n",
            "wrong_method",
            "certain",
            "String to sign (method): OSS received HEAD",
        ),
        ("GET\n\n\n", "GET\n\nimage/png\n", "extra_header", "likely", "content-type was sent"),
        ("\n/ex", "\nx-oss-meta-a:1\n/ex", "extra_header", "likely", "x-oss-meta-a was sent"),
        (
            "a.txt",
            "A.txt",
            "changed_path",
            "certain",
            "String to sign (path): from character 16 on",
        ),
        (
            "a.txt",
            "a.txt?acl",
            "added_parameters",
            "certain",
            "OSS received acl, which is not in the link",
        ),
        (
            str(ISSUED + 600),
            str(ISSUED + 900),
            "changed_query",
            "certain",
            "OSS received Expires with another value",
        ),
        (
            str(ISSUED + 600),
            "Tue, 23 May 2023 15:24:55 GMT",
            "signature_mismatch",
            "likely",
            MESSAGE,
        ),
        (
            "",
            "",
            "signature_mismatch",
            "likely",
            "Its canonical request is the same as the link's.",
        ),
    ],
)
def test_the_string_to_sign_of_v1_is_compared(
    old: str, new: str, code: str, certainty: str, evidence: str
) -> None:
    answer = refused(StringToSign=RECEIVED.replace(old, new) if old else RECEIVED)
    finding = explain(v1_link(), answer).findings[0]
    assert (finding.code, finding.certainty) == (code, certainty)
    assert evidence in finding.evidence


def test_the_bytes_of_the_string_to_sign_count_and_the_secret_proves_what_v1_signed() -> None:
    spoilt = RECEIVED.replace("GET", "HEAD").encode().hex(" ").upper()
    answer = refused(StringToSign="HEAD /examplebucket/a.txt", StringToSignBytes=spoilt)
    assert firsts(explain(v1_link(), answer, credentials=KEYS)) == [("wrong_method", "certain")]
    wrong = KEYS._replace(access_key_secret="anotherEXAMPLE")
    assert (
        firsts(explain(v1_link(), refused(StringToSign=RECEIVED), credentials=wrong))[0][0]
        == "wrong_secret"
    )
    assert firsts(explain(v1_link(), refused(StringToSign=RECEIVED), credentials=KEYS))[0] == (
        "other_secret",
        "likely",
    )


@pytest.mark.parametrize(
    "signed", ["text/plain; charset=utf8", "text/html;charset=UTF-8", "text/csv; charset=utf-8"]
)
def test_a_charset_that_was_signed_is_found_before_the_secret_is_doubted(signed: str) -> None:
    url = presign(headers={"Content-Type": signed})
    for sent, code in (({}, "missing_header"), ({"content-type": "text/plain"}, "changed_header")):
        assert firsts(explain(url, answered(url, **sent), credentials=KEYS)) == [(code, "proved")]


def test_a_type_that_nobody_guesses_is_suspected_before_the_secret() -> None:
    url = presign(headers={"Content-Type": "application/x-example"})
    found = firsts(explain(url, answered(url, **{"content-type": "text/plain"}), credentials=KEYS))
    assert found == [("extra_header", "likely"), ("wrong_secret", "possible")]


def test_who_uses_a_link_for_put_with_get_reads_what_a_put_would_do() -> None:
    (finding,) = signer.explain(presign("PUT"), credentials=KEYS, now=ISSUED + 1).findings
    assert (finding.code, finding.certainty) == ("wrong_method", "proved")
    assert "PUT uploads and replaces the object" in finding.advice
