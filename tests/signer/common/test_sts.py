"""What STS answers to AssumeRole is read completely, or refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signer.common.sts import StsError, read_assumed_role, sts_host

SESSION = {
    "AccessKeyId": "STS.EXAMPLE",
    "AccessKeySecret": "secretEXAMPLE",
    "SecurityToken": "CAISEXAMPLE+/==",
    "Expiration": "2026-11-25T08:30:00Z",
}


def answer(**changed: Any) -> bytes:
    fields = {name: value for name, value in {**SESSION, **changed}.items() if value is not None}
    return json.dumps({"RequestId": "R", "Credentials": fields}).encode()


def test_a_session_is_read_with_its_end() -> None:
    session = read_assumed_role(200, answer())

    assert session.credentials == ("STS.EXAMPLE", "secretEXAMPLE", "CAISEXAMPLE+/==", None)
    assert session.expires_at == 1_795_595_400
    assert "secretEXAMPLE" not in repr(session)


@pytest.mark.parametrize("value", [None, "", 7, ["x"], "a b"])
def test_half_a_session_is_refused(value: object) -> None:
    for name in SESSION:
        with pytest.raises(
            StsError, match=r"^STS answered with an incomplete session\.$"
        ) as caught:
            read_assumed_role(200, answer(**{name: value}))
        assert caught.value.reason == "incomplete_session"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"[]", "incomplete_session"),
        (200, b'{"Credentials": null}', "incomplete_session"),
        (200, b"<html>", "status_200"),
        (200, b"\xff", "status_200"),
        (502, b"[" * 60_000, "status_502"),
        (
            404,
            b'{"Code": "EntityNotExist.Role", "Message": "The specified Role not exists ."}',
            "EntityNotExist.Role",
        ),
        (400, b'{"Code": "x\\ny"}', "status_400"),
        (400, b'{"Code": 7}', "status_400"),
        (503, b"[]", "status_503"),
    ],
)
def test_an_answer_without_a_session_has_a_reason(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(StsError) as caught:
        read_assumed_role(status, body)

    assert caught.value.reason == reason


def test_two_regions_are_served_by_the_central_host() -> None:
    assert sts_host("cn-hangzhou") == "sts.cn-hangzhou.aliyuncs.com"
    assert {sts_host(region) for region in ("ap-south-1", "ap-southeast-2")} == {"sts.aliyuncs.com"}
