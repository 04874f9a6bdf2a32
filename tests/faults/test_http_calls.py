"""Whatever one call of OSS meets, the answer is a documented one in time, and the next attempt is right."""

from __future__ import annotations

import re
from pathlib import Path as File

import pytest
import yaml

from handler.core.cloud import oss
from tests.fault_proxy import FAULTS
from tests.faults.paths import PATHS, errors_of
from tests.faults.service import Service
from tests.handler.client import KEYS, Answered

ROOT = File(__file__).parents[2]
SHORT = 0.2  # seconds that the service waits for an OSS that never answers, in these tests
READ_TIMEOUT = oss.TIMEOUT[1]  # seconds
STATUSES = {
    code: int(status)
    for status, codes in re.findall(
        r"(?ms)^### (\d{3})$(.*?)(?=^#|\Z)", (ROOT / "docs/errors.md").read_text("utf-8")
    )
    for code in re.findall(r"(?m)^- `(\w+)`: ", codes)
}
SECONDS = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["links_http"]["props"][
    "timeout"
]


def record(service: Service, name: str) -> list[str]:
    """The calls of a path without a fault."""
    path = PATHS[name]
    prepared = path.prepare(service)
    service.faults.disarm()
    response = path.attempt(service, prepared)
    assert errors_of(response) == [], response
    return [call.name for call in service.faults.calls]


def try_fault(
    service: Service,
    name: str,
    fault: str,
    number: int,
    *,
    is_lasting: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Meets a fault at a call, and does the same again without it."""
    path, waits = PATHS[name], 0
    for timeout in (SHORT, 4 * SHORT, 16 * SHORT):
        prepared = path.prepare(service)
        with monkeypatch.context() as patch:
            if fault.startswith("never"):
                patch.setattr(oss, "TIMEOUT", (timeout, timeout))
            service.faults.arm(fault, number, is_lasting=is_lasting)
            first = path.attempt(service, prepared)
            waits = service.faults.waits()
            service.faults.disarm()
        if waits:
            break  # otherwise this machine was too slow for an earlier call
    assert waits, "the fault was not met"
    for problem in errors_of(first):
        allowed = (*path.codes, *(path.missing if fault == "404" else ()))
        assert problem["code"] in allowed, first
        assert problem["status"] == STATUSES[problem["code"]]
    if fault == "slow":
        assert errors_of(first) == [], first.printed
    if fault.startswith("never"):
        assert waits * READ_TIMEOUT < SECONDS, f"{waits} calls would wait for {READ_TIMEOUT} s each"
    assert_secret_free(first)
    last = path.attempt(service, prepared)
    assert errors_of(last) == [] or errors_of(last)[0]["code"] == path.later, last
    path.check(service, prepared, first, last)


def assert_secret_free(response: Answered) -> None:
    token = KEYS.security_token or ""
    assert not any(
        secret in response.printed for secret in (KEYS.access_key_secret, token, "x-oss-signature")
    )
    if errors_of(response) and response.status != 200:
        assert "x-oss-signature" not in response.body


@pytest.mark.parametrize(("number", "name"), list(enumerate(PATHS)))
def test_at_one_call_of_each_path(
    shared_service: Service, number: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(shared_service, name)
    fault = FAULTS[number % len(FAULTS)]
    is_lasting = number % 3 == 0
    try_fault(
        shared_service,
        name,
        fault,
        number % len(calls),
        is_lasting=is_lasting,
        monkeypatch=monkeypatch,
    )


@pytest.mark.long
@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", PATHS)
def test_at_each_call_of_each_path(
    shared_service: Service,
    name: str,
    fault: str,
    is_lasting: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = []
    calls = record(shared_service, name)
    assert calls
    for number, call in enumerate(calls):
        try:
            try_fault(
                shared_service, name, fault, number, is_lasting=is_lasting, monkeypatch=monkeypatch
            )
        except AssertionError as error:
            failed.append(f"call {number}, {call}: {str(error)[:1500]}")
    assert not failed, "\n".join(failed)
