"""The actions of STS: AssumeRole and GetCallerIdentity.

Sources: the RAM pages of the same names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...common.sts import MAX_POLICY, MIN_DURATION, ROLE_ARN
from ...times import rfc3339
from ..ram import PolicyError, Principal, Principals, evaluate, parse_policy
from . import errors
from .credentials import temporary_credentials
from .responses import Elements
from .roles import Role, account_of, entity_id, identity_of, session_arn

DEFAULT_DURATION = 3600

_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}", re.ASCII)


class Service(NamedTuple):
    """`roles` by ARN; `now` in Unix seconds."""

    principals: Principals
    roles: Callable[[], Mapping[str, Role]]
    now: Callable[[], float]


def assume_role(service: Service, caller: Principal, params: Mapping[str, str]) -> Elements:
    """Adds a session to the principals. Raises `StsError`."""
    for name in ("RoleArn", "RoleSessionName"):
        if not params.get(name):
            raise errors.missing(name)
    role_arn = params["RoleArn"]
    session_name = params["RoleSessionName"]
    policy = params.get("Policy", "")
    if not ROLE_ARN.fullmatch(role_arn):
        raise errors.invalid_parameter("RoleArn")
    if not _SESSION_NAME.fullmatch(session_name):
        raise errors.invalid_parameter("RoleSessionName")
    session_policies = [[read_policy(policy)]] if policy else []
    role = _role_for(service, caller, role_arn)
    expires_at = int(service.now()) + _duration(params.get("DurationSeconds", ""), role)
    credentials = temporary_credentials(policy, expires_at=expires_at)
    arn = session_arn(role.arn, session_name)
    service.principals.add(
        Principal.of(credentials, arn, expires_at, [role.policies, *session_policies])
    )
    return {
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "AccessKeySecret": credentials.access_key_secret,
            "SecurityToken": credentials.security_token or "",
            "Expiration": rfc3339(expires_at),
        },
        "AssumedRoleUser": {
            "Arn": f"{role.arn}/{session_name}",
            "AssumedRoleId": f"{entity_id(role.arn)}:{session_name}",
        },
    }


def get_caller_identity(service: Service, caller: Principal, params: Mapping[str, str]) -> Elements:
    identity = identity_of(caller.arn)
    account = account_of(identity)
    number = entity_id(identity)
    common = {"AccountId": account, "Arn": caller.arn}
    kind = identity.rpartition(":")[2].partition("/")[0]
    if kind == "root":
        return {**common, "IdentityType": "Account", "PrincipalId": account, "UserId": account}
    if kind == "role":
        principal_id = f"{number}:{caller.arn.rpartition('/')[2]}"
        return {
            **common,
            "IdentityType": "AssumedRoleUser",
            "PrincipalId": principal_id,
            "RoleId": number,
        }
    return {**common, "IdentityType": "RAMUser", "PrincipalId": number, "UserId": number}


ACTIONS: Mapping[str, Callable[[Service, Principal, Mapping[str, str]], Elements]] = {
    "AssumeRole": assume_role,
    "GetCallerIdentity": get_caller_identity,
}


def read_policy(string: str) -> object:
    """The policy as JSON. Raises `StsError` for one that is too long, or that the local RAM does not evaluate."""
    if len(string.encode()) > MAX_POLICY:
        raise errors.invalid_parameter(
            "PolicySize", f"The size of Policy must be smaller than {MAX_POLICY} bytes."
        )
    try:
        policy = json.loads(string)
        parse_policy(policy)
    except (ValueError, RecursionError, PolicyError):
        raise errors.invalid_parameter(
            "PolicyGrammar", "The parameter Policy has not passed grammar check."
        ) from None
    return policy


def _role_for(service: Service, caller: Principal, arn: str) -> Role:
    """The role, if both its trust policy and the caller's own policies allow the caller to assume it."""
    if caller.arn.endswith(":root"):
        raise errors.StsError("NoPermission", "Roles may not be assumed by root accounts.")
    role = service.roles().get(arn)
    if role is None:
        raise errors.StsError("EntityNotExist.Role")
    if not role.trusts(caller.arn) or not evaluate(caller.layers, "sts:AssumeRole", arn).allowed:
        raise errors.StsError("NoPermission")
    return role


def _duration(string: str, role: Role) -> int:
    """Seconds; the default is an hour, or the role's maximum where that is less."""
    if not string:
        return min(DEFAULT_DURATION, role.max_session_duration)
    is_number = re.fullmatch(r"[0-9]{1,9}", string, re.ASCII) is not None
    if not is_number or not MIN_DURATION <= int(string) <= role.max_session_duration:
        longest = f"{role.max_session_duration / 3600:g}hr"
        message = f"The Min/Max value of DurationSeconds is {MIN_DURATION // 60}min/{longest}."
        raise errors.invalid_parameter("DurationSeconds", message)
    return int(string)
