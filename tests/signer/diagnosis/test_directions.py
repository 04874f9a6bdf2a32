"""What only OSS says, and links that OSS did not sign."""

from __future__ import annotations

from typing import Any

import pytest

import signer
from tests.signer.signing import KEYS, sign

ISSUED = 1_764_000_000


def presign(key: str = "a.txt", **options: Any) -> str:
    return sign(key=key, **{"expires_in": 600, "now": ISSUED, **options}).url


def test_an_account_that_forbids_v1_is_said_of_a_v1_link_only() -> None:
    answer = "<Error><Code>AccessDenied</Code><Message>V1 signature is forbidden</Message></Error>"
    v1 = f"{presign().partition('?')[0]}?OSSAccessKeyId=LTAI5tEXAMPLE&Expires={ISSUED + 600}&Signature={'A' * 27}%3D"
    for url, code in ((v1, "v1_forbidden"), (presign(), "other_link")):
        assert [f.code for f in signer.explain(url, error_xml=answer, now=ISSUED).findings] == [code]


def test_of_two_links_in_one_paste_the_first_is_explained() -> None:
    explanation = signer.explain(f"Links:\n{presign('a.txt')}\n  {presign('b.txt')}", now=ISSUED)
    assert (explanation.key, explanation.findings) == ("a.txt", ())


def test_an_address_without_a_signature_on_another_domain_may_be_the_services_own() -> None:
    for url, certainty in (
        (f"{presign().partition('?')[0]}", "certain"),
        ("https://links.example.com/q3.pdf", "likely"),
    ):
        (finding,) = signer.explain(url, now=ISSUED).findings
        assert (finding.code, finding.certainty) == ("unsigned", certainty)
        assert "An address of fc-presign itself needs none" in finding.advice


def test_a_token_is_not_compared_with_temporary_credentials_that_have_none() -> None:
    temporary = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIStokenEXAMPLE")
    url, without = presign(credentials=temporary), temporary._replace(security_token=None)
    assert signer.verify("GET", url, credentials=without, now=ISSUED).ok
    explanation = signer.explain(url, credentials=without, now=ISSUED)
    assert explanation.ok
    assert "The security token was not compared: the credentials have none." in explanation.notes
    wrong = temporary._replace(security_token="CAISanotherEXAMPLE")
    assert signer.verify("GET", url, credentials=wrong, now=ISSUED).fault == "wrong_token"


def test_an_empty_expiry_is_a_missing_parameter() -> None:
    url = presign().replace("x-oss-expires=600", "x-oss-expires=")
    assert signer.explain(url, now=ISSUED).findings[0].code == "missing_parameter"


def test_a_custom_domain_needs_its_bucket_to_be_checked() -> None:
    url = presign(endpoint=signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou"))
    notes = signer.explain(url, credentials=KEYS, now=ISSUED).notes
    assert any("it requires the bucket" in note for note in notes)


def test_a_link_of_temporary_credentials_for_more_than_12_hours_is_not_wrong_but_has_a_note() -> None:
    temporary = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIStokenEXAMPLE")
    noted = "STS credentials live 12 hours at most"
    # Not made by `presign`, which may limit it.
    url = presign(credentials=temporary).replace("x-oss-expires=600", "x-oss-expires=43201")
    explanation = signer.explain(url, now=ISSUED)
    assert (explanation.ok, any(noted in note for note in explanation.notes)) == (True, True)
    for other in (presign(credentials=temporary), presign(expires_in=604_800)):
        assert not any(noted in note for note in signer.explain(other, now=ISSUED).notes)


@pytest.mark.parametrize(("key", "is_noted"), [("app.apk", True), ("dir/App.IPA", True), ("apk.txt", False)])
def test_an_app_package_at_a_domain_of_oss_has_a_note(key: str, is_noted: bool) -> None:
    explanation = signer.explain(presign(key), now=ISSUED)
    assert explanation.ok
    assert any(".apk and .ipa" in note for note in explanation.notes) == is_noted


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:9000/-/s/exampleobject.txt?share=axN_axN_axN_axN_axN_aw", "share_address"),
        ("https://links.example.com/-/s/?share=axN_axN_axN_axN_axN_aw&format=json", "share_address"),
        ("https://links.example.com/team-/s/a.txt?share=axN_axN_axN_axN_axN_aw", "unsigned"),
        ("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?share=1", "unsigned"),
        ("https://cdn.example.com/a.mp4?auth_key=1444435200-0-0-23bf85053008f5c0e791667a313e28ce", "cdn_address"),
        ("https://cdn.example.com/2015/test.flv?time=55CE8100", "unsigned"),
    ],
)
def test_an_address_that_oss_did_not_sign_is_named_as_what_it_is(url: str, code: str) -> None:
    explanation = signer.explain(url)
    assert [finding.code for finding in explanation.findings] == [code]
    assert "axN_axN_axN_axN_" not in str(explanation)
    assert (code == "unsigned") == ("everything after the question mark" in str(explanation))
