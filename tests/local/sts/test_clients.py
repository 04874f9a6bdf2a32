"""The official clients of STS are served by the local one, and see STS's own errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from local.ram import ACCOUNT, Principal, evaluate
from local.sts import Role, StsError
from signer.times import parse_rfc3339
from tests.local.sts.clients import CLIENTS, Call, Failure, Json
from tests.local.sts.conftest import FUNCTION_KEYS, OPERATOR, SIGNER, USER_KEYS, Sts

Client = Callable[[Call], Json]

with_every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
with_every_key = pytest.mark.parametrize("keys", [USER_KEYS, FUNCTION_KEYS], ids=["permanent", "temporary"])

SESSION_POLICY = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:examplebucket/报告 +%/*"]}
    ],
}
PARAMS = {"RoleArn": SIGNER, "RoleSessionName": "fc-presign-docs-0a1b2c"}


def refusal(client: Client, call: Call) -> Failure:
    with pytest.raises(Failure) as failure:
        client(call)
    return failure.value


@with_every_client
@with_every_key
def test_a_role_is_assumed_for_a_duration_and_with_a_policy(client: Client, keys: Any, sts: Sts) -> None:
    policy = json.dumps(SESSION_POLICY, ensure_ascii=False)
    started = int(time.time())
    response = client(Call(sts.url, keys, "AssumeRole", {**PARAMS, "Policy": policy, "DurationSeconds": "43200"}))

    issued = response["Credentials"]
    assert response["AssumedRoleUser"]["Arn"] == f"{SIGNER}/fc-presign-docs-0a1b2c"
    assert response["AssumedRoleUser"]["AssumedRoleId"].endswith(":fc-presign-docs-0a1b2c")
    assert response["RequestId"]
    principal = sts.principals.find(issued["AccessKeyId"])
    assert principal is not None
    assert principal.expires_at is not None
    assert principal.credentials[:3] == (
        issued["AccessKeyId"],
        issued["AccessKeySecret"],
        issued["SecurityToken"],
    )
    assert principal.expires_at == parse_rfc3339(issued["Expiration"])
    assert started + 43_200 <= principal.expires_at <= int(time.time()) + 43_200
    resources = ("examplebucket/报告 +%/a", "examplebucket/other")
    assert [
        evaluate(principal.layers, "oss:GetObject", f"acs:oss:cn-hangzhou:1:{name}").kind for name in resources
    ] == [
        "allowed",
        "session_policy",
    ]


@with_every_client
def test_a_session_says_whose_it_is(client: Client, sts: Sts) -> None:
    issued = client(Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))["Credentials"]
    principal = sts.principals.find(issued["AccessKeyId"])
    assert principal is not None

    user = client(Call(sts.url, USER_KEYS, "GetCallerIdentity", {}))
    session = client(Call(sts.url, principal.credentials, "GetCallerIdentity", {}))

    assert (user["IdentityType"], user["AccountId"], user["Arn"]) == (
        "RAMUser",
        ACCOUNT,
        f"acs:ram::{ACCOUNT}:user/operator",
    )
    assert (session["IdentityType"], session["Arn"]) == (
        "AssumedRoleUser",
        f"acs:ram::{ACCOUNT}:assumed-role/links-signer/fc-presign-docs-0a1b2c",
    )
    assert session["PrincipalId"] == f"{session['RoleId']}:fc-presign-docs-0a1b2c"


def statement(**changes: str) -> str:
    return json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", **changes}]})


@with_every_client
@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"RoleArn": ""}, 400, "MissingRoleArn"),
        ({"RoleSessionName": ""}, 400, "MissingRoleSessionName"),
        ({"RoleArn": f"{SIGNER}/alice"}, 400, "InvalidParameter.RoleArn"),
        ({"RoleArn": f"acs:ram::{ACCOUNT}:role/other"}, 404, "EntityNotExist.Role"),
        ({"RoleArn": f"acs:ram::{ACCOUNT}:role/closed"}, 403, "NoPermission"),
        ({"RoleSessionName": "a"}, 400, "InvalidParameter.RoleSessionName"),
        ({"RoleSessionName": "a" * 65}, 400, "InvalidParameter.RoleSessionName"),
        ({"RoleSessionName": "docs/reports"}, 400, "InvalidParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "43201"}, 400, "InvalidParameter.DurationSeconds"),
        ({"Policy": statement(Resource="x" * 2048)}, 400, "InvalidParameter.PolicySize"),
        ({"Policy": "{"}, 400, "InvalidParameter.PolicyGrammar"),
        ({"Policy": statement(Effect="Maybe")}, 400, "InvalidParameter.PolicyGrammar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_parameter_that_is_not_valid_is_an_error_of_the_client(
    client: Client, params: dict[str, str], status: int, code: str, sts: Sts
) -> None:
    closed = f"acs:ram::{ACCOUNT}:role/closed"
    sts.roles[closed] = Role(closed, frozenset({SIGNER}))
    failure = refusal(client, Call(sts.url, USER_KEYS, "AssumeRole", {**PARAMS, **params}))

    assert (failure.status, failure.code) == (status, code)


@with_every_client
@pytest.mark.parametrize(
    ("keys", "status", "code"),
    [
        (USER_KEYS._replace(access_key_id="LTAI5tOTHER"), 404, "InvalidAccessKeyId.NotFound"),
        (USER_KEYS._replace(security_token="CAISOTHER"), 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        (FUNCTION_KEYS._replace(security_token="CAISOTHER"), 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        (FUNCTION_KEYS._replace(security_token=None), 400, "MissingSecurityToken"),
    ],
    ids=["unknown", "needless token", "wrong token", "no token"],
)
def test_a_key_that_is_not_known_is_an_error_of_the_client(
    client: Client, keys: Any, status: int, code: str, sts: Sts
) -> None:
    failure = refusal(client, Call(sts.url, keys, "GetCallerIdentity", {}))

    assert (failure.status, failure.code) == (status, code)


@with_every_client
def test_a_wrong_secret_is_an_error_of_the_client(client: Client, sts: Sts) -> None:
    keys = USER_KEYS._replace(access_key_secret="wrongEXAMPLE")
    failure = refusal(client, Call(sts.url, keys, "GetCallerIdentity", {}))

    # The older SDK finds its own string to sign in the message, and concludes that the secret is wrong.
    assert (failure.status, failure.code) in [(400, "SignatureDoesNotMatch"), (400, "InvalidAccessKeySecret")]


@with_every_client
def test_a_session_that_has_ended_may_not_call(client: Client, sts: Sts) -> None:
    sts.principals.add(Principal.of(FUNCTION_KEYS, SIGNER, expires_at=time.time() - 1))
    failure = refusal(client, Call(sts.url, FUNCTION_KEYS, "GetCallerIdentity", {}))

    assert (failure.status, failure.code) == (400, "InvalidSecurityToken.Expired")


@with_every_client
def test_a_root_account_may_not_assume_a_role(client: Client, sts: Sts) -> None:
    sts.principals.add(Principal.of(USER_KEYS, f"acs:ram::{ACCOUNT}:root"))
    failure = refusal(client, Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))

    assert (failure.status, failure.code) == (403, "NoPermission")
    assert "root accounts" in failure.message


@with_every_client
def test_the_caller_s_own_policies_must_allow_it_too(client: Client, sts: Sts) -> None:
    def give(resource: str) -> None:
        policy = json.loads(statement(Action="sts:AssumeRole", Resource=resource))
        sts.principals.add(Principal.of(USER_KEYS, OPERATOR, documents=[[policy]]))

    give(f"{SIGNER}-other")
    failure = refusal(client, Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))

    assert (failure.status, failure.code) == (403, "NoPermission")
    give(SIGNER)
    assert client(Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))["Credentials"]


@with_every_client
@pytest.mark.parametrize(
    "error", [StsError("Throttling.User"), StsError("InternalError")], ids=lambda error: error.code
)
def test_a_test_can_let_every_call_fail(client: Client, error: StsError, sts: Sts) -> None:
    def fail(action: str) -> None:
        raise error

    sts.before = fail
    failure = refusal(client, Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))

    assert (failure.status, failure.code) == (error.status, error.code)
