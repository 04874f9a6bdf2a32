"""Whatever stands in a paste, it is explained in time, and what is printed has no control character and no secret.

A shape is a fragment of FRAGMENTS in a place of PLACES: beside a link, in it, or in an answer; once, or in 1 MB.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from unittest.mock import patch

import pytest

import signer
from signer.diagnosis.causes import FINDING_BY_CODE
from tests.signer.cli.command import BARE, run
from tests.signer.diagnosis.test_no_secret_leaves import leaked, secrets_of
from tests.signer.signing import sign

CREDENTIALS = signer.Credentials(
    "STS.NTuExAmPleExAmPLeExAmPle",
    "fakesecretEXAMPLEfakesecretEXA",
    "CAIS" + "aB3+/dE5fG7hJ9kL" * 6 + "Qw==",
)
ISSUED = 1_772_613_886
NOW = ISSUED + 60
LINK = sign(key="reports/a b.txt", credentials=CREDENTIALS, now=ISSUED).url
ADDRESS, QUERY = LINK.split("?")
ANSWER = (
    "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
    "<EC>0026-00000001</EC><HostId>host</HostId></Error>"
)
MEGABYTE = 1 << 20

FRAGMENTS = {
    "control characters": (
        "\x00",
        "\x01",
        "\x08",
        "\t",
        "\n",
        "\x0b",
        "\x0c",
        "\r",
        "\r\n",
        "\x7f",
        "\x80",
        "\x85",
        "\x1b",
        "\x1b[31m",
        "\x1b[2J",
        "\x1b]0;a\x07",
        "\x1b]8;;a\x1b\\",
        "\x9b31m",
        "\x9d0;a\x9c",
    ),
    "characters that are not seen, and halves of some": (
        "\xa0",
        "\xad",
        "\u200b",
        "\u200e",
        "\u202e",
        "\u2028",
        "\u2066",
        "\ufeff",
        "\ufffe",
        "\uffff",
        "\ud800",
        "\udc80",
        "\udfff",
        "\U0001f600",
        "\U0010ffff",
        "e\u0301",
    ),
    "percent-encoding": (
        "%00",
        "%0d%0a",
        "%1b%5b31m",
        "%7f",
        "%9b",
        "%ff",
        "%c0%af",
        "%ed%a0%80",
        "%",
        "%2",
        "%zz",
        "%25",
        "%2500",
        "+",
        "&",
        "&a=1",
        "&&&&",
        "&=&=",
        "=",
        "=\n",
        "?",
        "? ",
        "#",
        ";",
        "_",
        "*__;",
    ),
    "escapes": (
        "\\",
        "\\\\",
        "\\0",
        "\\x00",
        "\\n",
        "\\u0000",
        "\\u001b",
        "\\ud800",
        "\\'",
        '^"',
        "&#0;",
        "&#27;",
        "&#xd800;",
        "&#x110000;",
        "&amp;",
        "&lt;",
        "&;",
        "&b;",
        "&lt;Error&gt;",
        "PD94bWwg",
    ),
    "elements, and halves of them": (
        "<",
        "</",
        "<Error>",
        "</Error>",
        "<Error",
        "rror>",
        "<Code>",
        "</Code>",
        "<Code",
        "<Code></Code>",
        "<Message>",
        "ssage>",
        "<EC>",
        "<EC>0003-",
        "00000001</EC>",
        "<CanonicalRequest>",
        "<StringToSign>",
        "<SignatureProvided>",
        "<AuthAction>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?xml ",
        "<a b='c'>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    ),
    "what is looked for": (
        " ",
        "a.a",
        "https://",
        "https://a.b/ ",
        "http%3A%2F%2F",
        "x-oss-date=",
        "x-oss-signature=",
        "> ",
        "code: ",
        "message: a",
        "AccessDenied ",
        "SomeNewError ",
        "0003-00000001 ",
        "error code: ",
        "HTTP 403 ",
        "status: ",
        "403 ",
        "403\n",
        "Authorization error: ",
        "x-oss-err: ",
        "Date: ",
        "X-Tengine-Error: denied by req auth: ",
        "2026-03-04T08:45:46Z ",
        "GET /a HTTP/1.1\n",
        "curl -I ",
        "fetch(",
        '"',
        "'",
        "(",
        "[",
        "{",
        "|",
        ">",
        "`",
    ),
}
Place = Callable[[str], str]
BESIDE: dict[str, Place] = {
    "alone": lambda fragment: fragment,
    "before the link": lambda fragment: f"{fragment}\n{LINK}",
    "after the link": lambda fragment: f"{LINK}\n{fragment}",
}
IN_LINK: dict[str, Place] = {
    "at its end": lambda fragment: LINK + fragment,
    "in its host": lambda fragment: LINK.replace("bucket.", f"bucket{fragment}.", 1),
    "in its key": lambda fragment: f"{ADDRESS[:-5]}{fragment}{ADDRESS[-5:]}?{QUERY}",
    "before its first parameter": lambda fragment: f"{ADDRESS}?{fragment}{QUERY}",
    "in its credential": lambda fragment: LINK.replace("%2Fcn-", f"{fragment}%2Fcn-"),
    "in its token": lambda fragment: LINK.replace("=CAIS", f"=CAIS{fragment}"),
    "in its signature": lambda fragment: f"{LINK[:-20]}{fragment}{LINK[-20:]}",
}
IN_ANSWER: dict[str, Place] = {
    "after the answer": lambda fragment: f"{LINK}\n{ANSWER}{fragment}",
    "in its code": lambda fragment: f"{LINK}\n{ANSWER.replace('SuchKey', f'Such{fragment}Key')}",
    "in its message": lambda fragment: (
        f"{LINK}\n{ANSWER.replace('key does', f'key {fragment} does')}"
    ),
    "in its EC": lambda fragment: f"{LINK}\n{ANSWER.replace('0026-', f'0026-{fragment}')}",
    "in an element of it": lambda fragment: f"{LINK}\n{ANSWER.replace('host', fragment)}",
}
PLACES = BESIDE | IN_LINK | IN_ANSWER
# What may be certain of a link that has the fragment in it.
_OF_LINK = {
    "added_parameters",
    "bucket_not_in_host",
    "decoded",
    "double_encoded",
    "html_escaped",
    "json_escaped",
    "line_broken",
    "malformed_parameter",
    "missing_parameter",
    "plus_decoded",
    "rewritten_key",
    "shell_escaped",
    "trailing_text",
    "truncated",
    "unsigned",
    "wrong_token",
}
_NOT_PRINTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def may_be_certain(place: str, fragment: str) -> set[str]:
    said = {finding for code, finding in FINDING_BY_CODE.items() if code in fragment}
    if fragment in ("SomeNewError ", "X-Tengine-Error: denied by req auth: "):
        said.add("other_error")
    if place in IN_ANSWER:
        said |= {"no_such_key", "other_error"}
    # This goes on with the link on its next line.
    if place in IN_LINK or fragment == "&a=1":
        said |= _OF_LINK
    return said


def faults_of(place: str, fragment: str, credentials: signer.Credentials | None) -> list[str]:
    """What is wrong with what the library says of a shape."""
    try:
        explanation = signer.explain(PLACES[place](fragment), credentials=credentials, now=NOW)
    except signer.InvalidLink as error:
        return faults_in(str(error))
    printed = f"{explanation}\n{explanation.in_words('zh')}\n{explanation!r}"
    certain = {
        each.code for each in explanation.findings if each.certainty in ("certain", "proved")
    }
    return [*faults_in(printed), *sorted(certain - may_be_certain(place, fragment))]


def faults_in(printed: str) -> list[str]:
    faults = sorted(leaked(secrets_of(CREDENTIALS, LINK), printed))
    return [*faults, *map(repr, _NOT_PRINTED.findall(printed))]


ALL = [fragment for fragments in FRAGMENTS.values() for fragment in fragments]


def test_there_are_at_least_88_fragments() -> None:
    assert len(set(ALL)) == len(ALL) >= 88


def test_a_fragment_leads_to_nothing_that_is_wrong() -> None:
    faults = {}
    for number, fragment in enumerate(ALL):
        place = [*PLACES][number % len(PLACES)]
        faults[place, fragment] = faults_of(place, fragment, None)
    assert {shape: fault for shape, fault in faults.items() if fault} == {}


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("credentials", [None, CREDENTIALS], ids=["link", "secret"])
def test_a_fragment_in_any_place_leads_to_nothing_that_is_wrong(
    credentials: signer.Credentials | None, place: str
) -> None:
    faults = {fragment: faults_of(place, fragment, credentials) for fragment in ALL}
    assert {fragment: fault for fragment, fault in faults.items() if fault} == {}


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
def test_the_command_prints_nothing_that_is_wrong_either(place: str) -> None:
    env = {
        **BARE,
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
        "OSS_SESSION_TOKEN": CREDENTIALS.security_token or "",
    }
    for fragment in ALL:
        text = PLACES[place](fragment).encode("utf-8", "surrogatepass")
        with patch("time.time", return_value=float(NOW)):
            done = run("explain", "-", stdin=text.decode(errors="surrogateescape"), env=env)
        assert done.returncode in (0, 1, 2), fragment
        assert faults_in(done.stdout + done.stderr) == [], fragment


@pytest.mark.parametrize(
    "line",
    [
        "https://a.b/ 404 Not Found\n",
        pytest.param("403 Forbidden ", marks=pytest.mark.long),
        pytest.param(f"{LINK}\n", marks=pytest.mark.long),
        pytest.param(f"{LINK} HTTP 404 ", marks=pytest.mark.long),
    ],
)
def test_a_megabyte_of_statuses_and_links_is_read_within_two_seconds(line: str) -> None:
    filling = (line * (1 + MEGABYTE // len(line)))[:MEGABYTE]
    text = f"{LINK}\nhttps://a.b/ 403 Forbidden\n" * 50 + filling
    started = time.process_time()
    explanation = signer.explain(text, now=NOW)
    assert time.process_time() - started < 2
    assert explanation.version == "V4"


@pytest.mark.parametrize(
    "fragment",
    [
        pytest.param(each, marks=() if each in (" ", "\n", "|") else pytest.mark.long)
        for each in ALL
    ],
)
def test_a_megabyte_of_any_fragment_is_read_within_two_seconds(fragment: str) -> None:
    filling = (fragment * (1 + MEGABYTE // len(fragment)))[:MEGABYTE]
    for place in ("alone", "after the link", "in its code"):
        started = time.process_time()
        try:
            printed = str(signer.explain(PLACES[place](filling), now=NOW))
        except signer.InvalidLink as error:
            printed = str(error)
        assert time.process_time() - started < 2, place
        assert len(printed) < 20_000, place
        assert faults_in(printed) == [], place


def test_a_fault_is_detected() -> None:
    assert faults_in(f"it is {LINK}")
    assert faults_in("\x1b[31m") == [r"'\x1b'"]
    assert faults_in("it is a link\n") == []
    with patch.dict(PLACES, {"alone": IN_ANSWER["after the answer"]}):
        assert faults_of("alone", "", None) == ["no_such_key"]
