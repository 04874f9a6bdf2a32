"""With the key of a CDN, `explain` proves which part of a link is wrong; nothing that it says is secret."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest

import signer
from signer import CdnKey
from tests.signer.cli.command import BARE, run
from tests.signer.diagnosis.test_no_secret_leaves import DAMAGES, leaked, printed_by
from tests.signer.signing import sign

KEY = "aliyuncdnexp1234EXAMPLE"
NOW = 1_780_000_000  # 2026-05-28 20:26:40 UTC
ENDS = NOW + 600
TIME = ENDS - 1800
ORIGIN = "https://static.example.com"
PATH = "/videos/a%20b/%E9%98%BF%E9%87%8C.mp4"
SMALL = "/videos/a%20b/%e9%98%bf%e9%87%8c.mp4"
CDN = CdnKey(KEY)
TOKEN = CdnKey(KEY, parameter="token")
ANOTHER = CdnKey("anotherEXAMPLE")


def md5(*parts: object) -> str:
    return hashlib.md5("".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def link(cdn: CdnKey = CDN, path: str = PATH) -> str:
    return signer.presign_cdn(ORIGIN + path, cdn, expires_in=600, now=NOW).url


def signed(path: str, time: object = TIME, sent: str = PATH) -> str:
    return f"{ORIGIN}{sent}?auth_key={time}-0-0-{md5(path, '-', time, '-0-0-', KEY)}"


class Damage(NamedTuple):
    """What became of a link, and the findings with the key; a code that is proved ends with !."""

    url: str
    cdn: CdnKey
    findings: tuple[str, ...]
    without_key: str = "cdn_address"


TABLE = {
    "nothing": Damage(link(), CDN, ()),
    "nothing, with a parameter of the domain": Damage(link(TOKEN), TOKEN, ()),
    "nothing, a query that is not signed": Damage(link(path=f"{PATH}?v=1"), CDN, ()),
    "expired": Damage(signed(PATH, TIME - 601), CDN, ("expired",)),
    "expired, and its key is another": Damage(
        signed(PATH, TIME - 601), ANOTHER, ("expired", "cdn_mismatch")
    ),
    "another key": Damage(link(), ANOTHER, ("cdn_mismatch",)),
    "another object": Damage(link().replace("videos", "photos"), CDN, ("cdn_mismatch",)),
    "a time that was changed": Damage(
        link().replace(str(TIME), str(TIME + 3600)), CDN, ("altered_parameter!",)
    ),
    "a time in milliseconds": Damage(signed(PATH, TIME * 1000), CDN, ("cdn_encoding",), "unsigned"),
    "a time with a zero before it": Damage(
        signed(PATH, f"0{TIME}"), CDN, ("cdn_encoding",), "unsigned"
    ),
    "the path signed decoded": Damage(signed("/videos/a b/阿里.mp4"), CDN, ("cdn_encoding!",)),
    "the path signed and sent decoded": Damage(
        signed("/videos/阿里.mp4", sent="/videos/阿里.mp4"), CDN, ("cdn_encoding!",)
    ),
    "the path signed encoded twice": Damage(
        signed(PATH.replace("%", "%25")), CDN, ("cdn_encoding!",)
    ),
    "a plus sign signed for a space": Damage(
        signed(PATH.replace("%20", "+")), CDN, ("cdn_encoding!",)
    ),
    "a plus sign sent for a space": Damage(
        signed(PATH, sent=PATH.replace("%20", "+")), CDN, ("cdn_encoding!",)
    ),
    "small escapes signed": Damage(signed(SMALL), CDN, ("cdn_encoding!",)),
    "small escapes sent": Damage(signed(PATH, sent=SMALL), CDN, ("cdn_encoding!",)),
    "no first slash signed": Damage(signed(PATH[1:]), CDN, ("cdn_encoding!",)),
    "the query signed": Damage(
        signed(f"{PATH}?v=1").replace("?auth_key", "?v=1&auth_key"), CDN, ("cdn_encoding!",)
    ),
    "a parameter of another name": Damage(link(TOKEN), CDN, ("cdn_wrong_type!",)),
    "a parameter of another name, and another key": Damage(
        link(TOKEN), ANOTHER, ("cdn_wrong_type",)
    ),
    "the parameter is missing": Damage(ORIGIN + PATH, CDN, ("unsigned",), "unsigned"),
    "the parameter twice": Damage(f"{link()}&auth_key=1", CDN, ("unsigned",)),
    "a time out of any calendar": Damage(
        signed(PATH, "9" * 20), CDN, ("cdn_encoding",), "unsigned"
    ),
}


@pytest.mark.parametrize("damage", TABLE.values(), ids=TABLE)
def test_the_key_proves_what_is_wrong_wherever_verify_finds_a_fault_and_is_not_shown(
    damage: Damage,
) -> None:
    explanation = signer.explain(damage.url, cdn=damage.cdn, now=NOW)
    found = tuple(
        finding.code + "!" * (finding.certainty == "proved") for finding in explanation.findings
    )
    assert found == damage.findings
    assert "for OSS" in str(explanation)
    fault = signer.verify_cdn(damage.url, damage.cdn, now=NOW)
    assert (explanation.ok and fault) in (False, None)
    assert explanation.signature or fault
    (finding,) = signer.explain(damage.url, now=NOW).findings
    assert finding.code == damage.without_key
    assert ("the CDN's default validity of 30 minutes" in finding.evidence) == (
        finding.code == "cdn_address"
    )
    md5s = [] if damage.url == ORIGIN + PATH else [md5_of(damage.url)]
    for cdn in (None, damage.cdn):
        shown = printed_by(damage.url, cdn=cdn, now=NOW)
        assert not leaked((KEY, *md5s), shown)
        assert "anotherEXAMPLE" not in shown


def test_the_end_without_the_key_is_that_of_the_default() -> None:
    before, after = (
        signer.explain(link(), now=now).findings[0].evidence for now in (ENDS - 1, ENDS)
    )
    assert (
        "it ends at 2026-05-28 20:36:40" in before,
        "it ended at 2026-05-28 20:36:40" in after,
    ) == (True, True)


# The addresses of the pages on the other types.
@pytest.mark.parametrize(
    "target",
    [
        "/201508150800/9044548ef1527deadafa49a890a377f0/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3",
        "/a37fa50a5fb8f71214b1e7c95ec7a1bd/55CE8100/test.flv",
        "/test.flv?sign=c6880e19a04f71f9a585d0394cf0794e&time=55ce8100",
    ],
)
def test_a_link_of_another_type_is_only_named(target: str) -> None:
    for key, code in ((None, "cdn_address"), (CDN, "cdn_wrong_type")):
        (finding,) = signer.explain(ORIGIN + target, cdn=key, now=NOW).findings
        assert (finding.code, finding.certainty) == (code, "likely")
        assert finding.evidence == "It has the form of another type than A."


REASONS = {
    "no url arg auth_key": "unsigned",
    "expired timestamp=1439469547": "expired",
    "invalid md5hash=de7bfdc915ced05e17380a149bd760be": "cdn_mismatch",
}


def answer(reason: str) -> str:
    return f"HTTP/1.1 403 Forbidden\r\nServer: Tengine\r\nX-Tengine-Error: denied by {reason}\r\n\r\n<html></html>\r\n"


@pytest.mark.parametrize(("reason", "code"), REASONS.items())
def test_the_header_of_the_answer_names_the_cause(reason: str, code: str) -> None:
    explanation = signer.explain(link(), error_xml=answer(f"req auth: {reason}"), now=NOW)
    assert [(f.code, f.certainty) for f in explanation.findings] == [
        (code, "certain"),
        ("cdn_address", "possible"),
    ]
    assert "de7bfdc915ced05e" not in str(explanation)


def test_the_key_says_more_than_the_header_and_another_rule_more_than_the_key() -> None:
    url = signed("/videos/a b/阿里.mp4")
    codes = [
        [
            finding.code
            for finding in signer.explain(url, cdn=CDN, error_xml=answer(reason), now=NOW).findings
        ]
        for reason in ("req auth: invalid md5hash=0", "Referer ACL")
    ]
    assert codes == [["cdn_encoding"], ["cdn_encoding", "other_error"]]
    right = signer.explain(
        link(), cdn=CDN, error_xml=answer("req auth: invalid md5hash=0"), now=NOW
    )
    assert (right.signature, [finding.code for finding in right.findings]) == (
        True,
        ["cdn_mismatch"],
    )


def test_a_link_of_oss_behind_a_cdn_lacks_the_signature_of_the_cdn() -> None:
    url = sign(endpoint=signer.Endpoint.custom_domain(ORIGIN, "cn-hangzhou"), now=NOW).url
    explanation = signer.explain(url, cdn=CDN, now=NOW)
    assert ([finding.code for finding in explanation.findings], explanation.signature) == (
        ["unsigned"],
        False,
    )


def test_a_cdn_on_the_laptop_is_read_like_a_domain() -> None:
    url = link().replace(ORIGIN, "http://127.0.0.1:9003")
    assert signer.explain(url, cdn=CDN, now=NOW).ok
    assert signer.explain(url, now=NOW).findings[0].code == "cdn_address"


def test_an_invalid_key_is_named_and_not_shown() -> None:
    wrong = CdnKey("secret EXAMPLE")
    for call in (
        lambda: signer.explain(link(), cdn=wrong),
        lambda: signer.verify_cdn(link(), wrong),
    ):
        with pytest.raises(signer.InvalidCdnKey) as caught:
            call()
        assert "EXAMPLE" not in str(caught.value)


# --- secrecy ---------------------------------------------------------------------------------------------------------


def md5_of(url: str) -> str:
    return next(part for part in re.split("[=/&?-]", url) if len(part) == 32)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_link_shows_no_piece_of_its_md5(damage: Callable[[str, Random], str]) -> None:
    for number in range(8):
        random = Random(f"cdn {number}")
        broken = damage(link(), random)
        for key in (None, CDN):
            assert not leaked((KEY, md5_of(link())), printed_by(broken, cdn=key, now=NOW)), broken


# --- the command -----------------------------------------------------------------------------------------------------


def lasting(cdn: CdnKey = CDN) -> str:
    return signer.presign_cdn(ORIGIN + PATH, cdn, expires_in=600).url


@pytest.mark.parametrize(
    ("cdn", "options"),
    [
        (CDN, ["--cdn-key", "-"]),
        (
            CdnKey(KEY, 60, "token"),
            ["--cdn-key", "-", "--cdn-valid-for", "60", "--cdn-parameter", "token"],
        ),
    ],
    ids=str,
)
def test_the_command_reads_the_key_from_the_first_line(cdn: CdnKey, options: list[str]) -> None:
    url = lasting(cdn)
    for arguments, stdin in (((url,), f"{KEY}\n"), (("-",), f"{KEY}\n{url}\n")):
        done = run("explain", *arguments, *options, stdin=stdin, env=BARE)
        assert (done.returncode, "signature  matches" in done.stdout) == (0, True)
    wrong = run("explain", url, *options, "--json", stdin="anotherEXAMPLE\n", env=BARE)
    assert (wrong.returncode, json.loads(wrong.stdout)["signature"]) == (1, False)


def test_what_curl_printed_may_follow_the_link() -> None:
    pasted = f"{lasting()}\n{answer('req auth: invalid md5hash=de7bfdc915ced05e17380a149bd760be')}"
    for text in (
        pasted,
        pasted.replace("X-Tengine", "x-tengine"),
        pasted.replace("\r\n", "\r\n< "),
    ):
        done = run("explain", "-", "--json", stdin=text, env=BARE)
        codes = [finding["code"] for finding in json.loads(done.stdout)["findings"]]
        assert (done.returncode, codes) == (1, ["cdn_mismatch", "cdn_address"])
        assert "de7bfdc915ced05e" not in done.stdout + done.stderr


def test_the_key_is_no_argument_and_an_invalid_one_is_not_repeated() -> None:
    for arguments, stdin in ((("--cdn-key", KEY), ""), (("--cdn-key", "-"), f"{KEY} {KEY}\n")):
        done = run("explain", lasting(), *arguments, stdin=stdin, env=BARE)
        assert done.returncode == 2
        assert f"{KEY} {KEY}" not in done.stdout + done.stderr


def test_the_settings_of_a_cdn_without_its_key_are_a_mistake() -> None:
    done = run("explain", lasting(), "--cdn-valid-for", "60", env=BARE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Add --cdn-key -" in done.stderr
