"""Whatever became of a link, what `explain` and `verify` say of it holds no piece of its secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from urllib.parse import quote, unquote

import pytest

import signer
from tests.signer.diagnosis.links import working_link
from tests.signer.signing import LETTERS, TEMPORARY, sign

RUN = 16  # characters in a row
ISSUED = 1_764_000_000
CREDENTIALS = signer.Credentials(
    "STS.NTuExAmPleExAmPLeExAmPle",
    "secretEXAMPLEsecretEXAMPLE",
    "CAIS" + "aB3+/dE5fG7hJ9kL" * 6 + "Qw==",
)
LINK = sign(key="a.txt", credentials=CREDENTIALS, now=ISSUED).url
QUERY = LINK.partition("?")[2]
TOKEN, SIGNATURE = quote(CREDENTIALS.security_token or "", safe=""), QUERY.rpartition("=")[2]
TOKEN_END = (CREDENTIALS.security_token or "")[-30:]
SHORT = sign(credentials=TEMPORARY, now=ISSUED).url  # its token is not recognised by itself
LOST_MARKS = ("%3F", "%253F", "/", "", "&", ";", "\uff1f")
SCOPE = "x-oss-credential=STS.x%2F20251128%2F"
OSS = "oss-cn-hangzhou.aliyuncs.com"


def secrets_of(credentials: signer.Credentials, url: str) -> tuple[str, ...]:
    token = credentials.security_token or ""
    signature = url.partition("x-oss-signature=")[2][:64]
    return (
        credentials.access_key_id,
        credentials.access_key_secret,
        token,
        quote(token, safe=""),
        signature,
    )


def leaked(secrets: tuple[str, ...], printed: str) -> set[str]:
    """Pieces of the secrets, in any case: a host is written in lower case."""
    return runs(*secrets) & runs(printed, unquote(printed))


def runs(*strings: str) -> set[str]:
    """Whatever stands in the strings as RUN characters in a row, in lower case."""
    return {string[i : i + RUN].lower() for string in strings for i in range(len(string) - RUN + 1)}


def printed_by(url: str, **options: object) -> str:
    try:
        explanation = signer.explain(url, **options)  # type: ignore[arg-type]
    except signer.InvalidLink as error:
        return str(error)
    return (
        f"{explanation}\n{explanation!r}\n{json.dumps(explanation.to_json(), ensure_ascii=False)}"
    )


CRAFTED = {
    "the bucket has the query": f"https://{OSS}/examplebucket&{QUERY}",
    "the bucket of an address has the query": f"http://127.0.0.1:9000/examplebucket&{QUERY}",
    "a slash was lost too": f"https://{OSS}/examplebuckettoken={TOKEN}&signature-{SIGNATURE}",
    "the host has the query": f"https://examplebucket.{OSS}&{QUERY}",
    "the region has the token": f"https://examplebucket.{OSS}/a?{SCOPE}cn-hang{TOKEN}&x-oss-date=20251124T160000Z",
    "the region has the signature": f"https://examplebucket.{OSS}/a?{SCOPE}cn-{SIGNATURE}%2Foss%2Faliyun_v4_request",
    "the region has the end of a word": f"https://examplebucket.{OSS}/a?{SCOPE}LE4WPfu97prv246oawk%2Foss%2Faliyun_v4_request",
    "the host has the token": f"https://static.example.co{TOKEN}?x-oss-date=20251124T160000Z",
    "a header has the token": f"{LINK}&x-oss-additional-headers=host%26x-oss-security-token={TOKEN}",
    "the key has a token alone": f"https://examplebucket.{OSS}/{CREDENTIALS.security_token}",
    "the key has the end of a token": f"https://examplebucket.{OSS}/reports/q3.pdf{TOKEN[25:]}&OSSAccessKeyId=LTAI",
    "the key has 24 characters of a token": f"https://examplebucket.{OSS}/q3.pdf{TOKEN_END}",
    "the key has the end of a signature": f"https://examplebucket.{OSS}/reports/q3{SIGNATURE[-24:]}",
    "the key has the end of a signature before a name": f"https://examplebucket.{OSS}/{SIGNATURE[-25:]}&h=AT0",
    "the file name is the end of a signature": f"https://examplebucket.{OSS}/reports/{SIGNATURE[-60:]}",
    "the key has 17 characters of a token": f"https://examplebucket.{OSS}/q3 {TOKEN_END[-17:]}&{SCOPE}cn-hangzhou",
    "the key has a signature alone": f"https://examplebucket.{OSS}/{SIGNATURE}/a.txt",
    "a name has the end of a signature": f"{LINK[:-44]}<br>&x-oss-{SIGNATURE[-30:]}",
    "the key has the signature of a wrapper": f"https://safelinks.example.com/u=examplebucket.{OSS}/X-OSS-SIGSIGNATURE="
    f"{SIGNATURE.upper()[:50]}om/q3.pdf?{QUERY.replace(SIGNATURE, SIGNATURE[::-1])}",
    "an EC has the end of a signature": f"<Code>AccessDenied</Code><EC>0003-0000{SIGNATURE[-30:].upper()}</EC>",
    "the key has a share": f"https://links.example.com/share:{'axN_' * 10}",
    **{f"{mark!a} for the question mark": SHORT.replace("?", mark) for mark in LOST_MARKS},
    **{
        f"{mark!a} for each slash": SHORT.replace("/", mark).replace(mark * 2, "//", 1)
        for mark in LOST_MARKS
        if mark
    },
}


@pytest.mark.parametrize("url", CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_link_shows_none_of_its_secrets(url: str) -> None:
    own = (*secrets_of(CREDENTIALS, LINK), *secrets_of(TEMPORARY, SHORT))
    secrets = (*own, "axN_" * 10, "LE4WPfu97prv246oawk")
    for credentials in (None, CREDENTIALS, TEMPORARY):
        assert not leaked(
            secrets, printed_by(url, credentials=credentials, now=ISSUED + 60, headers={})
        )


@pytest.mark.parametrize(
    "key",
    [
        "Users/AnnaMueller/Documents/LargeFolderNames/Reports/Year2026/Quarter3/FinalVersionOfTheReport",
        "objects/2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "IMG20261128WA0001/DSC00042Edited/Screenshot20261128at163355/1b4e28ba2fa111d2883f0016d3cca427",
    ],
)
def test_a_usual_key_is_shown(key: str) -> None:
    assert key in printed_by(f"https://examplebucket.{OSS}/{key}", now=ISSUED)


def lose(url: str, random: Random) -> str:
    at = random.randrange(8, len(url))
    return url[:at] + url[at + random.choice((1, 1, 1, 2, 5, 20, 100)) :]


def lose_delimiter(url: str, random: Random) -> str:
    at = random.choice([i for i, letter in enumerate(url) if letter in "?&=/%:." and i > 6])
    return url[:at] + url[at + 1 :]


def put_in(url: str, random: Random) -> str:
    at = random.randrange(8, len(url))
    return (
        url[:at]
        + random.choice(("/", "?", "&", "#", "@", ":", ";", "%", "%2F", "%26", " ", "\n", "x"))
        + url[at:]
    )


def replace_one(url: str, random: Random) -> str:
    at = random.randrange(8, len(url))
    return url[:at] + random.choice("/?&#@:;%=+ .-" + LETTERS) + url[at + 1 :]


def repeat(url: str, random: Random) -> str:
    at = random.randrange(8, len(url))
    return url[: at + random.randrange(60)] + url[at:]


def decode(url: str, random: Random) -> str:
    at = random.randrange(8, len(url))
    return url[:at] + unquote(url[at:])


DAMAGES: tuple[Callable[[str, Random], str], ...] = (
    lose,
    lose_delimiter,
    put_in,
    replace_one,
    repeat,
    decode,
)


@pytest.mark.parametrize(
    "numbers", [range(25), pytest.param(range(25, 4000), marks=pytest.mark.long)]
)
def test_a_link_with_one_random_damage_shows_none_of_its_secrets(numbers: range) -> None:
    leaks: dict[tuple[int, str], str] = {}
    for number in numbers:
        random = Random(f"damage {number}")
        use = working_link(random)
        damage = random.choice(DAMAGES)
        url = damage(use.url, random)
        for credentials in (None, use.credentials):
            printed = printed_by(
                url, credentials=credentials, now=use.now, method=use.method, headers={}
            )
            pieces = leaked(secrets_of(use.credentials, use.url), printed)
            if pieces:
                leaks[number, damage.__name__] = min(pieces)
        try:
            printed = repr(signer.verify(use.method, url, credentials=use.credentials, now=use.now))
        except signer.InvalidLink as error:
            printed = str(error)
        if leaked(secrets_of(use.credentials, use.url), printed):
            leaks[number, "verify"] = printed
    assert not leaks


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("2b0vcjbgxy6pfcfho3skzqqrnnnwrgvl8tv0uvr", "(not a host)"),
        ("2b0vcjbgxy6pfcfho3skzqqrnnnwrgvl8tv0uvr:443", "(not a host)"),
        (f"{'b' * 63}.oss-cn-hangzhou.aliyuncs.com", ""),
        ("localhost:9001", ""),
        ("oss:9001", ""),
        ("[::1]:9001", ""),
        ("static.example.com.", ""),
    ],
)
def test_a_host_without_a_dot_is_shown_where_it_is_short(host: str, shown: str) -> None:
    assert signer.explain(f"https://{host}/a?{QUERY}").host == (shown or host)


def test_a_leak_is_detected() -> None:
    assert leaked(secrets_of(CREDENTIALS, LINK), f"it is {LINK}")
