"""Links that a CDN checks: as the documentation signs them, true to the second, and refused when altered."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote, urlsplit

import pytest

import signer
from signer import CdnKey, InvalidCdnKey, InvalidExpiry, InvalidKey, InvalidLink, InvalidTime, SignerError, presign_cdn
from signer.cdn import KINDS, SignedAddress, digest, fault_of, format_time, read_address, read_time

NODE = Path(__file__).parents[1] / "node"
KEY = "aliyuncdnexp1234"  # of the documentation
NOW = 1_772_347_271
URL = "https://static.example.com/videos/%E7%AC%AC%201%20%E9%9B%86.mp4"
LETTERS = "aZ09-_.~ +%&=#?!'()*,;:@$[]{}|^äß日本語🙂/"


def cdn(kind: str, **changes: object) -> CdnKey:
    return CdnKey(kind, KEY)._replace(**changes)  # type: ignore[arg-type]


def link(kind: str = "A", url: str = URL, **changes: object) -> signer.Link:
    arguments = {"kind": kind, "key": KEY, "valid_for": 1800, "now": NOW, **changes}
    return presign_cdn(url, **arguments)  # type: ignore[arg-type]


def target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def end(signed: signer.Link) -> int:
    return int(signed.expires_at.timestamp())


# The pages "Type A signing" to "Type F signing" of Alibaba Cloud CDN; the last three are computed from their rules.
@pytest.mark.parametrize(
    ("kind", "path", "written", "expected"),
    [
        ("A", "/video/standard/test.mp4", "1444435200", "23bf85053008f5c0e791667a313e28ce"),
        ("B", "/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3", "201508150800", "9044548ef1527deadafa49a890a377f0"),
        ("C", "/test.flv", "55CE8100", "a37fa50a5fb8f71214b1e7c95ec7a1bd"),
        ("F", "/test.flv", "55ce8100", "c6880e19a04f71f9a585d0394cf0794e"),
        ("A", "/image/%E9%98%BF%E9%87%8C%E4%BA%91.jpg", "1444435200", "e157f336888555a85cab7eb10fe673ce"),
        ("C", "/image/%E9%98%BF%E9%87%8C%E4%BA%91.jpg", "55ce8100", "70dd710d75cddb807257a67472e8bb59"),
        ("F", "/test.flv", "1439596800", "aae536018b61343f2ce91fe2926a34a6"),
    ],
)
def test_the_documented_signatures(kind: str, path: str, written: str, expected: str) -> None:
    assert digest(cdn(kind), path, written) == expected


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_an_independent_program_signs_ten_thousand_random_addresses_the_same() -> None:
    random = Random(29)
    requests, links = [], []
    for number in range(10_000):
        kind, valid_for = KINDS[number % 4], random.randrange(1, 100_000)
        names = "/x".join(
            "".join(random.choices(LETTERS.replace("/", ""), k=random.randrange(1, 30))) for _ in range(3)
        )
        path = quote(f"/x{names}", safe="/")
        signed = presign_cdn(
            f"https://static.example.com{path}",
            kind=kind,
            key=KEY,
            valid_for=valid_for,
            expires_in=random.randrange(60, 31_536_000),
            now=random.randrange(10**9, 3 * 10**9),
        )
        links.append(target(signed.url))
        requests.append({"kind": kind, "key": KEY, "path": path, "time": end(signed) - valid_for})
    program = ["node", str(NODE / "cdn_links.cjs")]
    done = subprocess.run(program, input=json.dumps(requests), capture_output=True, check=True, text=True, timeout=60)
    assert json.loads(done.stdout) == links


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("valid_for", [1, 60, 1800, 86_400])
def test_a_link_opens_until_its_end_and_no_second_longer(kind: str, valid_for: int) -> None:
    for expires_in in (61, 600, 1799, 1800, 5000, 31_536_000):
        signed = link(kind, valid_for=valid_for, expires_in=expires_in)
        key = cdn(kind, valid_for=valid_for)
        assert fault_of(key, target(signed.url), end(signed) - 1) is None
        assert fault_of(key, target(signed.url), end(signed)) == "expired"
        assert signed.expires_in == end(signed) - NOW
        assert signed.clamped == (signed.expires_in < expires_in)
        if kind == "B":
            assert (end(signed) - valid_for) % 60 == 0
            assert expires_in - 60 < signed.expires_in <= expires_in or 60 <= signed.expires_in < expires_in + 60
        else:
            assert signed.expires_in == expires_in


def test_the_time_in_a_link_may_be_in_the_past() -> None:
    assert f"auth_key={NOW + 60 - 1800}-0-0-" in link(expires_in=60).url


@pytest.mark.parametrize(
    ("expires_in", "left"), [(48, 49), (49, 49), (50, 109), (60, 109), (108, 109), (109, 109), (110, 109), (168, 109)]
)
def test_type_b_ends_on_the_minute_before_unless_that_leaves_less_than_one(expires_in: int, left: int) -> None:
    assert link("B", expires_in=expires_in).expires_in == left  # NOW is 11 seconds after a minute


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({"kind": "A", "rand": "7f"}, f"auth_key={NOW - 1200}-7f-0-"),
        ({"kind": "A", "parameter": "k"}, f"k={NOW - 1200}-0-0-"),
        ({"kind": "F", "sign": "s", "time": "t"}, f"&t={NOW - 1200:x}"),
        ({"kind": "F", "format": "decimal"}, f"&time={NOW - 1200}"),
    ],
)
def test_parameters_have_the_names_and_the_form_of_the_domain(changes: dict[str, str], query: str) -> None:
    signed = link(**changes)
    assert query in signed.url
    settings = {name: value for name, value in changes.items() if name != "rand"}
    assert fault_of(CdnKey(key=KEY, **settings), target(signed.url), NOW) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_a_query_is_kept_and_is_not_signed(kind: str) -> None:
    signed = link(kind, url=f"{URL}?x-oss-process=style%2Fsmall")
    address = read_address(cdn(kind), target(signed.url))
    assert address is not None
    assert (address.path, address.query) == (urlsplit(URL).path, "x-oss-process=style%2Fsmall")
    assert fault_of(cdn(kind), target(signed.url).replace("small", "large"), NOW) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_that_is_written_is_read_again(kind: str) -> None:
    for key in (cdn(kind), cdn(kind, format="decimal")):
        assert read_time(key, format_time(key, NOW)) == (NOW - NOW % 60 if kind == "B" else NOW)
        assert read_time(key, "201513329999") in (0, 201_513_329_999, 0x201513329999)


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_link_opens_nothing(kind: str) -> None:
    random, signed, key = Random(kind), target(link(kind).url), cdn(kind)

    def signed_parts(address: SignedAddress | None) -> SignedAddress | None:
        return address and address._replace(query="")  # a parameter may be added, which is not signed

    for _ in range(500):
        place = random.randrange(len(signed))
        change = random.choice(["", random.choice("0123456789abcdefxyz/-&=%?."), signed[place] * 2])
        altered = signed[:place] + change + signed[place + 1 :]
        if signed_parts(read_address(key, altered)) != signed_parts(read_address(key, signed)):
            assert fault_of(key, altered, NOW) is not None


@pytest.mark.parametrize("settings", [{"kind": "C"}, {"kind": "F"}, {"kind": "F", "format": "decimal"}])
def test_the_end_of_a_path_is_not_the_beginning_of_a_time(settings: dict[str, str]) -> None:
    """Nothing separates them in what C and F sign, so a link to /a4 would be one to /a that never ends."""
    key = CdnKey(key=KEY, **settings)  # type: ignore[arg-type]
    signed = target(link(url="https://static.example.com/a4", **settings).url)
    written = format_time(key, NOW - 1200)
    shifted = signed.replace("/a4", "/a").replace(written, f"4{written}")
    assert (fault_of(key, signed, NOW), fault_of(key, shifted, NOW)) == (None, "signature_mismatch")


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_opens_nothing(kind: str) -> None:
    assert fault_of(cdn(kind, key="aliyuncdnexp1235"), target(link(kind).url), NOW) == "signature_mismatch"


@pytest.mark.parametrize("kind", ["A", "F"])
def test_a_parameter_of_the_signature_that_comes_twice_is_no_signature(kind: str) -> None:
    signed = target(link(kind).url)
    assert fault_of(cdn(kind), f"{signed}&{signed.partition('?')[2]}", NOW) == "unsigned"


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"kind": "D"}, InvalidCdnKey, "kind"),
        ({"key": "short"}, InvalidCdnKey, "key"),
        ({"key": "k" * 129}, InvalidCdnKey, "key"),
        ({"key": "with-hyphen"}, InvalidCdnKey, "key"),
        ({"key": None}, InvalidCdnKey, "key"),
        ({"valid_for": 0}, InvalidCdnKey, "valid_for"),
        ({"valid_for": True}, InvalidCdnKey, "valid_for"),
        ({"valid_for": 31_536_001}, InvalidCdnKey, "valid_for"),
        ({"parameter": "auth key"}, InvalidCdnKey, "parameter"),
        ({"sign": ""}, InvalidCdnKey, "sign"),
        ({"format": "octal"}, InvalidCdnKey, "format"),
        ({"kind": "F", "sign": "time"}, InvalidCdnKey, "time"),
        ({"rand": "a-b"}, InvalidCdnKey, "rand"),
        ({"expires_in": 0}, InvalidExpiry, None),
        ({"expires_in": 31_536_001}, InvalidExpiry, None),
        ({"expires_in": 1.5}, InvalidExpiry, None),
        ({"now": 0}, InvalidTime, None),
        ({"now": 253_402_300_799 - 604_800, "expires_in": 31_536_000}, InvalidTime, None),
        ({"url": "static.example.com/a"}, InvalidLink, None),
        ({"url": "https://static.example.com/"}, InvalidLink, None),
        ({"url": "https://user@static.example.com/a"}, InvalidLink, None),
        ({"url": "https://static.example.com/a#b"}, InvalidLink, None),
        ({"url": "https://static.example.com/a b"}, InvalidLink, None),
        ({"url": "https://static.example.com/ä"}, InvalidLink, None),
        ({"url": "https://static.example.com/a%2"}, InvalidLink, None),
        ({"url": "https://static.example.com/a/../b"}, InvalidKey, None),
        ({"url": "https://static.example.com/a/%2e%2e/b"}, InvalidKey, None),
        ({"url": "https://static.example.com//a"}, InvalidKey, None),
        ({"url": "https://static.example.com/%ff"}, InvalidKey, None),
        ({"url": f"{URL}?auth_key=1"}, InvalidLink, None),
        ({"kind": "F", "url": f"{URL}?a=b"}, InvalidLink, None),
    ],
)
def test_what_a_cdn_or_a_client_would_refuse_is_refused(
    changes: dict[str, object], error: type[SignerError], field: str | None
) -> None:
    with pytest.raises(error) as raised:
        link(**changes)  # type: ignore[arg-type]
    assert getattr(raised.value, "field", None) == field
    assert KEY not in str(raised.value)


def test_neither_a_link_nor_a_key_shows_its_secret() -> None:
    assert KEY not in repr(cdn("A"))
    for kind in KINDS:
        signed = link(kind)
        address = read_address(cdn(kind), target(signed.url))
        assert address is not None
        assert address.md5 not in repr(signed) + repr(address)
        assert unquote(address.path) not in repr(cdn(kind))
