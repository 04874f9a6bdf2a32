"""Whose credentials sign: the invocation's first, the environment's second, and never those of before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from handler.credentials import credentials_for
from signer import Credentials
from tests.handler.client import KEYS, NOW, OTHER_KEYS, ask, context

FUNCTION_COMPUTE = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": OTHER_KEYS.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OTHER_KEYS.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": str(OTHER_KEYS.security_token),
}


def holding(key_id: object = "", secret: object = "", token: object = "") -> SimpleNamespace:
    """A context whose credentials hold exactly this."""
    found = SimpleNamespace(access_key_id=key_id, access_key_secret=secret, security_token=token)
    return SimpleNamespace(request_id="req-EXAMPLE", credentials=found)


EMPTY = [
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE"), id="the context of Python 3.12"),
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE", credentials=None), id="none"),
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE", credentials=SimpleNamespace()), id="without attributes"),
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE", credentials={}), id="an empty dictionary"),
    pytest.param(holding(), id="empty texts"),
    pytest.param(holding(None, None, None), id="nones"),
    pytest.param(holding("STS.EXAMPLE"), id="an id alone"),
    pytest.param(holding("", "secretEXAMPLE"), id="a secret alone"),
    pytest.param(holding("STS.EXAMPLE", None, "token"), id="no secret"),
    pytest.param(holding("", "", "token"), id="a token alone"),
]


def test_the_invocations_credentials_come_before_the_environments() -> None:
    answered = ask(environ=FUNCTION_COMPUTE)
    assert answered.signs(keys=KEYS)
    assert not answered.signs(keys=OTHER_KEYS)


@pytest.mark.parametrize("invocation", EMPTY)
def test_where_the_invocation_has_none_the_environment_signs(invocation: object) -> None:
    answered = ask(invocation=invocation, environ=FUNCTION_COMPUTE, now=NOW)
    assert answered.status == 302
    assert answered.signs(keys=OTHER_KEYS)


@pytest.mark.parametrize("invocation", EMPTY)
@pytest.mark.parametrize(
    "environ",
    [
        {},
        dict.fromkeys(FUNCTION_COMPUTE, ""),
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.EXAMPLE"},
        {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secretEXAMPLE"},
        {"ALIBABA_CLOUD_SECURITY_TOKEN": "tokenEXAMPLE"},
        {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE"},
    ],
    ids=lambda environ: "+".join(environ) or "nothing",
)
def test_with_none_at_all_the_answer_says_which_role_to_set(invocation: object, environ: dict[str, str]) -> None:
    answered = ask(invocation=invocation, environ=environ)
    assert (answered.status, answered.code) == (503, "no_credentials")
    assert "role in s.yaml" in answered.json["detail"]
    for value in environ.values():
        assert not value or value not in answered.body + answered.printed


def test_credentials_are_never_mixed_from_two_places() -> None:
    answered = ask(invocation=holding("STS.EXAMPLE", "", "token"), environ=FUNCTION_COMPUTE)
    assert answered.parameters["x-oss-security-token"] == OTHER_KEYS.security_token
    permanent = ask(invocation=holding("LTAI5tEXAMPLE", "secretEXAMPLE"), environ=FUNCTION_COMPUTE)
    assert "x-oss-security-token" not in permanent.parameters
    assert permanent.signs(keys=Credentials("LTAI5tEXAMPLE", "secretEXAMPLE"))


def test_the_names_of_the_official_sdk_serve_on_a_laptop() -> None:
    keys = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    environ = {"OSS_ACCESS_KEY_ID": keys.access_key_id, "OSS_ACCESS_KEY_SECRET": keys.access_key_secret}
    assert ask(invocation=context(None), environ=environ).signs(keys=keys)
    both = ask(invocation=context(None), environ={**environ, **FUNCTION_COMPUTE})
    assert both.signs(keys=OTHER_KEYS)


def test_a_token_that_changed_is_used_at_once() -> None:
    for number in range(3):
        for keys in (KEYS, OTHER_KEYS, KEYS._replace(security_token=f"CAIS+{number}")):
            answered = ask(invocation=context(keys))
            assert answered.parameters["x-oss-security-token"] == keys.security_token
            assert answered.signs(keys=keys)


def test_an_environment_that_changed_is_used_at_once() -> None:
    for keys in (KEYS, OTHER_KEYS):
        environ = dict(zip(FUNCTION_COMPUTE, map(str, keys[:3]), strict=True))
        assert ask(invocation=context(None), environ=environ).signs(keys=keys)


@pytest.mark.parametrize(
    "keys",
    [
        ("STS.EXAMPLE", "secretEXAMPLE", "token\nEXAMPLE"),
        ("STS.EXAMPLE", "secret EXAMPLE", ""),
        ("STS.EXAMPLE ", "secretEXAMPLE", ""),
        ("STS.É", "secretEXAMPLE", "tokenEXAMPLE"),
        (190001, "secretEXAMPLE", "tokenEXAMPLE"),
        ("STS.EXAMPLE", b"secretEXAMPLE", "tokenEXAMPLE"),
        ("STS.EXAMPLE", "secretEXAMPLE", 190007),
        (["STS.EXAMPLE"], {}, object()),
        (["STS.EXAMPLE"], ["secretEXAMPLE"], ["tokenEXAMPLE"]),
    ],
)
def test_credentials_that_cannot_sign_are_told_without_their_value(keys: tuple[object, object, object]) -> None:
    answered = ask(invocation=holding(*keys))
    assert (answered.status, answered.code) == (503, "no_credentials")
    for value in keys:
        assert not value or str(value) not in answered.body + answered.printed


def test_what_is_known_of_the_credentials_shows_no_secret() -> None:
    found = credentials_for(context())
    assert found.expires_at is None
    for secret in KEYS[:3]:
        assert str(secret) not in repr(found)
