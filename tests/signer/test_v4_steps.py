"""Each step of the specification, with the intermediate results of the vector "query, additional headers"."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import link, names, v4

CANONICAL_QUERY = (
    "%2Bparam1=value3&%2Bparam2&%7Cparam1=value4&%7Cparam2&param1=value1&param2"
    "&x-oss-additional-headers=abc%3Bzabc"
    "&x-oss-credential=ak%2F20231217%2Fcn-hangzhou%2Foss%2Faliyun_v4_request"
    "&x-oss-date=20231217T033009Z&x-oss-expires=599&x-oss-signature-version=OSS4-HMAC-SHA256"
)
CANONICAL_REQUEST = f"""\
PUT
/bucket/1234%2B-/123/1.txt
{CANONICAL_QUERY}
abc:value
content-type:application/octet-stream
x-oss-head1:value
zabc:value

abc;zabc
UNSIGNED-PAYLOAD"""
STRING_TO_SIGN = """\
OSS4-HMAC-SHA256
20231217T033009Z
20231217/cn-hangzhou/oss/aliyun_v4_request
e06541af14a8dc30dd12d3b75557af47f405e37784a76eae1a844c3426777df9"""
SIGNING_KEY = "0e11d77e422d3484e84ee6b628fdf2a85f3788e1a597f23116b477efb407e94e"
SIGNATURE = "6bd984bfe531afb6db1f7550983a741b103a8c58e5e14f83ea474c2322dfa2b7"


def test_the_timestamp_is_iso_8601_basic_in_utc() -> None:
    assert v4.timestamp(1_702_783_809) == "20231217T033009Z"
    assert v4.timestamp(0) == "19700101T000000Z"
    assert v4.timestamp(253_402_300_799) == "99991231T235959Z"


def test_the_scope_is_date_region_product_and_a_constant() -> None:
    assert v4.scope("20231217", "cn-hangzhou") == "20231217/cn-hangzhou/oss/aliyun_v4_request"
    assert v4.scope("20231217", "cb-EXAMPLE", "oss-cloudbox") == "20231217/cb-EXAMPLE/oss-cloudbox/aliyun_v4_request"


def test_the_canonical_path_begins_with_the_bucket_and_keeps_slashes() -> None:
    assert v4.canonical_path("bucket", v4.encode_key("1234+-/123/1.txt")) == "/bucket/1234%2B-/123/1.txt"


def test_the_canonical_query_is_sorted_by_encoded_name_and_leaves_out_empty_values() -> None:
    parameters = [
        ("param1", "value1"),
        ("x-oss-signature-version", "OSS4-HMAC-SHA256"),
        ("+param1", "value3"),
        ("|param1", "value4"),
        ("+param2", ""),
        ("x-oss-credential", "ak/20231217/cn-hangzhou/oss/aliyun_v4_request"),
        ("|param2", ""),
        ("param2", ""),
        ("x-oss-expires", "599"),
        ("x-oss-date", "20231217T033009Z"),
        ("x-oss-additional-headers", "abc;zabc"),
    ]

    assert v4.canonical_query([v4.canonical_parameter(*pair) for pair in parameters]) == CANONICAL_QUERY


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["a-b", "a"], "a=1&a-b=1"),  # "a-b=" would come first if "=" were compared
        (["b", "B", "_", "~"], "B=1&_=1&b=1&~=1"),
        (["/", "0", "é"], "%2F=1&%C3%A9=1&0=1"),
    ],
)
def test_parameters_are_sorted_only_by_their_names(names: list[str], order: str) -> None:
    assert v4.canonical_query([v4.canonical_parameter(name, "1") for name in names]) == order


def test_canonical_headers_are_a_line_each_sorted_by_name() -> None:
    headers = {"zabc": "value", "x-oss-head1": "value", "content-type": "application/octet-stream", "abc": "value"}

    assert v4.canonical_headers(headers) == (
        "abc:value\ncontent-type:application/octet-stream\nx-oss-head1:value\nzabc:value\n"
    )
    assert v4.canonical_headers({}) == ""


@pytest.mark.parametrize(
    ("name", "always"),
    [
        ("content-type", True),
        ("content-md5", True),
        ("x-oss-meta-author", True),
        ("x-oss-", True),
        ("host", False),
        ("date", False),
        ("x-osss", False),
        ("content-length", False),
    ],
)
def test_content_type_content_md5_and_x_oss_headers_are_always_signed(name: str, always: bool) -> None:
    assert v4.is_always_signed(name) is always


def test_additional_headers_are_sorted_names_joined_by_semicolons() -> None:
    assert v4.additional_headers(["zabc", "abc"]) == "abc;zabc"
    assert v4.additional_headers([]) == ""


def test_the_canonical_request_has_six_parts_on_lines_of_their_own() -> None:
    request = v4.canonical_request(
        "PUT",
        "/bucket/1234%2B-/123/1.txt",
        CANONICAL_QUERY,
        "abc:value\ncontent-type:application/octet-stream\nx-oss-head1:value\nzabc:value\n",
        "abc;zabc",
    )

    assert request == CANONICAL_REQUEST


def test_a_canonical_request_without_headers_has_two_empty_lines() -> None:
    assert v4.canonical_request("GET", "/bucket/key", "a=1", "", "") == "GET\n/bucket/key\na=1\n\n\nUNSIGNED-PAYLOAD"


def test_the_string_to_sign_ends_in_the_hash_of_the_canonical_request() -> None:
    scope = "20231217/cn-hangzhou/oss/aliyun_v4_request"

    assert v4.string_to_sign("20231217T033009Z", scope, CANONICAL_REQUEST) == STRING_TO_SIGN


def test_the_signing_key_is_derived_from_secret_date_region_product_and_version() -> None:
    assert v4.signing_key("sk", "20231217", "cn-hangzhou").hex() == SIGNING_KEY


def test_the_signature_is_the_published_one() -> None:
    assert v4.signature(bytes.fromhex(SIGNING_KEY), STRING_TO_SIGN) == SIGNATURE


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=64), st.text(st.characters(codec="utf-8"), max_size=300))
def test_the_signature_is_the_hmac_of_the_standard_library(key: bytes, string: str) -> None:
    assert v4.signature(key, string) == hmac.new(key, string.encode(), hashlib.sha256).hexdigest()


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_only_unreserved_characters_are_kept(string: str) -> None:
    assert v4.encode(string) == quote(string, safe="")
    assert v4.encode_key(string) == quote(string, safe="/")


@pytest.mark.parametrize(
    ("string", "encoded"),
    [
        ("-._~09azAZ", "-._~09azAZ"),
        (" ", "%20"),
        ("+", "%2B"),
        ("%2F", "%252F"),
        ("a/b", "a%2Fb"),
        ("*'()!", "%2A%27%28%29%21"),
        ("é报🙂", "%C3%A9%E6%8A%A5%F0%9F%99%82"),
    ],
)
def test_percent_encoding_is_in_capitals_and_of_utf_8(string: str, encoded: str) -> None:
    assert v4.encode(string) == encoded


def test_every_cache_is_bounded() -> None:
    caches = [
        member for module in (v4, link, names) for member in vars(module).values() if hasattr(member, "cache_info")
    ]

    assert len(caches) >= 4
    assert all(cache.cache_info().maxsize is not None for cache in caches)
