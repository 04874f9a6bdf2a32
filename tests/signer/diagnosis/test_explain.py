"""A working link has no finding; the first finding of a broken link is what broke it."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from datetime import datetime, timezone
from random import Random
from typing import Any
from urllib.parse import quote, unquote

import oss2
import pytest

import signer
from signer.diagnosis.causes import CAUSES, causes_in
from tests.signer.diagnosis.links import Use, v1_link, working_link
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import KEYS, LinkRequest, sign, sign_without_token

ISSUED = 1_732_494_588
CREDENTIALS = signer.Credentials(
    "STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStokenEXAMPLE+/token+EXAMPLE=="
)


@pytest.mark.parametrize("make", [working_link, v1_link])
def test_a_working_link_has_no_finding(make: Callable[[Random], Use]) -> None:
    for number in range(40):
        use = make(Random(f"works {number}"))
        for credentials in (None, use.credentials):
            explanation = use.explain(credentials)
            assert (explanation.findings, explanation.ok) == ((), True), number
            assert explanation.signature is (True if credentials else None)


def link(key: str = "dir/a b.txt", **options: Any) -> str:
    return sign(
        key=key, **{"credentials": CREDENTIALS, "expires_in": 600, "now": ISSUED, **options}
    ).url


def v1_link_of(key: str, **query: str) -> str:
    request = LinkRequest("GET", key=key, credentials=CREDENTIALS, query=query, now=ISSUED)
    return f"https://{request.host}/{quote(key)}?{v1_url_of_oss2(request).partition('?')[2]}"


V4, V1 = link(), v1_link_of("dir/a b.txt")
# Token and signature have plus signs.
PLUS = next(
    url for url in map(v1_link_of, map(str, range(99))) if "%2B" in url.partition("&Signature=")[2]
)
PLUS_HEAD, PLUS_SIGNATURE = PLUS.split("Signature=")
ODD_KEY = link("dir/a#b?c d.txt")
QUERY = link(query={"response-content-disposition": "attachment; filename=a+b.txt"})
REQUIRED = ("x-oss-date", "x-oss-expires", "x-oss-credential", "x-oss-signature-version")
# What the examples of causes.en.ini do not show. A code that needs the secret ends with !.
BROKEN: dict[str, list[str]] = {
    "truncated": [
        V4[:-20],
        V4[:-20] + "...",
        V4[:-90] + "\u2026",
        V4.partition("&")[0],
        V1[:-9],
        V1.partition("&")[0],
    ],
    "missing_question_mark": [
        *(V4.replace("?", mark) for mark in ("", "%3F", "/", "\uff1f")),
        V1.replace("?", ""),
    ],
    "line_broken": [
        *(
            V4[:90] + line_break + V4[90:]
            for line_break in ("\n", "\n> ", " \n", "\n    ", "\u200b", "\u00ad")
        ),
        "=\r\n".join(re.findall(".{1,75}", V4.replace("=", "=3D"))),
    ],
    "trailing_text": [
        *(
            V4 + tail
            for tail in (
                ".",
                ",",
                ")",
                ">",
                "%22",
                "%3E",
                "';",
                '">here</a>',
            )
        ),
        *(V1 + tail for tail in (".", ",", ")", ">")),
    ],
    "html_escaped": [V4.replace("&", "&#38;"), V4.replace("&", "&amp%3B"), html.escape(V1)],
    "json_escaped": [V4.replace("/", "\\/")],
    "shell_escaped": [V4.replace("?", "\\?").replace("&", "\\&")],
    "double_encoded": [quote(V4, safe=""), V1.replace("%", "%25")],
    "double_encoded!": [url.replace("%20b", "%2520b") for url in (V4, V1)],
    "plus_decoded": [
        *(PLUS.replace("%2B", sign) for sign in ("+", "%20", " ")),
        *(
            "Signature=".join((PLUS_HEAD, PLUS_SIGNATURE.replace("%2B", sign)))
            for sign in ("+", "%20", " ")
        ),
    ],
    "plus_decoded!": [
        QUERY.replace("a%2Bb", "a+b"),
        *(link(key).replace("%2B", "%20") for key in ("a+c+b", "a+c b")),
    ],
    "decoded": [ODD_KEY.replace(quote(mark), mark, 1) for mark in "#? "],
    "decoded!": [link("a%20b").replace("%2520", "%20")],
    "missing_parameter": [
        *(re.sub(rf"\b{name}=[^&]*&", "", V4) for name in REQUIRED),
        re.sub("&Expires=[0-9]+", "", V1),
    ],
    "malformed_parameter": [re.sub("(Expires=[0-9]+)", r"\g<1>000", V1)],
    "case_changed": [V4.lower(), V1.lower()],
    "added_parameters": [
        *(
            f"{V4}&{added}"
            for added in ("_=1732494588", "from=singlemessage&isappinstalled=0", "versionId=null")
        ),
        f"{V4}&x-oss-process=image%2Finfo",
        V4.replace("?", "?fbclid=IwAR0EXAMPLE&"),
    ],
    "added_parameters!": [f"{V1}&x-oss-traffic-limit=819200"],
    "token_not_signed": [
        sign_without_token(CREDENTIALS, now=ISSUED).replace("?", "?security-token=CAIS&")
    ],
    "rewritten_key": [V4.replace("dir/", f"dir{odd}") for odd in ("//", "/./", "/../")]
    + [V4.replace("?", "/..?")],
    "wrong_secret!": [V1.replace("/dir/", "/photos/")],
}


@pytest.mark.parametrize(
    ("code", "url"), [(code, url) for code, urls in BROKEN.items() for url in urls]
)
def test_what_broke_a_link_is_the_first_finding(code: str, url: str) -> None:
    for credentials in (CREDENTIALS,) if code.endswith("!") else (None, CREDENTIALS):
        assert signer.explain(url, credentials=credentials, now=ISSUED).findings[
            0
        ].code == code.removesuffix("!")


def test_one_changed_character_is_always_found() -> None:
    for number in range(30):
        random = Random(f"changed {number}")
        use = working_link(random)
        at = random.randrange(use.url.index("?") + 1, len(use.url))
        changed = use.url[:at] + random.choice("abcdefABCDEF0123456789-_~") + use.url[at + 1 :]
        if unquote(changed) == unquote(use.url):
            continue  # such as %2f for %2F
        explanation = use._replace(url=changed).explain(use.credentials)
        # None: the access key was changed.
        assert explanation.findings or explanation.signature is None
        assert explanation.signature is not True or "x-oss-" not in str(explanation.findings)


@pytest.mark.parametrize(
    "filling",
    [
        " ",
        "\n",
        "?",
        "&amp;",
        "%25",
        "x-oss-date=",
        "?x-oss-date",
        "Signature=",
        "=\n",
        "\\",
        "#",
        "+",
    ],
)
def test_hostile_strings_are_explained_quickly(filling: str) -> None:
    started = time.process_time()
    for tail in ("", "?x-oss-signature=1", "&x-oss-credential=a/b/c/d/e?"):
        signer.explain(
            ("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a" + filling * 16_000)[:16_000]
            + tail
        )
    assert time.process_time() - started < 0.8
    with pytest.raises(signer.InvalidLink, match="longer"):
        signer.explain("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/" + "a" * 40_000)


def test_every_finding_has_a_title_and_advice() -> None:
    for cause in CAUSES.values():
        assert cause.title.endswith(".")
        assert cause.advice.endswith(".")


def test_an_explanation_shows_what_the_link_contains() -> None:
    url = link(headers={"X-Request-Color": "green"}, signed_headers=["x-request-color"])
    explanation = signer.explain(url, now=ISSUED + 60)
    assert (explanation.version, explanation.region) == ("V4", "cn-hangzhou")
    assert (explanation.bucket, explanation.key) == ("examplebucket", "dir/a b.txt")
    assert explanation.issued_at == datetime.fromtimestamp(ISSUED, timezone.utc)
    assert explanation.expires_at == datetime.fromtimestamp(ISSUED + 600, timezone.utc)
    assert (explanation.age, explanation.lifetime, explanation.remaining) == (60, 600, 540)
    assert explanation.temporary
    assert explanation.headers == ("x-request-color",)
    assert explanation.to_json()["expires_at"] == "2024-11-25T00:39:48Z"


def test_a_link_expires_when_it_says_and_one_with_a_security_token_at_the_latest_then() -> None:
    latest = "expires    at the latest 2024-11-25 00:39:48 UTC, in 9 minutes, valid for 10 minutes"
    explanation = signer.explain(link(), now=ISSUED + 60)
    assert f"{latest}; earlier if the security token does\n" in str(explanation)
    assert explanation.to_json()["has_token"] is True
    assert "expired    2024-11-25 00:39:48 UTC, 1 minute ago" in str(
        signer.explain(link(), now=ISSUED + 660)
    )
    v1 = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?OSSAccessKeyId=STS.EXAMPLE&Expires=1732495188"
    assert "; earlier if the security" in str(
        signer.explain(f"{v1}&security-token=C&Signature=c2ln", now=ISSUED)
    )
    exact = signer.explain(link(credentials=KEYS), now=ISSUED + 60)
    assert "expires    2024-11-25 00:39:48 UTC, in 9 minutes, valid for 10 minutes\n" in str(exact)
    assert not exact.has_token


def test_the_case_of_a_date_with_the_rest_of_an_escape_was_not_changed() -> None:
    cut = link().partition("&x-oss-expires")[0]
    for end in ("\\u", "\\x"):
        codes = [finding.code for finding in signer.explain(cut + end, now=ISSUED + 60).findings]
        assert "truncated" in codes
        assert "case_changed" not in codes


def test_a_raw_space_may_have_been_a_plus_sign() -> None:
    for url in (link("dir/a+b.txt").replace("a%2Bb", "a b"), QUERY.replace("%20", " ")):
        (finding,) = signer.explain(url, now=ISSUED + 60).findings
        assert finding.code == "decoded"
        assert "raw space: %20 or %2B was decoded" in finding.evidence


@pytest.mark.parametrize(("language", "key"), [("en", "key"), ("zh", "Key")])
def test_who_has_a_plus_sign_in_a_key_finds_the_case(language: str, key: str) -> None:
    causes = causes_in(language)
    assert "%2B" in causes["decoded"].advice
    for words in (causes["decoded"].why, causes["plus_decoded"].advice, causes["plus_decoded"].why):
        assert "%2B" in words
        assert key in words


def test_a_link_is_found_in_other_text() -> None:
    for template in ("Location: {}\n", "<{}>", 'curl "{}" -o a', "  {}\n\n", "see '{}'."):
        assert signer.explain(template.format(link()), now=ISSUED).ok


@pytest.mark.parametrize(("make", "version"), [(oss2.Auth, "V1"), (oss2.AuthV2, "V2")])
def test_older_signature_versions_of_the_official_sdk_are_recognised(
    make: type, version: str
) -> None:
    bucket = oss2.Bucket(make(*KEYS[:2]), "https://oss-cn-hangzhou.aliyuncs.com", "examplebucket")
    url = bucket.sign_url("GET", "a.txt", 600)
    explanation = signer.explain(url)
    assert explanation.version == version
    assert explanation.ok
    assert 590 <= (explanation.remaining or 0) <= 600
    assert any(version in note for note in explanation.notes)
    late = signer.explain(url, now=4_000_000_000)
    assert [finding.code for finding in late.findings] == ["expired"]
    assert signer.explain(url.partition("&")[0]).findings[0].code == "truncated"


def test_a_temporary_key_without_its_token_is_found_in_v1_too() -> None:
    url = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?OSSAccessKeyId=STS.EXAMPLE&Expires=1732495188&Signature=c2lnbmF0dXJlRVhBTVBMRWV4YW0%3D"
    assert [finding.code for finding in signer.explain(url, now=ISSUED).findings] == [
        "missing_token"
    ]
    assert signer.explain(url + "&security-token=CAIS", now=ISSUED).ok


# Clients of S3 have regions of their own.
@pytest.mark.parametrize("region", ["oss-cn-hangzhou", "us-east-1", "aws-global"])
def test_links_for_the_s3_compatible_interface_are_recognised(region: str) -> None:
    base = "https://examplebucket.s3.oss-cn-hangzhou.aliyuncs.com/a.txt"
    v4_link = (
        f"{base}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20241125T002948Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
        f"&X-Amz-Credential=LTAI5tEXAMPLE%2F20241125%2F{region}%2Fs3%2Faws4_request&X-Amz-Signature={'0' * 64}"
    )
    explanation = signer.explain(v4_link, now=ISSUED)
    assert (explanation.version, explanation.lifetime, explanation.findings) == (
        "S3-compatible V4",
        600,
        (),
    )
    assert signer.explain(v4_link, now=ISSUED + 601).findings[0].code == "expired"
    v2_link = f"{base}?AWSAccessKeyId=LTAI5tEXAMPLE&Expires=1732495188&Signature=c2lnbg%3D%3D"
    assert signer.explain(v2_link, now=ISSUED).version == "S3-compatible V2"


def test_links_sorted_by_name_like_those_of_the_go_sdk_have_no_finding() -> None:
    signed = link(query={"x-oss-traffic-limit": "819200"})
    path, _, query = signed.partition("?")
    url = path + "?" + "&".join(sorted(query.split("&"), key=lambda part: part.partition("=")[0]))
    assert url != signed
    assert signer.explain(url, now=ISSUED).ok
    assert signer.explain(url + "&download=1", now=ISSUED).findings[0].code == "added_parameters"


def test_credentials_of_another_access_key_prove_nothing_and_a_note_says_so() -> None:
    other = signer.Credentials("LTAI5tANOTHEREXAMPLE", "secretEXAMPLE")
    explanation = signer.explain(link(), credentials=other, now=ISSUED)
    assert explanation.signature is None
    assert any("another access key" in note for note in explanation.notes)


def test_two_faults_at_once_are_both_proved() -> None:
    explanation = signer.explain(
        link() + "&utm_source=mail", method="HEAD", credentials=CREDENTIALS, now=ISSUED
    )
    proved = {finding.code for finding in explanation.findings if finding.certainty == "proved"}
    assert proved == {"wrong_method", "added_parameters"}


def test_a_security_token_in_a_header_is_proved_not_to_be_signed() -> None:
    first = signer.explain(
        link(credentials=KEYS),
        headers={"X-Oss-Security-Token": "CAIS"},
        credentials=KEYS,
        now=ISSUED,
    ).findings[0]
    assert (first.code, first.certainty) == ("token_not_signed", "proved")
    assert "without the header x-oss-security-token" in first.evidence


def test_a_region_that_was_changed_after_signing_is_proved_by_that_of_the_host() -> None:
    url = link().replace("%2Fcn-hangzhou%2F", "%2Fcn-shanghai%2F")
    assert signer.explain(url, now=ISSUED).findings[0].code == "wrong_region"
    first = signer.explain(url, credentials=CREDENTIALS, now=ISSUED).findings[0]
    assert (first.code, first.certainty) == ("altered_parameter", "proved")
    assert "with the region of the host in x-oss-credential" in first.evidence


def test_a_parameter_of_the_signature_that_stands_twice_is_named() -> None:
    for name in ("x-oss-date", "x-oss-security-token"):
        (value,) = re.findall(f"{name}=([^&]*)", V4)
        evidence = [
            finding.evidence
            for finding in signer.explain(f"{V4}&{name}={value}", now=ISSUED).findings
            if finding.code == "malformed_parameter"
        ]
        assert evidence == [f"The link contains {name} more than once."]


def test_a_link_that_was_cut_off_is_not_searched_for_more() -> None:
    without_token = sign_without_token(CREDENTIALS, now=ISSUED)
    codes = [finding.code for finding in signer.explain(without_token, now=ISSUED).findings]
    assert codes == ["missing_token"]
    cut = signer.explain(without_token[:-20], now=ISSUED)
    assert [finding.code for finding in cut.findings] == ["truncated"]


def test_an_expiry_does_not_explain_a_signature_of_another_secret() -> None:
    other = CREDENTIALS._replace(access_key_secret="anotherEXAMPLEanotherEXAMPLE")
    findings = signer.explain(V4, credentials=other, now=ISSUED + 10**6).findings
    assert "wrong_secret" in [finding.code for finding in findings]


def test_a_string_without_a_link_is_refused_with_what_to_do() -> None:
    for string in ("", "hello", "ftp://example.com/a", "https://"):
        with pytest.raises(signer.InvalidLink, match=r"link|URL|address"):
            signer.explain(string)
