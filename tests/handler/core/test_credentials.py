"""The credentials of the invocation sign first, those of the environment second, and never earlier ones."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from handler.core.context import Invocation
from signer import Credentials
from tests.handler.client import (
    KEYS,
    NOW,
    OTHER_KEYS,
    ask,
    context,
    event,
    invoke,
    make_config,
    new_instance,
    variables,
)
from tests.system import LINKS

FUNCTION_COMPUTE = variables(OTHER_KEYS)
OPEN_FORM = make_config(LINKS)


def context_with(key_id: object = "", secret: object = "", token: object = "") -> SimpleNamespace:
    """A context with these values as its credentials."""
    credentials = SimpleNamespace(
        access_key_id=key_id, access_key_secret=secret, security_token=token
    )
    return SimpleNamespace(request_id="req-EXAMPLE", credentials=credentials)


EMPTY = [
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE"), id="the context of Python 3.12"),
    pytest.param(SimpleNamespace(request_id="req-EXAMPLE", credentials=None), id="no credentials"),
    pytest.param(
        SimpleNamespace(request_id="req-EXAMPLE", credentials=SimpleNamespace()),
        id="without attributes",
    ),
    pytest.param(context_with(), id="empty strings"),
    pytest.param(context_with(None, None, None), id="None for each"),
    pytest.param(context_with("STS.EXAMPLE"), id="an id alone"),
    pytest.param(context_with("", "secretEXAMPLE"), id="a secret alone"),
    pytest.param(context_with("STS.EXAMPLE", None, "token"), id="no secret"),
]


@pytest.mark.parametrize("invocation", EMPTY)
def test_without_credentials_of_the_invocation_the_environments_sign_or_the_response_says_to_set_a_role(
    invocation: object,
) -> None:
    assert ask(invocation=invocation, environ=FUNCTION_COMPUTE, now=NOW).signs(keys=OTHER_KEYS)
    for environ in (
        {},
        dict.fromkeys(FUNCTION_COMPUTE, ""),
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.EXAMPLE"},
    ):
        response = ask(invocation=invocation, environ=environ)
        assert (response.status, response.code) == (503, "no_credentials")
        assert "role in s.yaml" in response.json["detail"]
        assert "STS.EXAMPLE" not in response.body + response.printed


def test_credentials_of_two_sources_are_never_mixed() -> None:
    response = ask(invocation=context_with("STS.EXAMPLE", "", "token"), environ=FUNCTION_COMPUTE)
    assert response.parameters["x-oss-security-token"] == OTHER_KEYS.security_token
    permanent = ask(
        invocation=context_with("LTAI5tEXAMPLE", "secretEXAMPLE"), environ=FUNCTION_COMPUTE
    )
    assert "x-oss-security-token" not in permanent.parameters
    assert permanent.signs(keys=Credentials("LTAI5tEXAMPLE", "secretEXAMPLE"))


def test_the_variables_of_the_official_sdk_are_read_too() -> None:
    keys = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
    environ = {
        "OSS_ACCESS_KEY_ID": keys.access_key_id,
        "OSS_ACCESS_KEY_SECRET": keys.access_key_secret,
    }
    assert ask(invocation=context(None), environ=environ).signs(keys=keys)
    both = ask(invocation=context(None), environ={**environ, **FUNCTION_COMPUTE})
    assert both.signs(keys=OTHER_KEYS)


def test_changed_credentials_are_used_immediately() -> None:
    for keys in (KEYS, OTHER_KEYS, KEYS._replace(security_token="CAIS+another")):
        # Those of the environment come second.
        assert ask(
            invocation=context(keys), environ={**FUNCTION_COMPUTE, "OSS_ACCESS_KEY_ID": "other"}
        ).signs(keys=keys)
        assert ask(invocation=context(None), environ=variables(keys)).signs(keys=keys)


@pytest.mark.parametrize(
    "keys",
    [
        ("STS.EXAMPLE", "secretEXAMPLE", "token\nEXAMPLE"),
        ("STS.EXAMPLE", "secret EXAMPLE", ""),
        ("STS.EXAMPLE ", "secretEXAMPLE", ""),
        ("STS.EXAMPLE", "secretEXAMPLE", ""),
        ("STS.É", "secretEXAMPLE", "tokenEXAMPLE"),
        (190001, "secretEXAMPLE", "tokenEXAMPLE"),
        ("STS.EXAMPLE", b"secretEXAMPLE", "tokenEXAMPLE"),
        ("STS.EXAMPLE", "secretEXAMPLE", 190007),
        (["STS.EXAMPLE"], {}, object()),
        (["STS.EXAMPLE"], ["secretEXAMPLE"], ["tokenEXAMPLE"]),
    ],
)
def test_invalid_credentials_are_a_problem_that_does_not_show_them(
    keys: tuple[object, object, object],
) -> None:
    form = event("/-/form", "POST", body='{"path": "/in/a.txt"}', isBase64Encoded=False)
    for response in (
        ask(invocation=context_with(*keys)),
        invoke(json.dumps(form).encode(), config=OPEN_FORM, invocation=context_with(*keys)),
    ):
        assert (response.status, response.code) == (503, "no_credentials")
        for value in keys:
            assert not value or str(value) not in response.body + response.printed


def test_the_repr_of_the_credentials_shows_no_secret() -> None:
    role = Invocation(new_instance(), context(), NOW, {}).credentials()
    assert role.expires_at is None
    for secret in KEYS[:3]:
        assert str(secret) not in repr(role)
