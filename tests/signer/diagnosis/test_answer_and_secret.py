"""With OSS's answer and the secret together, what OSS received wins over the signature being right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import signer
from signer.emulator.oss.authorization import mismatch
from tests.signer.signing import sign, sign_without_token
from tools.explain_page import BUCKET, ISSUED, KEY, local_answer
from tools.explain_page import PERMANENT as SECRET

NOW = ISSUED + 120
OTHER_SECRET = SECRET._replace(access_key_secret="anotherSecretEXAMPLE")
OTHER_KEY = signer.Credentials("LTAI5tANOTHEREXAMPLE", "anotherSecretEXAMPLE")


def presign(method: str = "GET", key: str = KEY, **options: Any) -> str:
    return sign(
        method, BUCKET, key, **{"credentials": SECRET, "expires_in": 600, "now": ISSUED, **options}
    ).url


class LocalOss(NamedTuple):
    """Answers requests at `NOW` as OSS does."""

    root: Path

    def answer(
        self,
        url: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        credentials: signer.Credentials = SECRET,
    ) -> str:
        """The error document, in base64 for HEAD."""
        return local_answer(url, {"method": method, "headers": headers}, credentials, self.root)


@pytest.fixture
def oss(tmp_path: Path) -> LocalOss:
    return LocalOss(tmp_path)


def explain(url: str, answer: str, method: str = "GET", **options: object) -> signer.Explanation:
    """With the right secret, unless `options` have another."""
    given: dict[str, object] = {"credentials": SECRET, "now": NOW, "method": method, **options}
    return signer.explain(url, error_xml=answer, **given)  # type: ignore[arg-type]


def codes(explanation: signer.Explanation) -> list[str]:
    return [finding.code for finding in explanation.findings]


def without(answer: str, *elements: str) -> str:
    return re.sub(rf"<({'|'.join(elements)})>[^<]*</\1>\s*", "", answer)


# --- something on the way changed the request ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "old", "new", "sent_method", "sent_headers", "code"),
    [
        (
            "GET",
            "x-oss-expires=600",
            "x-oss-expires=600&x-oss-expires=600",
            None,
            {},
            "added_parameters",
        ),
        ("GET", "file=a...", "file=b...", None, {}, "changed_query"),
        ("GET", "%20", "%2520", None, {}, "double_encoded"),
        ("PUT", "", "", "POST", {}, "wrong_method"),
        ("PUT", "", "", None, {"Content-Type": "text/plain"}, "extra_header"),
    ],
)
def test_a_change_on_the_way_is_named_as_without_the_secret(
    oss: LocalOss,
    method: str,
    old: str,
    new: str,
    sent_method: str | None,
    sent_headers: dict[str, str],
    code: str,
) -> None:
    url = presign(method, query={"file": "a..."})
    answer = oss.answer(
        url.replace(old, new, 1) if old else url, sent_method or method, sent_headers
    )
    with_secret = explain(url, answer, method)
    without_secret = explain(url, answer, method, credentials=None, headers={})
    assert codes(with_secret) == [code]
    assert with_secret.signature is True
    assert with_secret.findings[0] == without_secret.findings[0]
    assert with_secret.differences == without_secret.differences != ()
    assert "Nothing wrong" not in str(with_secret)


def test_a_change_on_the_way_is_named_besides_a_secret_that_did_not_sign(oss: LocalOss) -> None:
    answer = oss.answer(presign() + "&sessionid=1")
    explanation = explain(presign(), answer, credentials=OTHER_SECRET)
    assert codes(explanation) == ["added_parameters", "wrong_secret"]
    assert explanation.findings[0].certainty == "certain"


def test_two_changes_before_and_on_the_way_are_both_named(oss: LocalOss) -> None:
    url = presign() + "&utm_source=mail"
    explanation = explain(url, oss.answer(url, headers={"x-oss-process": "image/info"}), headers={})
    assert "added_parameters" in codes(explanation)
    assert "extra_header" in codes(explanation)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
@pytest.mark.parametrize("header", ["Content-Type: application/pdf", "x-oss-meta-a: b"])
def test_a_header_of_a_pasted_command_is_suspected_also_beside_the_whole_answer(
    oss: LocalOss, method: str, header: str
) -> None:
    url = presign(method)
    name, _, value = header.partition(": ")
    answer = oss.answer(url, method, {name: value})
    text = f"curl -X {method} -H '{header}' '{url}'\n{answer}\n"
    certainties = {
        finding.code: finding.certainty for finding in signer.explain(text, now=NOW).findings
    }
    assert certainties["extra_header"] == "likely"
    assert certainties.keys() <= {"extra_header", "wrong_method"}
    proved = signer.explain(text, now=NOW, credentials=SECRET).findings[0]
    assert proved.code == "extra_header"
    assert name.lower() in proved.evidence


def test_a_header_added_on_the_way_is_found_though_the_method_was_not_given(oss: LocalOss) -> None:
    """The link is for PUT and was used with PUT: only the header is wrong."""
    url = presign("PUT")
    explanation = explain(url, oss.answer(url, "PUT", {"Content-Type": "text/plain"}))
    assert codes(explanation) == ["extra_header"]


@pytest.mark.parametrize(
    "signed", [{}, {"Content-Type": "image/png"}, {"x-oss-object-acl": "private"}]
)
@pytest.mark.parametrize("credentials", [None, OTHER_SECRET])
def test_a_header_that_only_oss_shows_may_have_been_signed(
    oss: LocalOss, signed: dict[str, str], credentials: signer.Credentials | None
) -> None:
    sent = dict.fromkeys(signed or {"Content-Type": ""}, "text/plain")
    url = presign("PUT", headers=signed)
    explanation = explain(url, oss.answer(url, "PUT", sent), "PUT", credentials=credentials)
    finding = next(finding for finding in explanation.findings if finding.code == "extra_header")
    assert finding.certainty == "likely"
    assert (
        "Either it was not signed with this value, or the link was signed with another secret."
        in finding.evidence
    )


# --- OSS received what was signed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers"), [("HEAD", {}), ("PUT", {"Content-Type": "image/png"})]
)
def test_oss_knows_another_secret_where_it_received_what_was_signed(
    oss: LocalOss, method: str, headers: dict[str, str]
) -> None:
    url = presign(method, headers=headers)
    answer = oss.answer(url, method, headers, credentials=OTHER_SECRET)
    # They need not be given: OSS received them.
    for given in (method, "GET"):
        explanation = explain(url, answer, given, headers=headers if given == method else None)
        assert [(finding.code, finding.certainty) for finding in explanation.findings] == [
            ("other_secret", "proved")
        ]
        assert "OSS knows another secret for this access key" in str(explanation)
        assert explanation.signature is True


def test_an_answer_without_its_signature_may_also_belong_to_another_link(oss: LocalOss) -> None:
    answer = without(
        oss.answer(presign(), credentials=OTHER_SECRET), "SignatureProvided", "OSSAccessKeyId"
    )
    finding = explain(presign(), answer).findings[0]
    assert (finding.code, finding.certainty) == ("other_secret", "likely")
    assert "another link" in finding.evidence


def test_a_masked_answer_is_compared_without_what_is_masked(oss: LocalOss) -> None:
    masked = signer.redact(
        without(
            oss.answer(presign(), credentials=OTHER_SECRET),
            "CanonicalRequestBytes",
            "SignatureProvided",
        )
    )
    assert "x-oss-credential=REDACTED" in masked
    assert codes(explain(presign(), masked)) == ["other_secret"]
    assert codes(explain(presign(), masked.replace("GET\n", "HEAD\n"))) == ["wrong_method"]
    assert codes(explain(presign(), masked, credentials=None)) == ["signature_mismatch"]


def test_an_answer_without_its_canonical_request_is_not_overruled(oss: LocalOss) -> None:
    answer = without(
        oss.answer(presign() + "&sessionid=1"), "CanonicalRequest", "CanonicalRequestBytes"
    )
    for said in (answer, without(answer, "Message")):
        explanation = explain(presign(), said)
        assert codes(explanation) == ["signature_mismatch"]
        assert "the signature matches with the given secret" in explanation.findings[0].evidence


def test_a_canonical_request_that_cannot_be_read_is_not_said_to_be_the_same(oss: LocalOss) -> None:
    answer = without(oss.answer(presign() + "&sessionid=1"), "CanonicalRequestBytes").replace(
        "\n", " "
    )
    for credentials in (None, SECRET):
        explanation = explain(presign(), answer, credentials=credentials)
        assert codes(explanation) == ["signature_mismatch"]
        assert "the same as the link's" not in explanation.findings[0].evidence


def test_the_secret_that_did_not_sign_is_named_where_oss_received_the_link_unchanged(
    oss: LocalOss,
) -> None:
    url = presign("PUT", credentials=OTHER_SECRET)
    assert codes(explain(url, oss.answer(url, "PUT"), "PUT")) == ["wrong_secret"]


# --- the answer belongs to another link ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (presign(now=ISSUED + 1), "signing time and signature are"),
        (presign(key="other.pdf"), "signature is"),
        (presign(credentials=OTHER_KEY), "access key and signature are"),
    ],
    ids=["time", "key", "access key"],
)
def test_the_answer_to_another_link_is_recognised_whatever_the_secret(
    oss: LocalOss, url: str, parts: str
) -> None:
    known = OTHER_KEY if OTHER_KEY.access_key_id in url else SECRET
    answer = oss.answer(url, credentials=known._replace(access_key_secret="unknownEXAMPLE"))
    for credentials in (None, SECRET, SECRET._replace(access_key_secret="thirdEXAMPLE")):
        explanation = explain(presign(), answer, credentials=credentials)
        assert (
            codes(explanation)
            == ["other_link", "wrong_secret"][: 1 if credentials in (None, SECRET) else 2]
        )
        assert (
            f"The {parts} not the same in OSS's answer and in the link."
            in explanation.findings[0].evidence
        )
        assert explanation.differences == ()
    # What is wrong with the link itself comes first.
    assert codes(explain(presign() + "&utm_source=mail", answer)) == [
        "added_parameters",
        "other_link",
    ]


def test_an_answer_that_names_another_access_key_belongs_to_another_link(oss: LocalOss) -> None:
    answer = oss.answer(presign(credentials=OTHER_KEY))
    assert "InvalidAccessKeyId" in answer
    assert codes(explain(presign(), answer)) == ["other_link"]


def test_the_bucket_of_another_link_is_not_that_of_a_custom_domain(oss: LocalOss) -> None:
    domain = signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    url = signer.presign(
        "GET", "otherbucket", KEY, credentials=SECRET, endpoint=domain, now=ISSUED
    ).url
    explanation = explain(url, oss.answer(presign(now=ISSUED + 1), credentials=OTHER_SECRET))
    assert codes(explanation) == ["other_link"]
    assert explanation.bucket is None


def test_a_masked_access_key_or_signature_is_not_another_one(oss: LocalOss) -> None:
    answer = oss.answer(presign(), credentials=OTHER_SECRET)
    for name, masks in (
        ("OSSAccessKeyId", ("LTAI****", "REDACTED", "", "LTAI5t...")),
        ("SignatureProvided", ("0" * 64, "x" * 64, "REDACTED", "1a2b...")),
    ):
        for mask in masks:
            masked = re.sub(f"<{name}>[^<]*<", f"<{name}>{mask}<", answer)
            assert codes(explain(presign(), masked)) == ["other_secret"], mask


def test_a_link_that_was_cut_after_its_answer_is_not_another_link(oss: LocalOss) -> None:
    answer = oss.answer(presign() + "&sessionid=1")
    for cut in (presign()[:-30], presign()[: presign().index("x-oss-credential") + 22]):
        assert "other_link" not in codes(explain(cut, answer))


# --- whatever OSS answers, something is wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ec", "code"),
    [
        ("0002-00000039", "two_signatures"),
        ("0002-00000214", "extra_header"),
        ("0002-00000219", "truncated"),
        ("0002-00000006", "wrong_token"),
        ("0002-00000228", "wrong_region"),
    ],
)
def test_no_finer_code_of_oss_is_overruled_by_a_right_signature(ec: str, code: str) -> None:
    for key in (KEY, f"{BUCKET}/{KEY}"):
        explanation = explain(
            presign(key=key), f"<Error><Code>InvalidArgument</Code><EC>{ec}</EC></Error>"
        )
        assert (explanation.signature, codes(explanation)[0]) == (True, code)


def test_what_oss_says_after_it_accepted_the_signature_comes_first(oss: LocalOss) -> None:
    """Without the method, the signature does not match here, but it did at OSS."""
    answer = "<Error><Code>FileAlreadyExists</Code><Message>The object exists.</Message></Error>"
    explanation = explain(presign("PUT"), answer)
    assert codes(explanation) == ["already_exists"]
    assert "GetBucketOverwriteConfig" in explanation.findings[0].advice
    assert any("give the method and the headers" in note for note in explanation.notes)
    assert (
        explain(presign("PUT"), answer, "PUT").notes
        == explain(presign("PUT"), answer, "PUT", credentials=None).notes
    )


def test_a_mismatch_is_named_besides_credentials_that_have_expired(oss: LocalOss) -> None:
    answer = without(
        oss.answer(presign() + "&sessionid=1"), "CanonicalRequest", "CanonicalRequestBytes"
    )
    explanation = explain(
        presign(), answer, credentials=SECRET._replace(security_token=None, expires_at=NOW - 1)
    )
    assert codes(explanation) == ["token_expired", "signature_mismatch"]


def test_the_secret_of_a_temporary_key_does_not_replace_its_token() -> None:
    tokenless = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE")
    url = sign_without_token(tokenless, now=ISSUED)
    explanation = signer.explain(url, credentials=tokenless, now=NOW)
    assert codes(explanation) == ["missing_token"]
    assert explanation.signature is True


def test_a_mismatch_with_a_form_s_answer_is_not_overruled() -> None:
    answer = mismatch(SECRET.access_key_id, "", "eyJleHAiOiIifQ==").xml("R", "H").decode()
    assert codes(explain(presign(), answer)) == ["signature_mismatch"]
