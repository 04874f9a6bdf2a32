"""Links that a CDN checks: as the documentation signs them, true to the second, and refused when altered."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from random import Random
from urllib.parse import quote, urlsplit

import pytest

import signer
from signer import (
    CdnKey,
    InvalidCdnKey,
    InvalidExpiry,
    InvalidKey,
    InvalidLink,
    InvalidTime,
    SignerError,
    presign_cdn,
)
from signer.cdn import SignedAddress, digest, fault_of, read_address

KEY = CdnKey("aliyuncdnexp1234")  # of the documentation
NOW = 1_772_347_271
ORIGIN = "https://static.example.com"
URL = f"{ORIGIN}/videos/%E7%AC%AC%201%20%E9%9B%86.mp4"
LETTERS = "aZ09-_.~ +%&=#?!'()*,;:@$[]{}|^äß日本語🙂/"


def link(url: str = URL, key: CdnKey = KEY, **changes: object) -> signer.Link:
    return presign_cdn(url, key, **{"expires_in": 600, "now": NOW, **changes})  # type: ignore[arg-type]


def target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def end(signed: signer.Link) -> int:
    return int(signed.expires_at.timestamp())


# The page "Type A signing" of Alibaba Cloud CDN; the last one is computed from its rule.
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/video/standard/test.mp4", "23bf85053008f5c0e791667a313e28ce"),
        ("/image/%E9%98%BF%E9%87%8C%E4%BA%91.jpg", "e157f336888555a85cab7eb10fe673ce"),
    ],
)
def test_the_documented_signatures(path: str, expected: str) -> None:
    assert digest(KEY, path, "1444435200") == expected


def test_random_addresses_are_signed_as_the_page_says() -> None:
    random = Random(29)
    for _ in range(500):
        key = KEY._replace(valid_for=random.randrange(1, 100_000))
        names = "/x".join(
            "".join(random.choices(LETTERS.replace("/", ""), k=random.randrange(1, 30)))
            for _ in range(3)
        )
        path = quote(f"/x{names}", safe="/")
        signed = presign_cdn(
            f"https://static.example.com{path}",
            key,
            expires_in=random.randrange(60, 31_536_000),
            now=random.randrange(10**9 + 100_000, 3 * 10**9),
        )
        time = end(signed) - key.valid_for
        md5 = hashlib.md5(
            f"{path}-{time}-0-0-{key.key}".encode(), usedforsecurity=False
        ).hexdigest()
        assert target(signed.url) == f"{path}?auth_key={time}-0-0-{md5}"


@pytest.mark.parametrize("valid_for", [1, 60, 1800, 86_400])
def test_a_link_opens_until_its_end_and_no_second_longer(valid_for: int) -> None:
    key = KEY._replace(valid_for=valid_for)
    for expires_in in (1, 61, 600, 1799, 1800, 5000, 31_536_000):
        signed = link(key=key, expires_in=expires_in)
        assert fault_of(key, target(signed.url), end(signed) - 1) is None
        assert fault_of(key, target(signed.url), end(signed)) == "expired"
        assert (signed.expires_in, signed.clamped, end(signed)) == (
            expires_in,
            False,
            NOW + expires_in,
        )


def test_a_timedelta_is_as_many_seconds() -> None:
    assert presign_cdn(URL, KEY, expires_in=timedelta(minutes=10), now=NOW) == link(expires_in=600)


@pytest.mark.parametrize(
    ("key", "rand", "query"),
    [
        (KEY, "7f", f"auth_key={NOW - 1200}-7f-0-"),
        (KEY._replace(parameter="k"), "0", f"k={NOW - 1200}-0-0-"),
    ],
)
def test_the_parameter_has_the_name_of_the_domain_and_the_part_that_is_asked_for(
    key: CdnKey, rand: str, query: str
) -> None:
    signed = link(key=key, rand=rand)
    assert query in signed.url
    assert fault_of(key, target(signed.url), NOW) is None


def test_a_query_is_kept_and_is_not_signed() -> None:
    signed = link(f"{URL}?x-oss-process=style%2Fsmall")
    address = read_address(KEY, target(signed.url))
    assert address is not None
    assert (address.path, address.query) == (urlsplit(URL).path, "x-oss-process=style%2Fsmall")
    assert fault_of(KEY, target(signed.url).replace("small", "large"), NOW) is None


def test_an_altered_link_opens_nothing() -> None:
    random, signed = Random(0), target(link().url)

    def signed_parts(address: SignedAddress | None) -> SignedAddress | None:
        # A parameter may be added, which is not signed.
        return address and address._replace(query="")

    for _ in range(500):
        place = random.randrange(len(signed))
        change = random.choice(["", random.choice("0123456789abcdefxyz/-&=%?."), signed[place] * 2])
        altered = signed[:place] + change + signed[place + 1 :]
        if signed_parts(read_address(KEY, altered)) != signed_parts(read_address(KEY, signed)):
            assert fault_of(KEY, altered, NOW) is not None


@pytest.mark.parametrize("written", ["0001772347271", "1772347271000", "999999999999"])
def test_a_time_has_ten_digits(written: str) -> None:
    signed = f"/a?auth_key={written}-0-0-{digest(KEY, '/a', written)}"
    assert fault_of(KEY, signed, NOW) == "signature_mismatch"


def test_a_parameter_of_the_signature_that_comes_twice_is_no_signature() -> None:
    signed = target(link().url)
    assert fault_of(KEY, f"{signed}&{signed.partition('?')[2]}", NOW) == "unsigned"
    assert fault_of(KEY, signed.replace("-0-0-", "-0&auth_key=0-0-"), NOW) == "unsigned"


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        *(
            ({"key": KEY._replace(key=k)}, InvalidCdnKey, "key")
            for k in ("short", "k" * 129, "with-hyphen")
        ),
        ({"key": CdnKey(None)}, InvalidCdnKey, "key"),  # type: ignore[arg-type]
        *(
            ({"key": KEY._replace(valid_for=value)}, InvalidCdnKey, "valid_for")
            for value in (0, True, 31_536_001)
        ),
        ({"key": KEY._replace(parameter="auth key")}, InvalidCdnKey, "parameter"),
        ({"rand": "a-b"}, InvalidCdnKey, "rand"),
        *(
            ({"key": k}, InvalidCdnKey, "key")
            for k in ("aliyuncdnexp1234", tuple(KEY), [KEY], None)
        ),
        *(
            ({"expires_in": seconds}, InvalidExpiry, None)
            for seconds in (0, 31_536_001, 1.5, "10m", True, [600], timedelta(days=366))
        ),
        *(({"now": now}, InvalidTime, None) for now in (10**9 + 1199, 10**10 + 1200)),
        ({"url": "static.example.com/a"}, InvalidLink, None),
        ({"url": "https://user@static.example.com/a"}, InvalidLink, None),
        *(
            ({"url": f"{ORIGIN}/{path}"}, InvalidLink, None)
            for path in ("", "a#b", "a b", "ä", "a%2")
        ),
        *(
            ({"url": f"{ORIGIN}/{path}"}, InvalidKey, None)
            for path in ("a/../b", "a/%2e%2e/b", "/a", "%ff")
        ),
        ({"url": f"{URL}?auth_key=1"}, InvalidLink, None),
    ],
)
def test_what_a_cdn_or_a_client_would_refuse_is_refused(
    changes: dict[str, object], error: type[SignerError], field: str | None
) -> None:
    with pytest.raises(error) as raised:
        link(**changes)  # type: ignore[arg-type]
    assert getattr(raised.value, "field", None) == field
    assert KEY.key not in str(raised.value)


def test_a_time_of_ten_digits_is_signed_from_the_first_to_the_last() -> None:
    assert "auth_key=1000000000-" in link(now=10**9 + 1200).url
    assert "auth_key=9999999999-" in link(now=10**10 + 1199).url


def test_neither_a_link_nor_a_key_shows_its_secret() -> None:
    signed = link()
    address = read_address(KEY, target(signed.url))
    assert address is not None
    assert address.md5 not in repr(signed) + repr(address)
    assert KEY.key not in repr(KEY) + repr(signed) + repr(address)
    assert ".mp4" in repr(signed)
