"""The official clients of STS are served by the local one, and see STS's own errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from signer.emulator.ram import ACCOUNT, Principal, evaluate
from signer.emulator.sts import StsError
from signer.times import parse_rfc3339
from tests.signer.emulator.sts.clients import CLIENTS, Call, Failure, Json
from tests.signer.emulator.sts.conftest import FUNCTION_KEYS, OPERATOR, SIGNER, USER_KEYS, Sts

Client = Callable[[Call], Json]

with_every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
with_every_key = pytest.mark.parametrize(
    "keys", [USER_KEYS, FUNCTION_KEYS], ids=["permanent", "temporary"]
)

SESSION_POLICY = {
    "Version": "1",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["oss:GetObject"],
            "Resource": ["acs:oss:*:*:examplebucket/报告 +%/*"],
        }
    ],
}
PARAMS = {"RoleArn": SIGNER, "RoleSessionName": "fc-presign-docs-0a1b2c"}


def refusal(client: Client, call: Call) -> Failure:
    with pytest.raises(Failure) as failure:
        client(call)
    return failure.value


@with_every_client
@with_every_key
def test_a_role_is_assumed_for_a_duration_and_with_a_policy(
    client: Client, keys: Any, sts: Sts
) -> None:
    policy = json.dumps(SESSION_POLICY, ensure_ascii=False)
    started = int(time.time())
    response = client(
        Call(sts.url, keys, "AssumeRole", {**PARAMS, "Policy": policy, "DurationSeconds": "43200"})
    )

    issued = response["Credentials"]
    assert response["AssumedRoleUser"]["Arn"] == f"{SIGNER}/fc-presign-docs-0a1b2c"
    assert response["AssumedRoleUser"]["AssumedRoleId"].endswith(":fc-presign-docs-0a1b2c")
    assert response["RequestId"]
    principal = sts.principals.find(issued["AccessKeyId"])
    assert principal is not None
    assert principal.expires_at is not None
    assert principal.credentials[:3] == tuple(
        issued[name] for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")
    )
    assert principal.expires_at == parse_rfc3339(issued["Expiration"])
    assert started + 43_200 <= principal.expires_at <= int(time.time()) + 43_200
    for name, kind in (("报告 +%/a", "allowed"), ("other", "session_policy")):
        resource = f"acs:oss:cn-hangzhou:1:examplebucket/{name}"
        assert evaluate(principal.layers, "oss:GetObject", resource).kind == kind


@with_every_client
def test_a_session_says_whose_it_is(client: Client, sts: Sts) -> None:
    issued = client(Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))["Credentials"]
    principal = sts.principals.find(issued["AccessKeyId"])
    assert principal is not None

    user = client(Call(sts.url, USER_KEYS, "GetCallerIdentity", {}))
    session = client(Call(sts.url, principal.credentials, "GetCallerIdentity", {}))

    assert (user["IdentityType"], user["AccountId"], user["Arn"]) == ("RAMUser", ACCOUNT, OPERATOR)
    arn = f"acs:ram::{ACCOUNT}:assumed-role/links-signer/fc-presign-docs-0a1b2c"
    assert (session["IdentityType"], session["Arn"]) == ("AssumedRoleUser", arn)
    assert session["PrincipalId"] == f"{session['RoleId']}:fc-presign-docs-0a1b2c"


@with_every_client
def test_a_refusal_is_an_error_of_the_client(client: Client, sts: Sts) -> None:
    wrong_token = (400, "InvalidSecurityToken.MismatchWithAccessKey")
    for keys, status, code in (
        (USER_KEYS._replace(access_key_id="LTAI5tOTHER"), 404, "InvalidAccessKeyId.NotFound"),
        (USER_KEYS._replace(security_token="CAISOTHER"), *wrong_token),
        (FUNCTION_KEYS._replace(security_token="CAISOTHER"), *wrong_token),
        (FUNCTION_KEYS._replace(security_token=None), 400, "MissingSecurityToken"),
    ):
        failure = refusal(client, Call(sts.url, keys, "GetCallerIdentity", {}))
        assert (failure.status, failure.code) == (status, code)
    failure = refusal(
        client,
        Call(sts.url, USER_KEYS._replace(access_key_secret="wrong"), "GetCallerIdentity", {}),
    )
    # The older SDK finds its own string to sign in the message, and concludes that the secret is wrong.
    assert (failure.status, failure.code) in [
        (400, "SignatureDoesNotMatch"),
        (400, "InvalidAccessKeySecret"),
    ]
    sts.principals.add(Principal.of(FUNCTION_KEYS, SIGNER, expires_at=time.time() - 1))
    failure = refusal(client, Call(sts.url, FUNCTION_KEYS, "GetCallerIdentity", {}))
    assert (failure.status, failure.code) == (400, "InvalidSecurityToken.Expired")

    def fail(action: str) -> None:
        raise StsError("Throttling.User")

    sts.before = fail
    failure = refusal(client, Call(sts.url, USER_KEYS, "AssumeRole", PARAMS))
    assert (failure.status, failure.code) == (StsError("Throttling.User").status, "Throttling.User")
