"""The exceptions of the signer, each with its code and its attributes."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signer
from signer import Credentials, Endpoint, SignerError
from tests.signer.signing import KEYS, MAX_EXPIRES_IN, NOW, RESERVED, sign

Call = Callable[[], object]


def error_of(call: Call) -> SignerError:
    with pytest.raises(SignerError) as caught:
        call()
    return caught.value


Row = tuple[type[SignerError], str, dict[str, object], Call]

RESERVED_PARAMETERS: list[Row] = [
    (signer.InvalidQuery, "reserved_query", {"name": name}, partial(sign, query={name: "v"}))
    for name in (*RESERVED, "X-Oss-Expires")
]
INVALID_EXPIRIES: list[Row] = [
    (signer.InvalidExpiry, "invalid_expiry", {"expires_in": value}, partial(sign, expires_in=value))
    for value in (0, -5, MAX_EXPIRES_IN + 1, 600.0, "600", True, None)
]
TABLE: list[Row] = [
    *RESERVED_PARAMETERS,
    *INVALID_EXPIRIES,
    (signer.InvalidMethod, "invalid_method", {"method": "get"}, lambda: sign("get")),
    (signer.InvalidMethod, "invalid_method", {"method": "PATCH"}, lambda: sign("PATCH")),
    (signer.InvalidMethod, "invalid_method", {"method": ""}, lambda: sign("")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "ab"}, lambda: sign(bucket="ab")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "a" * 64}, lambda: sign(bucket="a" * 64)),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "-abc"}, lambda: sign(bucket="-abc")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "abc-"}, lambda: sign(bucket="abc-")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "Bucket"}, lambda: sign(bucket="Bucket")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "a.b"}, lambda: sign(bucket="a.b")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "abc\n"}, lambda: sign(bucket="abc\n")),
    (signer.InvalidBucket, "invalid_bucket", {"bucket": "bücket"}, lambda: sign(bucket="bücket")),
    (signer.InvalidKey, "invalid_key", {"key": ""}, lambda: sign(key="")),
    (signer.InvalidKey, "invalid_key", {"key": "/a"}, lambda: sign(key="/a")),
    (signer.InvalidKey, "invalid_key", {"key": "\\a"}, lambda: sign(key="\\a")),
    (signer.InvalidKey, "invalid_key", {"key": "a" * 1024}, lambda: sign(key="a" * 1024)),
    (signer.InvalidKey, "invalid_key", {"key": "报" * 342}, lambda: sign(key="报" * 342)),
    (signer.InvalidKey, "invalid_key", {"key": "a\ud800"}, lambda: sign(key="a\ud800")),
    (signer.InvalidKey, "invalid_key", {"key": 7}, lambda: sign(key=7)),  # type: ignore[arg-type]
    (signer.InvalidKey, "unsafe_key", {"key": "a//b"}, lambda: sign(key="a//b")),
    (signer.InvalidKey, "unsafe_key", {"key": "a//"}, lambda: sign(key="a//")),
    (signer.InvalidKey, "unsafe_key", {"key": "."}, lambda: sign(key=".")),
    (signer.InvalidKey, "unsafe_key", {"key": ".."}, lambda: sign(key="..")),
    (signer.InvalidKey, "unsafe_key", {"key": "../a"}, lambda: sign(key="../a")),
    (signer.InvalidKey, "unsafe_key", {"key": "a/./b"}, lambda: sign(key="a/./b")),
    (signer.InvalidKey, "unsafe_key", {"key": "a/.."}, lambda: sign(key="a/..")),
    (signer.InvalidKey, "unsafe_key", {"key": "a\nb"}, lambda: sign(key="a\nb")),
    (signer.InvalidKey, "unsafe_key", {"key": "a\x7f"}, lambda: sign(key="a\x7f")),
    (signer.InvalidHeader, "invalid_header", {"name": "a b"}, lambda: sign(headers={"a b": "v"})),
    (signer.InvalidHeader, "invalid_header", {"name": ""}, lambda: sign(headers={"": "v"})),
    (signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, lambda: sign(headers={"x-oss-a": "v\r\nb: c"})),
    (signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, lambda: sign(headers={"x-oss-a": " v"})),
    (signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, lambda: sign(headers={"x-oss-a": "v\t"})),
    (signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, lambda: sign(headers={"x-oss-a": "é"})),
    (signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, lambda: sign(headers={"x-oss-a": 1})),
    (signer.InvalidHeader, "invalid_header", {"name": "host"}, lambda: sign(headers={"Host": "example.com"})),
    (signer.InvalidHeader, "invalid_header", {"name": "host"}, lambda: sign(signed_headers="host")),
    (signer.InvalidHeader, "missing_header", {"name": "range"}, lambda: sign(signed_headers=["Range"])),
    (signer.InvalidHeader, "duplicate_header", {"name": "a"}, lambda: sign(headers={"A": "v", "a": "v"})),
    (signer.InvalidQuery, "invalid_query", {"name": ""}, lambda: sign(query={"": "v"})),
    (signer.InvalidQuery, "invalid_query", {"name": "a\n"}, lambda: sign(query={"a\n": "v"})),
    (signer.InvalidQuery, "invalid_query", {"name": "a"}, lambda: sign(query={"a": "v\x00"})),
    (signer.InvalidQuery, "invalid_query", {"name": "a"}, lambda: sign(query={"a": "\udc80"})),
    (signer.InvalidQuery, "invalid_query", {"name": "a"}, lambda: sign(query={"a": 1})),
    (signer.InvalidQuery, "invalid_query", {"name": "a"}, lambda: sign(query={"a": None})),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now=datetime(2026, 3, 1))),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now=-1)),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now=float("nan"))),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now=float("inf"))),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now="2026-03-01T06:41:11Z")),
    (signer.InvalidTime, "invalid_time", {}, lambda: sign(now=datetime.max.replace(tzinfo=timezone.utc))),
    (
        signer.InvalidTime,
        "invalid_time",
        {},
        lambda: sign(credentials=KEYS._replace(expires_at=datetime(2026, 3, 1))),
    ),
    (signer.InvalidEndpoint, "invalid_endpoint", {"value": "oss-cn-a"}, lambda: Endpoint.public("oss-cn-a")),
    (signer.InvalidEndpoint, "invalid_endpoint", {"value": ""}, lambda: Endpoint.internal("")),
    (signer.InvalidLink, "invalid_link", {}, lambda: signer.verify("GET", "no link", credentials=KEYS)),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("", "secretEXAMPLE"))),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("LTAI5tEXAMPLE", ""))),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("LTAI\n", "secret"))),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("LTAI", "a b"))),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("LTAI", "s", "t\r\n"))),
    (signer.InvalidCredentials, "invalid_credentials", {}, lambda: sign(credentials=Credentials("LTAI", "s", "é"))),
    (
        signer.MissingCredentials,
        "missing_credentials",
        {"variables": ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")},
        lambda: Credentials.from_environment({"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE"}),
    ),
    (
        signer.CredentialsExpired,
        "credentials_expired",
        {"expires_at": NOW},
        lambda: sign(credentials=KEYS._replace(expires_at=NOW)),
    ),
]


@pytest.mark.parametrize(("kind", "code", "attributes", "call"), TABLE)
def test_an_error_has_its_class_its_code_and_its_attributes(
    kind: type[SignerError], code: str, attributes: dict[str, object], call: Call
) -> None:
    error = error_of(call)

    assert type(error) is kind
    assert error.code == code
    assert {name: value for name, value in vars(error).items() if name != "code"} == attributes


@pytest.mark.parametrize("call", [row[3] for row in TABLE])
def test_an_error_can_be_pickled(call: Call) -> None:
    error = error_of(call)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (type(copy), str(copy), copy.code, vars(copy)) == (type(error), str(error), error.code, vars(error))


@pytest.mark.parametrize("call", [row[3] for row in TABLE])
def test_the_message_of_an_error_is_one_line_of_sentences(call: Call) -> None:
    message = str(error_of(call))

    assert message.endswith(".")
    assert "\n" not in message


def test_the_classes_are_those_of_the_tree() -> None:
    kinds = {kind for kind in vars(signer.errors).values() if isinstance(kind, type) and issubclass(kind, SignerError)}

    # The tests of forms have their own table.
    without: set[type[SignerError]] = {SignerError, signer.InvalidForm}

    assert {row[0] for row in TABLE} == kinds - without
    tree = str(signer.errors.__doc__)
    assert all(kind.__name__ in tree and kind.code in tree for kind in kinds - {SignerError})


def test_expired_and_missing_credentials_are_credentials_that_cannot_sign() -> None:
    assert issubclass(signer.MissingCredentials, signer.InvalidCredentials)
    assert issubclass(signer.CredentialsExpired, signer.InvalidCredentials)


@pytest.mark.parametrize(
    "key",
    [
        "a" * 1023,
        "报" * 341,
        "a/b/",
        "...",
        "a/...",
        ".hidden",
        "a/.b",
        "a..b",
        " leading and trailing ",
        "a\\b",
        "a\u0085\u2028",
        "a\ufeff",
        "-",
        "~",
        "?",
        "#",
        "%2F",
    ],
)
def test_a_legal_key_is_signed_as_it_is(key: str) -> None:
    link = sign(key=key)

    assert signer.verify("GET", link.url, credentials=KEYS, now=NOW).ok


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "1-2", "a--b", "000"])
def test_a_legal_bucket_is_signed(bucket: str) -> None:
    assert sign(bucket=bucket).url.startswith(f"https://{bucket}.oss-cn-hangzhou.aliyuncs.com/")


@pytest.mark.parametrize("expires_in", [1, MAX_EXPIRES_IN])
def test_the_shortest_and_the_longest_expiry_are_signed(expires_in: int) -> None:
    assert sign(expires_in=expires_in).expires_in == expires_in


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)


@settings(deadline=None)
@given(
    st.sampled_from(["method", "bucket", "key", "expires_in", "now"]),
    ANYTHING,
)
def test_any_argument_is_signed_or_raises_a_signer_error(argument: str, value: Any) -> None:
    with contextlib.suppress(SignerError):
        assert sign(**{argument: value}).url


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_headers_are_signed_or_refused(headers: dict[str, str], signed_headers: list[str]) -> None:
    try:
        link = sign(headers=headers, signed_headers=signed_headers)
    except signer.InvalidHeader:
        return
    assert set(link.headers) <= set(headers)
    assert signer.verify("GET", link.url, credentials=KEYS, headers=link.headers, now=NOW).ok
