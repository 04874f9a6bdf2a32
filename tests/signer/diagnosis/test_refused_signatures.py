"""What a refused signature means, by what OSS shows of the request: its code, its canonical request, V1's string."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

import signer
from local.oss.authorization import mismatch
from signer import v1
from signer.diagnosis import Explanation
from tests.signer.signing import sign

KEYS = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLEsecretEXAMPLE")
ISSUED, HOST = 1_764_000_000, "examplebucket.oss-cn-hangzhou.aliyuncs.com"
LIMITED = {"x-oss-ac-source-ip": "203.0.113.7"}
MESSAGE = "The request signature we calculated does not match the signature you provided."


def presign(method: str = "GET", **options: Any) -> str:
    return sign(method, key="a.txt", credentials=KEYS, now=ISSUED, **options).url


def refused(ec: str = "0002-00000040", **elements: str) -> str:
    said = {"Code": "SignatureDoesNotMatch", "Message": MESSAGE, **elements, "EC": ec}
    return "<Error>" + "".join(f"<{name}>{value}</{name}>" for name, value in said.items()) + "</Error>"


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
        ("HEAD", None, "wrong_method"),
        ("DELETE", {}, "wrong_method"),
    ],
)
def test_what_was_sent_is_suspected_before_the_method(method: str, headers: dict[str, str] | None, code: str) -> None:
    (finding,) = explain(presign(method), refused(), method=method, headers=headers).findings
    assert (finding.code, finding.certainty) == (code, "likely")


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
        assert firsts(explain(url, answered(url), credentials=KEYS))[0] == ("other_secret", certainty)


def answered(url: str, **headers: str) -> str:
    """OSS's answer to a GET, as it knows another secret."""
    checked = signer.verify("GET", url, headers=headers, credentials=KEYS, now=ISSUED)
    error = mismatch("LTAI5tEXAMPLE", checked.provided_signature, checked.string_to_sign, checked.canonical_request)
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
    explanation = explain(f"https://{HOST}/{path}", refused("0002-00000705", **options), method=method)
    assert firsts(explanation) == [("signature_mismatch", "likely"), ("unsigned", "possible")]
    assert "it was in a form, or in the header Authorization" in explanation.findings[0].evidence


def test_of_an_address_without_a_signature_only_an_anonymous_request_is_denied() -> None:
    denied = "<Error><Code>AccessDenied</Code><Message>You have no right to access this object.</Message>{}</Error>"
    unknown = "<Error><Code>InvalidAccessKeyId</Code><Message>It does not exist.</Message></Error>"
    for answer, method, code in (
        (denied, "GET", "unsigned"),
        (denied, "POST", "access_denied"),
        (denied.replace("{}", "<AuthPrincipalType>SubUser</AuthPrincipalType>"), "GET", "access_denied"),
        (unknown, "POST", "unknown_access_key"),
    ):
        assert firsts(explain(f"https://{HOST}/a.txt", answer, method=method))[0] == (code, "certain")


def v1_link(method: str = "GET", **headers: str) -> str:
    string = v1.string_to_sign(method, headers, str(ISSUED + 600), "/examplebucket/a.txt")
    signature = quote(v1.signature(KEYS.access_key_secret, string), safe="")
    return f"https://{HOST}/a.txt?OSSAccessKeyId=LTAI5tEXAMPLE&Expires={ISSUED + 600}&Signature={signature}"


RECEIVED = f"GET\n\n\n{ISSUED + 600}\n/examplebucket/a.txt"


@pytest.mark.parametrize(
    ("old", "new", "code", "certainty", "evidence"),
    [
        ("GET\n\n\n", "HEAD\n\n\n", "wrong_method", "certain", "String to sign (method): OSS received HEAD"),
        ("GET\n\n\n", "GET\n\nimage/png\n", "extra_header", "likely", "content-type was sent"),
        ("\n/ex", "\nx-oss-meta-a:1\n/ex", "extra_header", "likely", "x-oss-meta-a was sent"),
        ("a.txt", "A.txt", "changed_path", "certain", "String to sign (path): from character 16 on"),
        ("a.txt", "a.txt?acl", "added_parameters", "certain", "OSS received acl, which is not in the link"),
        (str(ISSUED + 600), str(ISSUED + 900), "changed_query", "certain", "OSS received Expires with another value"),
        (str(ISSUED + 600), "Tue, 23 May 2023 15:24:55 GMT", "signature_mismatch", "likely", MESSAGE),
        ("", "", "signature_mismatch", "likely", "Its canonical request is the same as the link's."),
    ],
)
def test_the_string_to_sign_of_v1_is_compared(old: str, new: str, code: str, certainty: str, evidence: str) -> None:
    answer = refused(StringToSign=RECEIVED.replace(old, new) if old else RECEIVED)
    finding = explain(v1_link(), answer).findings[0]
    assert (finding.code, finding.certainty) == (code, certainty)
    assert evidence in finding.evidence


def test_the_bytes_of_the_string_to_sign_count_and_the_secret_proves_what_v1_signed() -> None:
    spoilt = RECEIVED.replace("GET", "HEAD").encode().hex(" ").upper()
    answer = refused(StringToSign="HEAD /examplebucket/a.txt", StringToSignBytes=spoilt)
    assert firsts(explain(v1_link(), answer, credentials=KEYS)) == [("wrong_method", "certain")]
    wrong = KEYS._replace(access_key_secret="anotherEXAMPLE")
    assert firsts(explain(v1_link(), refused(StringToSign=RECEIVED), credentials=wrong))[0][0] == "wrong_secret"
    assert firsts(explain(v1_link(), refused(StringToSign=RECEIVED), credentials=KEYS))[0] == ("other_secret", "likely")


@pytest.mark.parametrize("signed", ["text/plain; charset=utf8", "text/html;charset=UTF-8", "text/csv; charset=utf-8"])
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
