"""The exceptions of the signer, each with its code and its attributes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.message import Message
from enum import Enum
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pytest

import signer
from signer import Credentials, Endpoint, SignerError
from tests.signer.signing import (
    BUCKET,
    HANGZHOU,
    KEY,
    KEYS,
    MAX_EXPIRES_IN,
    NOW,
    RESERVED,
    TEMPORARY,
    sign,
)

Call = Callable[[], object]


NO_ZONE, LAST = datetime(2026, 3, 1), datetime.max.replace(tzinfo=timezone.utc)
Row = tuple[type[SignerError], str, dict[str, object], Call]


def row(kind: type[SignerError], code: str, attributes: dict[str, object], **arguments: Any) -> Row:
    return kind, code, attributes, partial(sign, **arguments)


def rows(kind: type[SignerError], code: str, argument: str, *values: object) -> list[Row]:
    """A row for each value of an argument, which is also the attribute of the error."""
    return [row(kind, code, {argument: value}, **{argument: value}) for value in values]


TIMES = (NO_ZONE, -1, float("nan"), float("inf"), "2026-03-01T06:41:11Z", LAST)
PAIRS = (
    ("", "s"),
    ("LTAI", ""),
    ("LTAI\n", "s"),
    ("LTAI", "a b"),
    ("LTAI", "s", "t\r\n"),
    ("LTAI", "s", "é"),
    ("STS.EXAMPLE", "s"),
    ("STS.EXAMPLE", "s", ""),
)
EXPIRED = KEYS._replace(expires_at=NOW)
UNSENDABLE = ("v\r\nb: c", " v", "v\t", "é", 1)
UNSAFE_KEYS = ("a//b", "a//", ".", "..", "../a", "a/./b", "a/..", "a\nb", "a\x7f")
TABLE: list[Row] = [
    *(
        row(signer.InvalidQuery, "reserved_query", {"name": n}, query={n: "v"})
        for n in (*RESERVED, "X-Oss-Expires")
    ),
    *rows(
        signer.InvalidExpiry,
        "invalid_expiry",
        "expires_in",
        0,
        -5,
        MAX_EXPIRES_IN + 1,
        600.0,
        "600",
        True,
        None,
        timedelta(0),
        timedelta(days=8),
        timedelta(seconds=1, microseconds=1),
    ),
    *rows(signer.InvalidMethod, "invalid_method", "method", "get", "PATCH", ""),
    *rows(signer.InvalidBucket, "invalid_bucket", "bucket", "ab", "a" * 64, "-abc", "abc-"),
    *rows(signer.InvalidBucket, "invalid_bucket", "bucket", "Bucket", "a.b", "abc\n", "bücket"),
    *rows(
        signer.InvalidKey,
        "invalid_key",
        "key",
        "",
        "/a",
        "\\a",
        "a" * 1024,
        "报" * 342,
        "a\ud800",
        7,
    ),
    *rows(signer.InvalidKey, "unsafe_key", "key", *UNSAFE_KEYS),
    row(signer.InvalidHeader, "invalid_header", {"name": "a b"}, headers={"a b": "v"}),
    row(signer.InvalidHeader, "invalid_header", {"name": ""}, headers={"": "v"}),
    *(
        row(signer.InvalidHeader, "invalid_header", {"name": "x-oss-a"}, headers={"x-oss-a": v})
        for v in UNSENDABLE
    ),
    row(signer.InvalidHeader, "invalid_header", {"name": "host"}, headers={"Host": "example.com"}),
    row(signer.InvalidHeader, "invalid_header", {"name": "host"}, signed_headers="host"),
    row(signer.InvalidHeader, "missing_header", {"name": "range"}, signed_headers=["Range"]),
    row(signer.InvalidHeader, "duplicate_header", {"name": "a"}, headers={"A": "v", "a": "v"}),
    row(signer.InvalidQuery, "invalid_query", {"name": ""}, query={"": "v"}),
    row(signer.InvalidQuery, "invalid_query", {"name": "a\n"}, query={"a\n": "v"}),
    *(
        row(signer.InvalidQuery, "invalid_query", {"name": "a"}, query={"a": v})
        for v in ("v\x00", "\udc80", 1, None)
    ),
    *(row(signer.InvalidTime, "invalid_time", {}, now=now) for now in TIMES),
    row(signer.InvalidTime, "invalid_time", {}, credentials=KEYS._replace(expires_at=NO_ZONE)),
    (
        signer.InvalidEndpoint,
        "invalid_endpoint",
        {"value": "oss-cn-a"},
        lambda: Endpoint.public("oss-cn-a"),
    ),
    (signer.InvalidEndpoint, "invalid_endpoint", {"value": ""}, lambda: Endpoint.internal("")),
    (
        signer.InvalidLink,
        "invalid_link",
        {},
        lambda: signer.verify("GET", "no link", credentials=KEYS),
    ),
    *(
        row(signer.InvalidCredentials, "invalid_credentials", {}, credentials=Credentials(*pair))
        for pair in PAIRS
    ),
    (
        signer.MissingCredentials,
        "missing_credentials",
        {"variables": ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")},
        lambda: Credentials.from_environment({"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE"}),
    ),
    row(signer.CredentialsExpired, "credentials_expired", {"expires_at": NOW}, credentials=EXPIRED),
]


@pytest.mark.parametrize(("kind", "code", "attributes", "call"), TABLE)
def test_an_error_has_its_code_its_attributes_and_a_message_of_one_line_and_can_be_pickled(
    kind: type[SignerError], code: str, attributes: dict[str, object], call: Call
) -> None:
    with pytest.raises(kind) as caught:
        call()
    error, message = caught.value, str(caught.value)
    assert (type(error), error.code) == (kind, code)
    assert {name: value for name, value in vars(error).items() if name != "code"} == attributes
    assert message.endswith(".")
    assert "\n" not in message
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.code, vars(copy)) == (kind, message, code, vars(error))


def form(**arguments: Any) -> signer.Form:
    defaults = {"credentials": KEYS, "endpoint": HANGZHOU, "max_size": 1, "now": NOW}
    return signer.post_form(**{"bucket": BUCKET, "key": KEY, **defaults, **arguments})


ADDRESS = "https://static.example.com/a.jpg"
CDN = signer.CdnKey("exampleKEY123")
CHECK: dict[str, Any] = {"method": "GET", "url": sign().url, "credentials": KEYS, "now": NOW}
OF_ANOTHER_TYPE: list[tuple[type[SignerError], str, str, object]] = [
    (signer.InvalidEndpoint, "expected an Endpoint, such as", "endpoint", "cn-hangzhou"),
    (signer.InvalidEndpoint, "expected an Endpoint", "endpoint", "https://static.example.com"),
    (signer.InvalidEndpoint, "not tuple", "endpoint", tuple(HANGZHOU)),
    (signer.InvalidEndpoint, "not NoneType", "endpoint", None),
    (signer.InvalidCredentials, r"Credentials\(access_key_id", "credentials", tuple(TEMPORARY[:3])),
    (signer.InvalidCredentials, "not tuple", "credentials", tuple(KEYS)),
    (signer.InvalidCredentials, "not dict", "credentials", KEYS._asdict()),
    (signer.InvalidCredentials, "not NoneType", "credentials", None),
    (signer.InvalidExpiry, "'10m': it must be a whole number", "expires_in", "10m"),
    (signer.InvalidExpiry, "True: .* or a timedelta", "expires_in", True),
    (signer.InvalidExpiry, "Invalid expires_in list", "expires_in", [600]),
    (signer.InvalidKey, "it must be a string", "key", b"a"),
    (signer.InvalidKey, "it must be a string", "key", PurePosixPath("a/b")),
    (signer.InvalidBucket, "name bytes: it must have", "bucket", b"examplebucket"),
    (signer.InvalidBucket, "name list: it must have", "bucket", ["examplebucket"]),
]


@pytest.mark.parametrize("make", [sign, form])
@pytest.mark.parametrize(("kind", "expected", "argument", "value"), OF_ANOTHER_TYPE)
def test_an_argument_of_another_type_is_refused_with_what_was_expected(
    make: Callable[..., object],
    kind: type[SignerError],
    expected: str,
    argument: str,
    value: object,
) -> None:
    make()  # so that the cache has what a tuple equals
    with pytest.raises(kind, match=expected):
        make(**{argument: value})


def test_a_method_that_is_no_string_is_refused() -> None:
    for method in (b"GET", ["GET"]):
        with pytest.raises(signer.InvalidMethod, match="it must be GET, HEAD"):
            sign(method)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (signer.InvalidCredentials, {"credentials": tuple(KEYS)}),
        (signer.InvalidEndpoint, {"credentials": KEYS, "endpoint": "cn-hangzhou"}),
    ],
)
def test_a_check_of_a_link_refuses_arguments_of_another_type(
    kind: type[SignerError], arguments: dict[str, Any]
) -> None:
    with pytest.raises(kind, match="expected"):
        signer.verify("GET", sign().url, **arguments)


SECRET: Any = b"secretEXAMPLE"
LIST: Any = []
untyped: Any = signer
TYPES: list[tuple[type[SignerError], str, Call]] = [
    *(
        (signer.InvalidQuery, "query: expected a mapping of strings", partial(sign, query=query))
        for query in ("a=b", SECRET, [("a", "b")], 7, {"a"})
    ),
    *(
        (signer.InvalidQuery, "must be strings", partial(sign, query=query))
        for query in ({"a": ["b"]}, {SECRET: "b"}, {None: "b"})
    ),
    *(
        (signer.InvalidHeader, "headers: expected a mapping", partial(sign, headers=headers))
        for headers in ("a: b", [("a", "b")], SECRET)
    ),
    *(
        (signer.InvalidHeader, "must be strings", partial(sign, headers=headers))
        for headers in ({SECRET: "b"}, {"a": 1.5})
    ),
    *(
        (signer.InvalidHeader, "[Hh]eader", partial(sign, signed_headers=names, headers={"a": "b"}))
        for names in (None, 7, [SECRET], [None], SECRET, [["a"]])
    ),
    *(
        (
            signer.InvalidCredentials,
            field,
            partial(sign, credentials=KEYS._replace(**{field: LIST})),
        )
        for field in ("access_key_id", "access_key_secret", "security_token")
    ),
    (
        signer.InvalidTime,
        "expected a datetime",
        partial(sign, credentials=KEYS._replace(expires_at=LIST)),
    ),
    *(
        (signer.InvalidEndpoint, "expected an Endpoint", partial(make, endpoint=endpoint))
        for make in (sign, form)
        for endpoint in (
            HANGZHOU._replace(region=LIST),
            HANGZHOU._replace(region="\ud800"),
            HANGZHOU._replace(domain=SECRET),
        )
    ),
    *(
        (signer.InvalidForm, "content_type", partial(form, content_type=value))
        for value in (SECRET, 7, ["text/plain"])
    ),
    *(
        (signer.InvalidForm, "fixed", partial(form, fixed=value))
        for value in (SECRET, [("cache-control", "no-store")], {7: "a"}, {"cache-control": SECRET})
    ),
    *(
        (signer.InvalidForm, "must be from 0", partial(form, max_size=v))
        for v in ([SECRET], SECRET)
    ),
    *(
        (signer.InvalidForm, "must be from 0", partial(form, min_size=v))
        for v in ([SECRET], SECRET)
    ),
    *(
        (kind, expected, partial(untyped.verify, **{**CHECK, name: value}))
        for kind, expected, name, value in (
            (signer.InvalidMethod, "a string, not bytes", "method", b"GET"),
            (signer.InvalidBucket, "a string, not int", "bucket", 7),
            (signer.InvalidHeader, "a mapping of strings", "headers", [("a", "b")]),
            (signer.InvalidHeader, "must be strings", "headers", {"content-type": 1}),
            (signer.InvalidHeader, "must be strings", "headers", {SECRET: "a"}),
            (
                signer.InvalidCredentials,
                "key_id",
                "credentials",
                KEYS._replace(access_key_id=SECRET),
            ),
            (
                signer.InvalidCredentials,
                "secret",
                "credentials",
                KEYS._replace(access_key_secret=SECRET),
            ),
        )
    ),
    *(
        (kind, expected, partial(untyped.explain, **{"url": ADDRESS, name: value}))
        for kind, expected, name, value in (
            (signer.InvalidLink, "link: expected a string, not bytes", "url", SECRET),
            (signer.InvalidLink, "error_xml: expected a string", "error_xml", SECRET),
            (signer.InvalidMethod, "a string, not bytes", "method", b"GET"),
            (signer.InvalidBucket, "a string, not list", "bucket", ["examplebucket"]),
            (signer.InvalidHeader, "a mapping of strings", "headers", ["a: b"]),
            (signer.InvalidHeader, "must be strings", "headers", {"a": 1}),
        )
    ),
    *(
        (signer.InvalidLink, "a string, not", partial(untyped.redact, value))
        for value in (None, SECRET, 7, ["a"])
    ),
    (signer.InvalidLink, "a string, not bytes", partial(untyped.verify_cdn, SECRET, CDN)),
    (
        signer.InvalidCdnKey,
        "rand",
        partial(untyped.presign_cdn, ADDRESS, CDN, expires_in=60, rand=LIST),
    ),
    (
        signer.InvalidCdnKey,
        "key must be",
        partial(untyped.presign_cdn, ADDRESS, CDN._replace(key=LIST), expires_in=60),
    ),
    *(
        (
            signer.InvalidCredentials,
            "a mapping of strings",
            partial(untyped.Credentials.from_environment, value),
        )
        for value in ("LTAI5tEXAMPLE", ["a"], SECRET)
    ),
]


@pytest.mark.parametrize(("kind", "expected", "call"), TYPES)
def test_every_function_refuses_an_argument_of_another_type_and_repeats_none_that_may_be_secret(
    kind: type[SignerError], expected: str, call: Call
) -> None:
    with pytest.raises(kind, match=expected) as caught:
        call()
    error = caught.value
    assert "secretEXAMPLE" not in f"{error}{vars(error)}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


class Name(str, Enum):
    """Its members are strings, and are written as `Name.BUCKET`."""

    BUCKET = BUCKET
    METHOD = "GET"
    REGION = "cn-hangzhou"
    VERSION = "CAEQEhi"

    def __str__(self) -> str:
        return f"Name.{self.name}"

    __format__ = Enum.__format__


def test_a_member_of_an_enum_is_signed_as_its_value_or_refused_and_changes_no_other_link() -> None:
    with pytest.raises(signer.InvalidBucket):
        sign(bucket=Name.BUCKET)
    with pytest.raises(signer.InvalidMethod):
        sign(Name.METHOD)
    with pytest.raises(signer.InvalidEndpoint):
        Endpoint.public(Name.REGION)
    versions = [sign(query={"versionId": version}) for version in (Name.VERSION, "CAEQEhi")]
    assert versions[0] == versions[1]
    assert sign().url.startswith(f"https://{BUCKET}.oss-cn-hangzhou.aliyuncs.com/")


def test_headers_of_a_server_can_be_checked() -> None:
    headers = Message()
    headers["Content-Type"] = "text/plain"
    url = sign(headers={"Content-Type": "text/plain"}).url
    for method, is_valid in (("GET", True), ("PUT", False)):
        checked = signer.verify(method, url, credentials=KEYS, headers=headers, now=NOW)  # type: ignore[arg-type]
        assert checked.ok is is_valid


def test_a_temporary_key_without_its_token_is_refused_with_where_the_token_belongs() -> None:
    keys = TEMPORARY._replace(security_token=None)
    for make in (sign, form):
        with pytest.raises(signer.InvalidCredentials, match="set OSS_SESSION_TOKEN") as caught:
            make(credentials=keys)
        assert keys.access_key_secret not in str(caught.value)


def test_the_classes_are_those_of_the_tree() -> None:
    kinds = {
        kind
        for kind in vars(signer.errors).values()
        if isinstance(kind, type) and issubclass(kind, SignerError)
    }

    # The tests of forms and of keys of CDNs have their own tables.
    without: set[type[SignerError]] = {SignerError, signer.InvalidForm, signer.InvalidCdnKey}

    assert {row[0] for row in TABLE} == kinds - without
    tree = str(signer.errors.__doc__)
    assert all(kind.__name__ in tree and kind.code in tree for kind in kinds - {SignerError})


def test_expired_and_missing_credentials_are_credentials_that_cannot_sign() -> None:
    assert issubclass(signer.MissingCredentials, signer.InvalidCredentials)
    assert issubclass(signer.CredentialsExpired, signer.InvalidCredentials)


def test_the_shortest_and_the_longest_names_and_expiries_are_signed() -> None:
    for key in (
        "a" * 1023,
        "报" * 341,
        "...",
        "a/...",
        "a/.b",
        "a..b",
        " a ",
        "a\\b",
        "a\u0085\u2028",
        "a\ufeff",
        "?",
    ):
        assert signer.verify("GET", sign(key=key).url, credentials=KEYS, now=NOW).ok
    for bucket in ("abc", "a" * 63, "1-2", "a--b"):
        assert sign(bucket=bucket).url.startswith(f"https://{bucket}.oss-cn-hangzhou.aliyuncs.com/")
    for expires_in in (1, MAX_EXPIRES_IN):
        assert sign(expires_in=expires_in).expires_in == expires_in
