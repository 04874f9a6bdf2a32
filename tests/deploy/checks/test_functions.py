"""What a function of this project needs, and what is noticed too late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.checks import functions
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props


def faults(props: Props) -> list[str]:
    return list(functions.faults(shipped.read(props)))


def warnings(**changes: object) -> list[str]:
    return list(functions.warnings(shipped.configured({**shipped.web(), **changes})))


def log(**changes: object) -> dict[str, Any]:
    return {**shipped.web()["logConfig"], **changes}


@pytest.mark.parametrize("props", [shipped.web(), shipped.events(), shipped.custom()])
def test_the_shipped_functions_have_no_fault_and_no_warning(props: Props) -> None:
    assert faults(props) == []
    assert list(functions.warnings(shipped.configured(props))) == []


def test_a_log_whose_lines_are_joined_is_a_fault() -> None:
    assert faults({**shipped.web(), "logConfig": log(logBeginRule="DefaultRegex")}) == [
        "logConfig.logBeginRule is DefaultRegex, which joins lines that begin without a date, so queries and alarms "
        "find nothing: write None."
    ]


def test_a_log_without_the_metrics_of_requests_is_a_warning() -> None:
    assert warnings(logConfig=log(enableRequestMetrics=False)) == [
        "links: logConfig.enableRequestMetrics is false, so the query Function duration of docs/operations.md finds "
        "nothing: write true."
    ]


@pytest.mark.parametrize(
    ("region", "warned"),
    [("cn-hangzhou", True), ("cn-hongkong", False), ("ap-southeast-1", False)],
)
def test_a_log_that_is_kept_for_less_than_six_months_is_a_warning_on_the_mainland(
    region: str, warned: bool
) -> None:
    variables = {"LINK_REGION": region, "LINK_BUCKET": "examplebucket"}
    props = {**shipped.web(), "region": region, "environmentVariables": variables}
    kept = replace(shipped.configured(props), log_days=183)
    sentence = (
        "vars.log_days is 183, but services in mainland China must keep network logs for at least six months: set it "
        "to 190."
    )
    assert list(functions.warnings(kept)) == ([sentence] if warned else [])
    assert list(functions.warnings(replace(kept, log_days=184))) == []


def test_more_instances_than_an_account_has_are_a_warning() -> None:
    assert warnings(concurrencyConfig={"reservedConcurrency": 270}) == []
    assert warnings(concurrencyConfig={"reservedConcurrency": 271}) == [
        "links: concurrencyConfig.reservedConcurrency is 271: Function Compute refuses more than the quota of the "
        "account, which allows 270 by default for all functions of a region together."
    ]


def test_a_function_without_the_internet_is_a_warning() -> None:
    assert warnings(internetAccess=False) == [
        "links: internetAccess is false, so webhooks and robots, and STS outside of the VPC, cannot be reached: write "
        "true, unless its VPC has a NAT gateway."
    ]


@pytest.mark.parametrize("props", [shipped.web(), shipped.custom()])
def test_a_function_for_requests_needs_ten_seconds(props: Props) -> None:
    assert faults({**props, "timeout": 10}) == []
    assert faults({**props, "timeout": 9}) == [
        "timeout must be at least 10 (got 9): otherwise Function Compute ends requests while they wait for OSS. Set it "
        "to 30."
    ]


def test_an_initializer_needs_three_seconds() -> None:
    def lasting(timeout: int) -> Props:
        initializer = {"handler": "handler.on_initialize", "timeout": timeout}
        return {**shipped.web(), "instanceLifecycleConfig": {"initializer": initializer}}

    assert faults(lasting(3)) == []
    assert faults(lasting(2)) == [
        "instanceLifecycleConfig.initializer.timeout must be at least 3 (got 2): otherwise a slow start never ends. "
        "Set it to 30."
    ]
