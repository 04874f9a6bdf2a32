"""A link that works has no finding; a broken one is explained by what broke it."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime, timezone
from random import Random
from urllib.parse import unquote

import hypothesis.strategies as st
import oss2
import pytest
from hypothesis import given, settings

import signer
from signer.diagnosis.advice import ADVICE
from signer.diagnosis.oss_error import BY_CODE, BY_EC
from tests.signer.diagnosis import breakages
from tests.signer.diagnosis.breakages import BREAKAGES, Use, good

CASES = [(name, mode) for name, (modes, _) in BREAKAGES.items() for mode in modes]
ISSUED = 1_732_494_588
SECRETS = signer.Credentials(
    "STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStokenEXAMPLE+/token+EXAMPLE=="
)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_good_link_has_no_finding(random: Random) -> None:
    use = good(random)
    for mode in ("bare", "secret"):
        told = use.explained(mode)
        assert told.findings == ()
        assert told.ok
        assert told.signature is (True if mode == "secret" else None)


@pytest.mark.parametrize(("name", "mode"), CASES, ids=[f"{name}-{mode}" for name, mode in CASES])
def test_what_broke_a_link_is_the_first_finding(name: str, mode: str) -> None:
    make = BREAKAGES[name][1][0]
    firsts = []
    for number in range(100):
        found = make(Random(f"{name} {number}")).explained(mode).findings
        firsts.append(found[0].code if found else "none")
    assert firsts.count(name.partition("/")[0]) >= 99, {code: firsts.count(code) for code in set(firsts)}


@pytest.mark.parametrize("name", sorted(BREAKAGES))
def test_an_explanation_tells_no_secret(name: str) -> None:
    modes, (make,) = BREAKAGES[name]
    for number in range(20):
        for mode in modes:
            use = make(Random(f"secret {name} {number}"))
            told = use.explained(mode)
            shown = str(told) + repr(told) + repr(told.to_json())
            assert not leaked(use, shown)


def leaked(use: Use, shown: str) -> list[str]:
    """Which of the secrets stands in a text, in pieces of 12 characters or more."""
    signature = use.url.partition("x-oss-signature=")[2][:64]
    secrets = [
        use.credentials.access_key_secret,
        use.credentials.access_key_id,
        use.credentials.security_token or "",
        signature,
    ]
    pieces = {secret[i : i + 12] for secret in secrets for i in range(max(len(secret) - 11, 0))}
    return [piece for piece in pieces if piece in shown]


def test_a_leak_would_be_seen() -> None:
    use = good(Random(1), credentials=SECRETS)
    assert leaked(use, f"the link {use.url}")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_explained_or_refused_with_a_sentence(text: str) -> None:
    refused: list[str] = []
    for prefix in ("", "https://", "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?x-oss-signature="):
        try:
            str(signer.explain(prefix + text, now=ISSUED, credentials=SECRETS))
        except signer.InvalidLink as error:
            refused.append(str(error))
    assert all(sentence.endswith(".") for sentence in refused)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.data())
def test_one_changed_character_never_passes(random: Random, data: st.DataObject) -> None:
    use = good(random)
    at = data.draw(st.integers(use.url.index("?") + 1, len(use.url) - 1))
    other = data.draw(st.sampled_from("abcdefABCDEF0123456789-_~"))
    changed = use.url[:at] + other + use.url[at + 1 :]
    if unquote(changed) == unquote(use.url):
        return  # %2f for %2F
    told = use._replace(url=changed).explained("secret")
    assert told.findings or told.signature is None  # None: the access key is no longer the one given
    assert told.signature is not True or "x-oss-" not in str(told.findings)


@pytest.mark.parametrize(
    "filling", [" ", "\n", "?", "&amp;", "%25", "x-oss-date=", "?x-oss-date", "=\n", "\\", "#", "+"]
)
def test_hostile_texts_take_no_time(filling: str) -> None:
    began = time.process_time()
    for tail in ("", "?x-oss-signature=1", "&x-oss-credential=a/b/c/d/e?"):
        signer.explain(("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a" + filling * 30_000)[:32_000] + tail)
    assert time.process_time() - began < 3
    with pytest.raises(signer.InvalidLink, match="longer"):
        signer.explain("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/" + "a" * 40_000)


def test_every_finding_has_its_words() -> None:
    codes = {name.partition("/")[0] for name in BREAKAGES}
    assert codes <= set(ADVICE)
    assert set(BY_EC.values()) | set(BY_CODE.values()) <= set(ADVICE)
    for title, advice in ADVICE.values():
        assert title.endswith(".")
        assert advice.endswith(".")


def test_it_says_what_the_link_says() -> None:
    use = a_link(headers={"X-Request-Color": "green"}, signed_headers=["x-request-color"])
    told = signer.explain(use.url, now=ISSUED + 60)
    assert (told.version, told.region, told.bucket, told.key) == ("V4", "cn-hangzhou", "examplebucket", "dir/a b.txt")
    assert told.issued_at == datetime.fromtimestamp(ISSUED, timezone.utc)
    assert told.expires_at == datetime.fromtimestamp(ISSUED + 600, timezone.utc)
    assert (told.age, told.lifetime, told.remaining) == (60, 600, 540)
    assert told.temporary
    assert told.headers == ("x-request-color",)
    assert "ends       2024-11-25 00:39:48 UTC, in 9 minutes, made for 10 minutes" in str(told)
    assert told.to_json()["expires_at"] == "2024-11-25T00:39:48Z"


def a_link(**given: object) -> signer.Link:
    return signer.presign(
        "GET",
        "examplebucket",
        "dir/a b.txt",
        credentials=SECRETS,
        endpoint=signer.Endpoint.public("cn-hangzhou"),
        expires_in=600,
        now=ISSUED,
        **given,  # type: ignore[arg-type]
    )


def test_a_link_is_found_within_other_text() -> None:
    for text in ("Location: {}\n", "<{}>", 'curl "{}" -o a', "  {}\n\n", "see '{}'."):
        assert signer.explain(text.format(a_link().url), now=ISSUED).ok


@pytest.mark.parametrize(("make", "version"), [(oss2.Auth, "V1"), (oss2.AuthV2, "V2")])
def test_older_versions_of_the_official_sdk_are_named(make: type, version: str) -> None:
    bucket = oss2.Bucket(
        make("LTAI5tEXAMPLE", "secretEXAMPLE"), "https://oss-cn-hangzhou.aliyuncs.com", "examplebucket"
    )
    url = bucket.sign_url("GET", "a.txt", 600)
    told = signer.explain(url)
    assert told.version == version
    assert told.ok
    assert 590 <= (told.remaining or 0) <= 600
    assert any(version in note for note in told.notes)
    late = signer.explain(url, now=4_000_000_000)
    assert [finding.code for finding in late.findings] == ["expired"]
    assert signer.explain(url.partition("&")[0]).findings[0].code == "truncated"


def test_a_temporary_key_without_its_token_is_found_in_v1_too() -> None:
    url = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?OSSAccessKeyId=STS.EXAMPLE&Expires=1732495188&Signature=c2lnbg%3D%3D"
    assert [finding.code for finding in signer.explain(url, now=ISSUED).findings] == ["missing_token"]
    assert signer.explain(url + "&security-token=CAIS", now=ISSUED).ok


def test_the_official_sdk_s_v4_links_have_no_finding() -> None:
    auth = oss2.AuthV4("LTAI5tEXAMPLE", "secretEXAMPLE")
    bucket = oss2.Bucket(auth, "https://oss-cn-hangzhou.aliyuncs.com", "examplebucket", region="cn-hangzhou")
    url = bucket.sign_url("GET", "dir/a b.txt", 600, slash_safe=True, params={"x-oss-traffic-limit": "819200"})
    assert signer.explain(url, credentials=signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")).signature is True
    assert signer.explain(url).ok


def test_links_for_the_s3_compatible_interface_are_named() -> None:
    scope = "LTAI5tEXAMPLE%2F20241125%2Foss-cn-hangzhou%2Fs3%2Faws4_request"
    base = "https://examplebucket.s3.oss-cn-hangzhou.aliyuncs.com/a.txt"
    four = (
        f"{base}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date=20241125T002948Z"
        f"&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    )
    told = signer.explain(four, now=ISSUED)
    assert (told.version, told.lifetime) == ("S3-compatible V4", 600)
    assert signer.explain(four, now=ISSUED + 601).findings[0].code == "expired"
    two = f"{base}?AWSAccessKeyId=LTAI5tEXAMPLE&Expires=1732495188&Signature=c2lnbg%3D%3D"
    assert signer.explain(two, now=ISSUED).version == "S3-compatible V2"


def test_links_sorted_by_name_as_the_sdk_for_go_makes_them_have_no_finding() -> None:
    link = a_link(query={"x-oss-traffic-limit": "819200"})
    path, _, query = link.url.partition("?")
    url = path + "?" + "&".join(sorted(query.split("&"), key=lambda part: part.partition("=")[0]))
    assert url != link.url
    assert signer.explain(url, now=ISSUED).ok
    assert signer.explain(url + "&download=1", now=ISSUED).findings[0].code == "added_parameters"


def test_credentials_of_another_key_prove_nothing_and_say_so() -> None:
    other = signer.Credentials("LTAI5tANOTHEREXAMPLE", "secretEXAMPLE")
    told = signer.explain(a_link().url, credentials=other, now=ISSUED)
    assert told.signature is None
    assert any("another access key" in note for note in told.notes)


def test_two_faults_at_once_are_both_proved() -> None:
    told = signer.explain(a_link().url + "&utm_source=mail", method="HEAD", credentials=SECRETS, now=ISSUED)
    proved = {finding.code for finding in told.findings if finding.certainty == "proved"}
    assert proved == {"wrong_method", "added_parameters"}


def test_no_link_is_refused_with_what_to_do() -> None:
    for text in ("", "hello", "ftp://example.com/a", "https://"):
        with pytest.raises(signer.InvalidLink, match=r"link|URL|address"):
            signer.explain(text)


def test_importing_the_signer_stays_light() -> None:
    code = (
        "import sys, signer\n"
        "heavy = {'dataclasses', 'inspect', 'click', 'tqdm', 'requests', 'xml', 'html', 'logging', 'pathlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_the_confusion_table_counts_every_link() -> None:
    table = breakages.confusion(2)
    assert set(table) == set(CASES)
    assert all(sum(row.values()) == 2 for row in table.values())
