"""Python prints no secret of the signer's values and exceptions."""

from __future__ import annotations

import pprint
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signer
from signer import Credentials, Endpoint, SignerError, verify
from signer.link import signing_context
from signer.names import parse_oss_url
from signer.signed_request import parse_header_signature, parse_query_signature, parse_url
from tests.signer.signing import BUCKET, HANGZHOU, KEY, NOW, sign

KEYS = Credentials(
    "LTAI5tSECRETIVE", "sKSECRETIVE", "CAISECRETIVE", datetime(2100, 1, 1, tzinfo=timezone.utc)
)
MARK = "SECRETIVE"

FORMATTERS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "within a list": lambda value: repr([value]),
    "pprint": pprint.pformat,
}

with_every_formatter = pytest.mark.parametrize("to_string", FORMATTERS.values(), ids=FORMATTERS)


@with_every_formatter
def test_credentials_show_their_expiry_and_nothing_else(to_string: Callable[[object], str]) -> None:
    assert MARK not in to_string(KEYS)
    assert "2100" in to_string(KEYS)
    assert "security_token=None" in to_string(KEYS._replace(security_token=None))


@with_every_formatter
def test_a_link_shows_everything_but_its_secrets(to_string: Callable[[object], str]) -> None:
    link = sign("PUT", credentials=KEYS, headers={"x-oss-meta-author": MARK})
    string = to_string(link)

    assert MARK not in string
    assert link.url.rpartition("=")[2] not in string
    assert "REDACTED" in string
    assert all(part in string for part in (KEY, "PUT", "x-oss-meta-author", "900"))


@with_every_formatter
def test_a_verification_shows_faults_and_no_secrets(to_string: Callable[[object], str]) -> None:
    link = sign(credentials=KEYS)
    good = verify("GET", link.url, credentials=KEYS, now=NOW)
    bad = verify("HEAD", link.url, credentials=KEYS, now=NOW)

    assert MARK in good.canonical_request
    assert good.provided_signature == bad.provided_signature == link.url.rpartition("=")[2]
    for string in (to_string(good), to_string(bad)):
        assert MARK not in string
        assert good.provided_signature not in string
    assert "signature_mismatch" in to_string(bad)


@with_every_formatter
def test_a_signing_context_shows_neither_the_day_s_key_nor_the_credentials(
    to_string: Callable[[object], str],
) -> None:
    context = signing_context(KEYS, HANGZHOU, NOW, 900)
    string = to_string(context)

    assert MARK not in string
    assert repr(context.signing_key)[2:-1] not in string
    assert all(fact in string for fact in (context.scope, context.timestamp, "900"))


@with_every_formatter
def test_a_parsed_link_shows_neither_its_signature_nor_its_token(
    to_string: Callable[[object], str],
) -> None:
    url = sign(credentials=KEYS).url
    parsed = parse_url(url)
    in_query = parse_query_signature(dict(parsed.query))
    in_header = parse_header_signature(
        {
            "authorization": f"OSS4-HMAC-SHA256 Credential={dict(parsed.query)['x-oss-credential']}, "
            f"Signature={in_query.signature}",
            "x-oss-date": in_query.issued_at,
            "x-oss-security-token": f"CAIS{MARK}",
        }
    )

    assert MARK in in_query.token
    assert MARK in in_header.token
    for value in (parsed, in_query, in_header):
        assert MARK not in to_string(value)
        assert in_query.signature not in to_string(value)
    assert KEY in to_string(parsed)
    assert "x-oss-date" in to_string(parsed)
    for value in (in_query, in_header):
        assert all(
            fact in to_string(value) for fact in (in_query.issued_at, "cn-hangzhou", "faults=()")
        )


def everything(error: BaseException) -> str:
    """All that a log could contain of an exception, without the values of its frames."""
    attributes = vars(error) if isinstance(error, SignerError) else {}
    return "".join(traceback.format_exception(error)) + repr(error) + repr(attributes)


def sign_with_tuple(argument: str) -> object:
    wrong: dict[str, Any] = {argument: tuple(KEYS)}
    return sign(**wrong)


CALLS: dict[str, Callable[[], object]] = {
    "a secret with a blank": lambda: sign(credentials=Credentials("LTAI", f"{MARK} {MARK}")),
    "a token with a line feed": lambda: sign(credentials=Credentials("LTAI", "s", f"{MARK}\n")),
    "an id with a blank": lambda: sign(credentials=Credentials(f"{MARK} ", "s")),
    "expired credentials": lambda: sign(credentials=KEYS._replace(expires_at=1)),
    "credentials whose expiry has no time zone": lambda: sign(
        credentials=KEYS._replace(expires_at=datetime(2100, 1, 1))
    ),
    "a parameter's value": lambda: sign(query={"a": f"{MARK}\n"}),
    "a reserved parameter": lambda: sign(query={"x-oss-security-token": MARK}),
    "a header's value": lambda: sign(headers={"x-oss-a": f"{MARK}\n"}),
    "a duplicate header": lambda: sign(headers={"x-oss-a": MARK, "X-Oss-A": MARK}),
    "another host": lambda: sign(headers={"host": MARK}),
    **{
        f"a tuple of credentials as {argument}": partial(sign_with_tuple, argument)
        for argument in ("method", "bucket", "key", "credentials", "endpoint", "expires_in", "now")
    },
    "a tuple of credentials as a region": lambda: Endpoint.public(tuple(KEYS)),  # type: ignore[arg-type]
    "a tuple of credentials as a product": lambda: Endpoint.public(
        "cn-hangzhou",
        product=tuple(KEYS),  # type: ignore[arg-type]
    ),
    "a tuple of credentials as an address": lambda: Endpoint.custom_domain(
        tuple(KEYS),  # type: ignore[arg-type]
        "cn-hangzhou",
    ),
    "a temporary key without its token": lambda: sign(credentials=Credentials(f"STS.{MARK}", MARK)),
    "half of the environment": lambda: Credentials.from_environment({"OSS_ACCESS_KEY_ID": MARK}),
    "the other half": lambda: Credentials.from_environment(
        {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": MARK}
    ),
    "a link as an endpoint": lambda: Endpoint.custom_domain(
        sign(credentials=KEYS).url, "cn-hangzhou"
    ),
    "a link as an oss:// address": lambda: parse_oss_url(sign(credentials=KEYS).url),
    "an endpoint with a password": lambda: Endpoint.path_style(
        f"https://user:{MARK}@example.com", "cn-hangzhou"
    ),
    "another string than a link": lambda: verify(
        "GET", f"ftp://a/?x-oss-security-token={MARK}", credentials=KEYS
    ),
    "a link without a bucket": lambda: verify(
        "GET", f"https://a.example/k?x-oss-signature={MARK}", credentials=KEYS
    ),
    "a link of bad UTF-8": lambda: verify(
        "GET", f"https://a.example/%ff?x-oss-signature={MARK}", credentials=KEYS
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_repeats_no_secret(call: Callable[[], object]) -> None:
    with pytest.raises(SignerError) as caught:
        call()

    assert MARK not in everything(caught.value)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.binary(max_size=8),
    st.lists(st.text(max_size=3), max_size=2),
)
PAIRS = st.dictionaries(st.text(max_size=4), st.one_of(ANYTHING, st.text(max_size=4)), max_size=2)
ARGUMENTS = {
    **dict.fromkeys(("method", "bucket", "key", "expires_in", "now", "endpoint"), ANYTHING),
    "credentials": st.one_of(ANYTHING, st.just(tuple(KEYS))),
    "query": PAIRS,
    "headers": PAIRS,
    "signed_headers": st.lists(st.text(max_size=4), max_size=2),
}


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=ARGUMENTS))
def test_any_argument_is_signed_or_raises_a_signer_error_and_neither_shows_the_credentials(
    arguments: dict[str, Any],
) -> None:
    try:
        link = sign(**{"credentials": KEYS, "now": NOW, **arguments})
    except (SignerError, TypeError) as error:  # no list is a key of a dictionary
        output = everything(error)
    else:
        output = repr(link)
        assert {*link.headers} <= {*arguments.get("headers", ())}
    assert output
    assert MARK not in output


def test_a_form_shows_only_the_names_of_its_fields() -> None:
    form = signer.post_form(
        BUCKET,
        KEY,
        credentials=KEYS,
        endpoint=HANGZHOU,
        max_size=10,
        content_type="image/png",
        now=NOW,
    )

    assert form.fields["x-oss-security-token"] == "CAISECRETIVE"
    for to_string in FORMATTERS.values():
        assert MARK not in to_string(form)
        assert form.fields["x-oss-signature"] not in to_string(form)
        assert form.fields["policy"] not in to_string(form)
