"""A working link has no finding; the first finding of a broken link is what broke it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from random import Random
from typing import Any
from urllib.parse import unquote

import hypothesis.strategies as st
import oss2
import pytest
from hypothesis import given, settings

import signer
from signer.diagnosis.advice import ADVICE
from signer.diagnosis.oss_error import FINDING_BY_CODE, FINDING_BY_EC
from tests.signer.diagnosis.breakages import BREAKAGES, Use, v1_link, working_link
from tests.signer.signing import sign

CASES = [(name, mode) for name, (modes, _) in BREAKAGES.items() for mode in modes]
ISSUED = 1_732_494_588
CREDENTIALS = signer.Credentials(
    "STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStokenEXAMPLE+/token+EXAMPLE=="
)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([working_link, v1_link]))
def test_a_working_link_has_no_finding(random: Random, make: Callable[[Random], Use]) -> None:
    use = make(random)
    for mode in ("bare", "secret"):
        explanation = use.explain(mode)
        assert explanation.findings == ()
        assert explanation.ok
        assert explanation.signature is (True if mode == "secret" else None)


@pytest.mark.parametrize("numbers", [range(8), pytest.param(range(8, 200), marks=pytest.mark.long)], ids=["", "more"])
@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode}" for name, mode in CASES])
def test_what_broke_a_link_is_the_first_finding(name: str, mode: str, numbers: range) -> None:
    found = [BREAKAGES[name][1](Random(f"{name} {number}")).explain(mode).findings for number in numbers]
    firsts = Counter(findings[0].code if findings else "none" for findings in found)
    assert firsts[name.partition("/")[0]] >= 0.99 * len(numbers), firsts


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.data())
def test_one_changed_character_is_always_found(random: Random, data: st.DataObject) -> None:
    use = working_link(random)
    at = data.draw(st.integers(use.url.index("?") + 1, len(use.url) - 1))
    other = data.draw(st.sampled_from("abcdefABCDEF0123456789-_~"))
    changed = use.url[:at] + other + use.url[at + 1 :]
    if unquote(changed) == unquote(use.url):
        return  # such as %2f for %2F
    explanation = use._replace(url=changed).explain("secret")
    assert explanation.findings or explanation.signature is None  # None: the access key was changed
    assert explanation.signature is not True or "x-oss-" not in str(explanation.findings)


@pytest.mark.parametrize(
    "filling", [" ", "\n", "?", "&amp;", "%25", "x-oss-date=", "?x-oss-date", "Signature=", "=\n", "\\", "#", "+"]
)
def test_hostile_strings_are_explained_quickly(filling: str) -> None:
    started = time.process_time()
    for tail in ("", "?x-oss-signature=1", "&x-oss-credential=a/b/c/d/e?"):
        signer.explain(("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a" + filling * 30_000)[:32_000] + tail)
    assert time.process_time() - started < 3
    with pytest.raises(signer.InvalidLink, match="longer"):
        signer.explain("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/" + "a" * 40_000)


def test_every_finding_has_a_title_and_advice() -> None:
    codes = {name.partition("/")[0] for name in BREAKAGES}
    assert codes <= set(ADVICE)
    assert set(FINDING_BY_EC.values()) | set(FINDING_BY_CODE.values()) <= set(ADVICE)
    for title, advice in ADVICE.values():
        assert title.endswith(".")
        assert advice.endswith(".")


def test_an_explanation_shows_what_the_link_contains() -> None:
    use = presign(headers={"X-Request-Color": "green"}, signed_headers=["x-request-color"])
    explanation = signer.explain(use.url, now=ISSUED + 60)
    assert (explanation.version, explanation.region, explanation.bucket, explanation.key) == (
        "V4",
        "cn-hangzhou",
        "examplebucket",
        "dir/a b.txt",
    )
    assert explanation.issued_at == datetime.fromtimestamp(ISSUED, timezone.utc)
    assert explanation.expires_at == datetime.fromtimestamp(ISSUED + 600, timezone.utc)
    assert (explanation.age, explanation.lifetime, explanation.remaining) == (60, 600, 540)
    assert explanation.temporary
    assert explanation.headers == ("x-request-color",)
    assert explanation.to_json()["expires_at"] == "2024-11-25T00:39:48Z"


def test_a_link_with_a_security_token_expires_at_the_latest_when_it_says() -> None:
    latest = "expires    at the latest 2024-11-25 00:39:48 UTC, in 9 minutes, valid for 10 minutes"
    explanation = signer.explain(presign().url, now=ISSUED + 60)
    assert f"{latest}; earlier if the security token does\n" in str(explanation)
    assert explanation.to_json()["has_token"] is True
    assert "expired    2024-11-25 00:39:48 UTC, 1 minute ago" in str(signer.explain(presign().url, now=ISSUED + 660))
    v1 = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?OSSAccessKeyId=STS.EXAMPLE&Expires=1732495188"
    assert "; earlier if the security" in str(signer.explain(f"{v1}&security-token=C&Signature=c2ln", now=ISSUED))


def test_a_link_without_a_security_token_expires_exactly_when_it_says() -> None:
    credentials = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    explanation = signer.explain(presign(credentials=credentials).url, now=ISSUED + 60)
    assert "expires    2024-11-25 00:39:48 UTC, in 9 minutes, valid for 10 minutes\n" in str(explanation)
    assert not explanation.has_token


def presign(**options: Any) -> signer.Link:
    return sign(key="dir/a b.txt", **{"credentials": CREDENTIALS, "expires_in": 600, "now": ISSUED, **options})


def test_a_link_is_found_in_other_text() -> None:
    for template in ("Location: {}\n", "<{}>", 'curl "{}" -o a', "  {}\n\n", "see '{}'."):
        assert signer.explain(template.format(presign().url), now=ISSUED).ok


@pytest.mark.parametrize(("make", "version"), [(oss2.Auth, "V1"), (oss2.AuthV2, "V2")])
def test_older_signature_versions_of_the_official_sdk_are_recognised(make: type, version: str) -> None:
    bucket = oss2.Bucket(
        make("LTAI5tEXAMPLE", "secretEXAMPLE"), "https://oss-cn-hangzhou.aliyuncs.com", "examplebucket"
    )
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
    assert [finding.code for finding in signer.explain(url, now=ISSUED).findings] == ["missing_token"]
    assert signer.explain(url + "&security-token=CAIS", now=ISSUED).ok


def test_links_for_the_s3_compatible_interface_are_recognised() -> None:
    scope = "LTAI5tEXAMPLE%2F20241125%2Foss-cn-hangzhou%2Fs3%2Faws4_request"
    base = "https://examplebucket.s3.oss-cn-hangzhou.aliyuncs.com/a.txt"
    v4_link = (
        f"{base}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date=20241125T002948Z"
        f"&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    )
    explanation = signer.explain(v4_link, now=ISSUED)
    assert (explanation.version, explanation.lifetime) == ("S3-compatible V4", 600)
    assert signer.explain(v4_link, now=ISSUED + 601).findings[0].code == "expired"
    v2_link = f"{base}?AWSAccessKeyId=LTAI5tEXAMPLE&Expires=1732495188&Signature=c2lnbg%3D%3D"
    assert signer.explain(v2_link, now=ISSUED).version == "S3-compatible V2"


def test_links_sorted_by_name_like_those_of_the_go_sdk_have_no_finding() -> None:
    link = presign(query={"x-oss-traffic-limit": "819200"})
    path, _, query = link.url.partition("?")
    url = path + "?" + "&".join(sorted(query.split("&"), key=lambda part: part.partition("=")[0]))
    assert url != link.url
    assert signer.explain(url, now=ISSUED).ok
    assert signer.explain(url + "&download=1", now=ISSUED).findings[0].code == "added_parameters"


def test_credentials_of_another_access_key_prove_nothing_and_a_note_says_so() -> None:
    other = signer.Credentials("LTAI5tANOTHEREXAMPLE", "secretEXAMPLE")
    explanation = signer.explain(presign().url, credentials=other, now=ISSUED)
    assert explanation.signature is None
    assert any("another access key" in note for note in explanation.notes)


def test_two_faults_at_once_are_both_proved() -> None:
    explanation = signer.explain(presign().url + "&utm_source=mail", method="HEAD", credentials=CREDENTIALS, now=ISSUED)
    proved = {finding.code for finding in explanation.findings if finding.certainty == "proved"}
    assert proved == {"wrong_method", "added_parameters"}


def test_a_string_without_a_link_is_refused_with_what_to_do() -> None:
    for string in ("", "hello", "ftp://example.com/a", "https://"):
        with pytest.raises(signer.InvalidLink, match=r"link|URL|address"):
            signer.explain(string)
