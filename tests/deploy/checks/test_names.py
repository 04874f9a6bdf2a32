"""Names of functions, roles, log projects and logstores are ones that the cloud accepts."""

from __future__ import annotations

import pytest

from deploy.checks import names
from tests.deploy.checks import shipped


def faults(**changes: object) -> list[str]:
    return list(names.faults(shipped.read({**shipped.web(), **changes})))


def log(**changes: str) -> dict[str, str]:
    return {**shipped.web()["logConfig"], **changes}


@pytest.mark.parametrize("name", ["links", "_a", "Links-http_2", "a" * 64])
def test_a_name_that_function_compute_accepts_is_fine(name: str) -> None:
    assert faults(functionName=name) == []


@pytest.mark.parametrize(
    "name", ["1links", "-links", "links.http", "links http", "lïnks", "a" * 65]
)
def test_an_invalid_name_of_a_function_is_one_fault(name: str) -> None:
    derived = {"role": f"{name}-role", "logConfig": log(logstore=f"{name}-logs")}
    assert faults(functionName=name, **derived) == [
        f"functionName {name} is invalid: it must have 1 to 64 letters, digits, _ and -, and not begin with a digit "
        "or -."
    ]


@pytest.mark.parametrize(
    "role",
    [
        "links-http-role",
        "acs:ram::1000000000000001:role/a",
        "acs:ram::${config('AccountID')}:role/a",
    ],
)
def test_a_role_is_given_by_name_or_by_arn(role: str) -> None:
    assert faults(role=role) == []


def test_a_role_whose_name_is_too_long_or_invalid_is_a_fault() -> None:
    name = "a" * 65
    sentence = f"role {name} is too long: the name of a role must have at most 64 characters."
    assert faults(role=name) == faults(role=f"acs:ram::1000000000000001:role/{name}") == [sentence]
    for invalid in ("a b", "links_http"):
        assert faults(role=invalid) == [
            f"role must be the name or the ARN of a role, of letters, digits, . and - (got {invalid!r})."
        ]
    trigger = {
        "triggerName": "outbox",
        "triggerConfig": {"events": [], "filter": {"key": {"prefix": "", "suffix": ""}}},
        "invocationRole": f"acs:ram::${{config('AccountID')}}:role/{name}",
    }
    assert faults(triggers=[{"triggerType": "oss", **trigger}]) == [
        f"trigger outbox: invocationRole {sentence.removeprefix('role ')}"
    ]


@pytest.mark.parametrize("name", ["ab", "Links-logs", "-links", "links-", "a" * 64, "links.logs"])
def test_a_logstore_and_a_log_project_have_lower_case_names(name: str) -> None:
    assert faults(logConfig=log(logstore=name)) == [
        f"logConfig.logstore {name} is invalid: it must have 3 to 63 lower-case letters, digits, - and _, and begin "
        "and end with a letter or digit."
    ]
    assert faults(logConfig=log(project=name)) == [
        f"logConfig.project {name} is invalid: it must have 3 to 63 lower-case letters, digits and -, and begin and "
        "end with a letter or digit."
    ]


def test_only_a_logstore_may_have_an_underscore() -> None:
    assert faults(logConfig=log(logstore="links_logs")) == []
    assert len(faults(logConfig=log(project="links_logs"))) == 1
