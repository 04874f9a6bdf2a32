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
from tests.signer.diagnosis.test_no_secret_leaves import DAMAGES, leaked

KEY = "aliyuncdnexp1234EXAMPLE"
NOW = 1_780_000_000  # 2026-05-28 20:26:40 UTC
ENDS = NOW + 600
TIME = ENDS - 1800
ORIGIN = "https://static.example.com"
PATH = "/videos/a%20b/%E9%98%BF%E9%87%8C.mp4"
SMALL = "/videos/a%20b/%e9%98%bf%e9%87%8c.mp4"
A, B, C, F = (CdnKey(kind, KEY) for kind in "ABCF")
DECIMAL = F._replace(format="decimal")


def md5(*parts: object) -> str:
    return hashlib.md5("".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def link(cdn: CdnKey, expires_in: int = 600, path: str = PATH) -> str:
    arguments = cdn._replace(key=KEY)._asdict()
    return signer.presign_cdn(ORIGIN + path, expires_in=expires_in, now=NOW, **arguments).url


def signed_a(path: str, time: int = TIME, sent: str = PATH) -> str:
    return f"{ORIGIN}{sent}?auth_key={time}-0-0-{md5(path, '-', time, '-0-0-', KEY)}"


def signed_c(path: str, time: str = f"{TIME:x}", sent: str = PATH, written: str = f"{TIME:x}") -> str:
    return f"{ORIGIN}/{md5(KEY, path, time)}/{written}{sent}"


def signed_b(time: str) -> str:
    return f"{ORIGIN}/{time}/{md5(KEY, time, PATH)}{PATH}"


class Damage(NamedTuple):
    """What became of a link, and the findings with the key; a code that is proved ends with !."""

    url: str
    cdn: CdnKey
    findings: tuple[str, ...]
    without_key: str = "cdn_address"


TABLE = {
    "nothing, type A": Damage(link(A), A, ()),
    "nothing, type B": Damage(link(B), B, ()),
    "nothing, type C": Damage(link(C), C, ()),
    "nothing, type F": Damage(link(F), F, ()),
    "nothing, type F in decimal": Damage(link(DECIMAL), DECIMAL, ()),
    "nothing, a query that is not signed": Damage(link(A, path=f"{PATH}?v=1"), A, ()),
    "expired, type A": Damage(signed_a(PATH, TIME - 601), A, ("expired",)),
    "expired, and its key is another": Damage(
        signed_a(PATH, TIME - 601), A._replace(key="anotherEXAMPLE"), ("expired", "cdn_mismatch")
    ),
    "another key": Damage(link(C), C._replace(key="anotherEXAMPLE"), ("cdn_mismatch",)),
    "another object": Damage(link(A).replace("videos", "photos"), A, ("cdn_mismatch",)),
    "a time that was changed": Damage(link(A).replace(str(TIME), str(TIME + 3600)), A, ("altered_parameter!",)),
    "a time that was changed, type C": Damage(
        link(C).replace(f"{TIME:x}", f"{TIME + 86400:x}"), C, ("altered_parameter!",)
    ),
    "UTC instead of UTC+8": Damage(signed_b("202605282026"), B, ("expired", "cdn_encoding")),
    "UTC signed, UTC+8 written": Damage(
        f"{ORIGIN}/202605290426/{md5(KEY, '202605282026', PATH)}{PATH}", B, ("altered_parameter!",)
    ),
    "a decimal time, type C": Damage(signed_c(PATH, str(TIME), written=str(TIME)), C, ("cdn_encoding",), "unsigned"),
    "a decimal time signed, type C": Damage(signed_c(PATH, str(TIME)), C, ("cdn_encoding!",)),
    "a hexadecimal time, type F in decimal": Damage(link(F), DECIMAL, ("cdn_encoding",)),
    "a decimal time, type F in hexadecimal": Damage(link(DECIMAL), F, ("cdn_encoding",)),
    "capital digits signed": Damage(signed_c(PATH, f"{TIME:X}"), C, ("cdn_encoding!",)),
    "capital digits sent": Damage(signed_c(PATH, written=f"{TIME:X}"), C, ("cdn_encoding!",)),
    "the path signed decoded": Damage(signed_a("/videos/a b/阿里.mp4"), A, ("cdn_encoding!",)),
    "the path signed and sent decoded": Damage(
        signed_a("/videos/阿里.mp4", sent="/videos/阿里.mp4"), A, ("cdn_encoding!",)
    ),
    "the path signed encoded twice": Damage(signed_a(PATH.replace("%", "%25")), A, ("cdn_encoding!",)),
    "a plus sign signed for a space": Damage(signed_a(PATH.replace("%20", "+")), A, ("cdn_encoding!",)),
    "a plus sign sent for a space": Damage(signed_a(PATH, sent=PATH.replace("%20", "+")), A, ("cdn_encoding!",)),
    "small escapes signed": Damage(signed_c(SMALL), C, ("cdn_encoding!",)),
    "small escapes sent": Damage(
        signed_c(PATH, sent=SMALL), C, ("cdn_encoding!",)
    ),
    "no first slash signed": Damage(signed_a(PATH[1:]), A, ("cdn_encoding!",)),
    "the query signed": Damage(
        signed_a(f"{PATH}?v=1").replace("?auth_key", "?v=1&auth_key"), A, ("cdn_encoding!",)
    ),
    "type B where C is set": Damage(link(B), C, ("cdn_wrong_type!",)),
    "type A where F is set": Damage(link(A), F, ("cdn_wrong_type!",)),
    "type F where A is set": Damage(link(F), A, ("cdn_wrong_type!",)),
    "the form of another type, and another key": Damage(link(C), B._replace(key="anotherEXAMPLE"), ("cdn_wrong_type",)),
    "the order of another type": Damage(
        f"{ORIGIN}{PATH}?auth_key={TIME}-0-0-{md5(KEY, PATH, TIME)}", A, ("cdn_wrong_type!",)
    ),
    "a parameter of another name": Damage(link(A).replace("auth_key", "token"), A, ("cdn_wrong_type!",)),
    "the parameter is missing": Damage(ORIGIN + PATH, A, ("unsigned",), "unsigned"),
    "the parameter twice": Damage(f"{link(A)}&auth_key=1", A, ("unsigned",), "unsigned"),
    "a time out of any calendar": Damage(signed_c(PATH, "f" * 20, written="f" * 20), C, ("cdn_encoding",), "unsigned"),
}  # fmt: skip
rows = pytest.mark.parametrize("damage", TABLE.values(), ids=TABLE)


@rows
def test_the_key_proves_which_part_is_wrong(damage: Damage) -> None:
    explanation = signer.explain(damage.url, cdn=damage.cdn, now=NOW)
    found = tuple(finding.code + "!" * (finding.certainty == "proved") for finding in explanation.findings)
    assert found == damage.findings
    assert "for OSS" in str(explanation)


@rows
def test_without_the_key_the_address_shows_its_type_and_end(damage: Damage) -> None:
    (finding,) = signer.explain(damage.url, now=NOW).findings
    assert finding.code == damage.without_key
    assert ("the CDN's default validity of 30 minutes" in finding.evidence) == (finding.code == "cdn_address")


def test_the_end_without_the_key_is_that_of_the_default() -> None:
    for url in map(link, (A, B, C, F, DECIMAL)):
        before, after = (signer.explain(url, now=now).findings[0].evidence for now in (ENDS - 61, ENDS))
        assert ("it ends at 2026-05-28 20:3" in before, "it ended at 2026-05-28 20:3" in after) == (True, True)


@rows
def test_explain_finds_a_fault_wherever_verify_does(damage: Damage) -> None:
    fault = signer.verify_cdn(damage.url, damage.cdn, now=NOW)
    explanation = signer.explain(damage.url, cdn=damage.cdn, now=NOW)
    assert (explanation.ok and fault) in (False, None)
    assert explanation.signature or fault


REASONS = {
    "no url arg auth_key": "unsigned",
    "no <encoded> or <plain>": "unsigned",
    "expired timestamp=1439469547": "expired",
    "invalid md5hash=de7bfdc915ced05e17380a149bd760be": "cdn_mismatch",
}


def answer(reason: str) -> str:
    return f"HTTP/1.1 403 Forbidden\r\nServer: Tengine\r\nX-Tengine-Error: denied by {reason}\r\n\r\n<html></html>\r\n"


@pytest.mark.parametrize(("reason", "code"), REASONS.items())
def test_the_header_of_the_answer_names_the_cause(reason: str, code: str) -> None:
    explanation = signer.explain(link(A), error_xml=answer(f"req auth: {reason}"), now=NOW)
    assert [(f.code, f.certainty) for f in explanation.findings] == [(code, "certain"), ("cdn_address", "possible")]
    assert "de7bfdc915ced05e" not in str(explanation)


def test_the_key_says_more_than_the_header_and_another_rule_more_than_the_key() -> None:
    url = signed_a("/videos/a b/阿里.mp4")
    codes = [
        [finding.code for finding in signer.explain(url, cdn=A, error_xml=answer(reason), now=NOW).findings]
        for reason in ("req auth: invalid md5hash=0", "Referer ACL")
    ]
    assert codes == [["cdn_encoding"], ["cdn_encoding", "other_error"]]
    right = signer.explain(link(A), cdn=A, error_xml=answer("req auth: invalid md5hash=0"), now=NOW)
    assert (right.signature, [finding.code for finding in right.findings]) == (True, ["cdn_mismatch"])


def test_a_link_of_oss_behind_a_cdn_lacks_the_signature_of_the_cdn() -> None:
    credentials = signer.Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    endpoint = signer.Endpoint.custom_domain(ORIGIN, "cn-hangzhou")
    url = signer.presign("GET", "examplebucket", "a.txt", credentials=credentials, endpoint=endpoint, now=NOW).url
    explanation = signer.explain(url, cdn=A, now=NOW)
    assert ([finding.code for finding in explanation.findings], explanation.signature) == (["unsigned"], False)


def test_a_cdn_on_the_laptop_is_read_like_a_domain() -> None:
    for cdn in (A, B, C, F):
        url = link(cdn).replace(ORIGIN, "http://127.0.0.1:9003")
        assert signer.explain(url, cdn=cdn, now=NOW).ok
        assert signer.explain(url, now=NOW).findings[0].code == "cdn_address"


def test_an_invalid_key_is_named_and_not_shown() -> None:
    for call in (signer.explain, signer.verify_cdn):
        with pytest.raises(signer.InvalidCdnKey) as caught:
            call(link(A), cdn=A._replace(key="secret EXAMPLE"))
        assert "EXAMPLE" not in str(caught.value)


# --- secrecy ---------------------------------------------------------------------------------------------------------


def md5_of(url: str) -> str:
    return next(part for part in re.split("[=/&?-]", url) if len(part) == 32)


def printed(url: str, **options: object) -> str:
    try:
        explanation = signer.explain(url, now=NOW, **options)  # type: ignore[arg-type]
    except signer.InvalidLink as error:
        return str(error)
    return f"{explanation}\n{explanation!r}\n{json.dumps(explanation.to_json(), ensure_ascii=False)}"


@rows
def test_neither_words_nor_json_hold_the_key_or_the_md5(damage: Damage) -> None:
    md5s = [] if damage.url == ORIGIN + PATH else [md5_of(damage.url)]
    for cdn in (None, damage.cdn):
        shown = printed(damage.url, cdn=cdn)
        assert not leaked((KEY, *md5s), shown)
        assert "anotherEXAMPLE" not in shown


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_link_shows_no_piece_of_its_md5(damage: Callable[[str, Random], str]) -> None:
    for number in range(25):
        random = Random(f"cdn {number}")
        cdn = random.choice((A, B, C, F))
        url = link(cdn)
        broken = damage(url, random)
        for key in (None, cdn):
            assert not leaked((KEY, md5_of(url)), printed(broken, cdn=key)), broken


# --- the command -----------------------------------------------------------------------------------------------------


def lasting(cdn: CdnKey) -> str:
    return signer.presign_cdn(ORIGIN + PATH, expires_in=600, **cdn._asdict()).url


@pytest.mark.parametrize("cdn", [A, B, C, F, DECIMAL._replace(sign="s", time="t", valid_for=60)], ids=str)
def test_the_command_reads_the_key_from_the_first_line(cdn: CdnKey) -> None:
    options = [
        *("--cdn-key", "-", "--cdn-type", cdn.kind, "--cdn-valid-for", str(cdn.valid_for)),
        *("--cdn-sign", cdn.sign, "--cdn-time", cdn.time, "--cdn-format", cdn.format),
    ]
    url = lasting(cdn)
    for arguments, stdin in (((url,), f"{KEY}\n"), (("-",), f"{KEY}\n{url}\n")):
        done = run("explain", *arguments, *options, stdin=stdin, env=BARE)
        assert (done.returncode, "signature  matches" in done.stdout) == (0, True)
    wrong = run("explain", url, *options, "--json", stdin="anotherEXAMPLE\n", env=BARE)
    assert (wrong.returncode, json.loads(wrong.stdout)["signature"]) == (1, False)


def test_what_curl_printed_may_follow_the_link() -> None:
    pasted = f"{lasting(A)}\n{answer('req auth: invalid md5hash=de7bfdc915ced05e17380a149bd760be')}"
    for text in (pasted, pasted.replace("X-Tengine", "x-tengine"), pasted.replace("\r\n", "\r\n< ")):
        done = run("explain", "-", "--json", stdin=text, env=BARE)
        codes = [finding["code"] for finding in json.loads(done.stdout)["findings"]]
        assert (done.returncode, codes) == (1, ["cdn_mismatch", "cdn_address"])
        assert "de7bfdc915ced05e" not in done.stdout + done.stderr


def test_the_key_is_no_argument_and_an_invalid_one_is_not_repeated() -> None:
    for arguments, stdin in ((("--cdn-key", KEY), ""), (("--cdn-key", "-"), f"{KEY} {KEY}\n")):
        done = run("explain", lasting(A), *arguments, stdin=stdin, env=BARE)
        assert done.returncode == 2
        assert f"{KEY} {KEY}" not in done.stdout + done.stderr


def test_the_settings_of_a_cdn_without_its_key_are_a_mistake() -> None:
    done = run("explain", lasting(A), "--cdn-type", "A", env=BARE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Add --cdn-key -" in done.stderr
