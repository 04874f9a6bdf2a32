"""Nothing secret shows in what Python prints of the signer's values and refusals."""

from __future__ import annotations

import pprint
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signer
from signer import Credentials, Endpoint, Link, SignerError, verify
from tests.signer.signing import BUCKET, HANGZHOU, KEY, NOW, sign

KEYS = Credentials("LTAI5tSECRETIVE", "sKSECRETIVE", "CAISECRETIVE", datetime(2100, 1, 1, tzinfo=timezone.utc))
MARK = "SECRETIVE"

SHOWN: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "within a list": lambda value: repr([value]),
    "pprint": pprint.pformat,
}

everyhow = pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)


@everyhow
def test_credentials_show_when_they_end_and_nothing_else(shown: Callable[[object], str]) -> None:
    assert MARK not in shown(KEYS)
    assert "2100" in shown(KEYS)
    assert "security_token=None" in shown(KEYS._replace(security_token=None))


@everyhow
def test_a_link_shows_everything_but_its_secrets(shown: Callable[[object], str]) -> None:
    link = sign("PUT", credentials=KEYS, headers={"x-oss-meta-author": MARK})
    text = shown(link)

    assert MARK not in text
    assert link.url.rpartition("=")[2] not in text
    assert "REDACTED" in text
    assert all(part in text for part in (KEY, "PUT", "x-oss-meta-author", "900"))


@everyhow
def test_a_verification_shows_faults_and_no_secrets(shown: Callable[[object], str]) -> None:
    link = sign(credentials=KEYS)
    good = verify("GET", link.url, credentials=KEYS, now=NOW)
    bad = verify("HEAD", link.url, credentials=KEYS, now=NOW)

    assert MARK in good.canonical_request
    assert good.provided_signature == bad.provided_signature == link.url.rpartition("=")[2]
    for text in (shown(good), shown(bad)):
        assert MARK not in text
        assert good.provided_signature not in text
    assert "signature_mismatch" in shown(bad)


def everything(error: BaseException) -> str:
    """All that a log could hold of an exception, short of the values of its frames."""
    facts = vars(error) if isinstance(error, SignerError) else {}
    return "".join(traceback.format_exception(error)) + repr(error) + repr(facts)


REFUSED: dict[str, Callable[[], object]] = {
    "a secret with a blank": lambda: sign(credentials=Credentials("LTAI", f"{MARK} {MARK}")),
    "a token with a line feed": lambda: sign(credentials=Credentials("LTAI", "s", f"{MARK}\n")),
    "an id with a blank": lambda: sign(credentials=Credentials(f"{MARK} ", "s")),
    "credentials that have ended": lambda: sign(credentials=KEYS._replace(expires_at=1)),
    "credentials whose end has no zone": lambda: sign(credentials=KEYS._replace(expires_at=datetime(2100, 1, 1))),
    "a parameter's value": lambda: sign(query={"a": f"{MARK}\n"}),
    "a reserved parameter": lambda: sign(query={"x-oss-security-token": MARK}),
    "a header's value": lambda: sign(headers={"x-oss-a": f"{MARK}\n"}),
    "a header given twice": lambda: sign(headers={"x-oss-a": MARK, "X-Oss-A": MARK}),
    "another host": lambda: sign(headers={"host": MARK}),
    "half of the environment": lambda: Credentials.from_environment({"OSS_ACCESS_KEY_ID": MARK}),
    "the other half": lambda: Credentials.from_environment({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": MARK}),
    "a link as an endpoint": lambda: Endpoint.custom_domain(sign(credentials=KEYS).url, "cn-hangzhou"),
    "an endpoint with a password": lambda: Endpoint.path_style(f"https://user:{MARK}@example.com", "cn-hangzhou"),
    "a text that is no link": lambda: verify("GET", f"ftp://a/?x-oss-security-token={MARK}", credentials=KEYS),
    "a link without a bucket": lambda: verify("GET", f"https://a.example/k?x-oss-signature={MARK}", credentials=KEYS),
    "a link of bad UTF-8": lambda: verify("GET", f"https://a.example/%ff?x-oss-signature={MARK}", credentials=KEYS),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_refusal_repeats_no_secret(refused: Callable[[], object]) -> None:
    with pytest.raises(SignerError) as caught:
        refused()

    assert MARK not in everything(caught.value)


ANYTHING = st.one_of(st.none(), st.integers(), st.text(max_size=10), st.lists(st.text(max_size=3), max_size=2))


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "method": ANYTHING,
            "bucket": ANYTHING,
            "key": ANYTHING,
            "expires_in": ANYTHING,
            "now": ANYTHING,
            "query": st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
            "headers": st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
            "signed_headers": st.lists(st.text(max_size=4), max_size=2),
        },
    )
)
def test_whatever_goes_wrong_the_credentials_stay_unsaid(arguments: dict[str, Any]) -> None:
    said = ""
    try:
        found = sign(credentials=KEYS, **arguments)
        assert isinstance(found, Link)
        said = repr(found)
    except Exception as error:
        said = "".join(traceback.format_exception_only(type(error), error)) + repr(getattr(error, "facts", ""))
    assert said
    assert MARK not in said


def test_a_form_shows_the_names_of_its_fields_alone() -> None:
    form = signer.post_form(
        BUCKET, KEY, credentials=KEYS, endpoint=HANGZHOU, max_size=10, content_type="image/png", now=NOW
    )

    assert form.fields["x-oss-security-token"] == "CAISECRETIVE"
    for shown in SHOWN.values():
        assert MARK not in shown(form)
        assert form.fields["x-oss-signature"] not in shown(form)
        assert form.fields["policy"] not in shown(form)
