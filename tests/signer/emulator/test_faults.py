"""What people write mocks for: errors, delays, and the requests that came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from http.client import RemoteDisconnected
from typing import Any

import oss2
import pytest

from signer import emulator
from signer.emulator import RunningOss
from signer.emulator.client import send
from tests.signer.emulator.running import call, link


def made(oss: RunningOss) -> list[tuple[str, str, int | str, str]]:
    return [(each.operation, each.key, each.status, each.code) for each in oss.requests]


def test_an_error_of_oss_for_an_operation_and_a_key(aliyun_oss: RunningOss) -> None:
    aliyun_oss.fail("GetObject", "a.txt", status=503, code="ServiceUnavailable", times=2)
    call(aliyun_oss, "PUT", "a.txt", b"figures")
    call(aliyun_oss, "PUT", "b.txt", b"others")
    assert call(aliyun_oss, "GET", "b.txt").status == 200
    for _ in range(2):
        response = call(aliyun_oss, "GET", "a.txt")
        assert response.status == 503
        assert b"<Code>ServiceUnavailable</Code>" in response.body
        assert response.headers["content-type"] == "application/xml"
        assert response.headers["x-oss-request-id"].encode() in response.body
    assert call(aliyun_oss, "GET", "a.txt").body == b"figures"
    assert made(aliyun_oss) == [
        ("PutObject", "a.txt", 200, ""),
        ("PutObject", "b.txt", 200, ""),
        ("GetObject", "b.txt", 200, ""),
        ("GetObject", "a.txt", 503, "ServiceUnavailable"),
        ("GetObject", "a.txt", 503, "ServiceUnavailable"),
        ("GetObject", "a.txt", 200, ""),
    ]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidArgument"),
        (403, "AccessDenied"),
        (404, "NoSuchKey"),
        (412, "PreconditionFailed"),
        (430, "BadRequest"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (599, "InternalError"),
    ],
)
def test_a_method_and_any_key_with_the_usual_code_of_each_status(
    aliyun_oss: RunningOss, status: int, code: str
) -> None:
    aliyun_oss.fail("HEAD", status=status)
    aliyun_oss.fail("PUT", status=status)
    assert call(aliyun_oss, "HEAD", "a.txt").status == status
    response = call(aliyun_oss, "PUT", "a.txt", b"figures")
    assert (response.status, f"<Code>{code}</Code>".encode() in response.body) == (status, True)
    assert call(aliyun_oss, "GET", "a.txt").status == 404  # it was not stored
    assert [each.code for each in aliyun_oss.requests] == [code, code, "NoSuchKey"]


def test_a_copy_a_list_and_a_form_are_operations_of_their_own(aliyun_oss: RunningOss) -> None:
    key = aliyun_oss.credentials
    auth = oss2.AuthV4(key.access_key_id, key.access_key_secret)
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket, region=aliyun_oss.region)
    bucket.put_object("a.txt", b"figures")
    for operation, act in (
        ("CopyObject", lambda: bucket.copy_object(aliyun_oss.bucket, "a.txt", "b.txt")),
        ("ListObjectsV2", lambda: bucket.list_objects_v2()),
        ("DeleteMultipleObjects", lambda: bucket.batch_delete_objects(["a.txt"])),
    ):
        aliyun_oss.fail(operation)
        with pytest.raises(oss2.exceptions.ServerError, match="ServiceUnavailable"):
            act()
        assert act().status == 200
    assert [(each.operation, each.status) for each in aliyun_oss.requests][1:3] == [
        ("CopyObject", 503),
        ("CopyObject", 200),
    ]


def test_a_connection_that_ends(aliyun_oss: RunningOss) -> None:
    aliyun_oss.fail("PutObject", status="reset")
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        call(aliyun_oss, "PUT", "a.txt", b"figures")
    assert call(aliyun_oss, "PUT", "a.txt", b"figures").status == 200
    assert made(aliyun_oss) == [
        ("PutObject", "a.txt", "reset", ""),
        ("PutObject", "a.txt", 200, ""),
    ]


def test_the_signature_is_verified_first(aliyun_oss: RunningOss) -> None:
    aliyun_oss.fail("GetObject", "a.txt", unused="allow")
    wrong = aliyun_oss.credentials._replace(access_key_secret="wrong")
    url = link(aliyun_oss, "GET", "a.txt", credentials=wrong)
    assert b"SignatureDoesNotMatch" in send("GET", url).body
    assert send("GET", f"{aliyun_oss.url}/{aliyun_oss.bucket}/a.txt").status == 403
    assert made(aliyun_oss) == [
        ("GetObject", "a.txt", 403, "SignatureDoesNotMatch"),
        ("GetObject", "a.txt", 403, "AccessDenied"),
    ]
    assert call(aliyun_oss, "GET", "a.txt").status == 503


def test_a_delay(aliyun_oss: RunningOss) -> None:
    aliyun_oss.delay("PutObject", "a.txt", seconds=0.3)
    spent = []
    for _ in range(2):
        start = time.monotonic()
        assert call(aliyun_oss, "PUT", "a.txt", b"").status == 200
        spent.append(time.monotonic() - start)
    assert spent[0] >= 0.3


def test_requests_have_no_query_header_or_token(aliyun_oss: RunningOss) -> None:
    url = link(aliyun_oss, "GET", "a.txt", credentials=aliyun_oss.temporary)
    send("GET", url)
    (request,) = aliyun_oss.requests
    assert request == ("GET", "GetObject", "a.txt", 404, "NoSuchKey")
    assert request._fields == ("method", "operation", "key", "status", "code")


def test_the_buckets_of_others_are_left_alone(
    aliyun_oss: RunningOss, aliyun_oss_server: RunningOss
) -> None:
    other = aliyun_oss_server.new_bucket()
    own = aliyun_oss.new_bucket()
    aliyun_oss.fail("PutObject", times=2)
    assert call(aliyun_oss, "PUT", "a.txt", b"", bucket=other).status == 200
    assert call(aliyun_oss, "PUT", "a.txt", b"", bucket=own).status == 503
    assert call(aliyun_oss, "PUT", "a.txt", b"").status == 503
    assert [each.status for each in aliyun_oss.requests] == [503, 503]


def test_a_new_test_has_no_fault_and_no_request(aliyun_oss: RunningOss) -> None:
    assert aliyun_oss.requests == []
    assert call(aliyun_oss, "PUT", "a.txt", b"").status == 200


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (["GetObjects"], {}, "Invalid operation 'GetObjects': expected a method, such as GET, or"),
        (["PATCH"], {}, "Invalid operation 'PATCH'"),
        (["get"], {}, "Invalid operation 'get'"),
        (["GET"], {"status": 399}, "Invalid status 399: expected 400 to 599, or 'reset'"),
        (["GET"], {"status": 600}, "Invalid status 600"),
        (["GET"], {"status": "500"}, "Invalid status '500'"),
        (["GET"], {"times": 0}, "Invalid times 0: expected 1 or more"),
        (["GET"], {"unused": "ignore"}, "Invalid unused 'ignore': expected 'fail' or 'allow'"),
        (["GET"], {"seconds": 30.1}, "Invalid seconds 30.1: expected at most 30"),
        (["GET"], {"seconds": 0}, "Invalid seconds 0"),
        (["PUTS"], {"seconds": 1}, "Invalid operation 'PUTS'"),
    ],
)
def test_what_cannot_be_is_an_error_at_the_call(
    aliyun_oss: RunningOss, arguments: list[str], options: Mapping[str, Any], sentence: str
) -> None:
    act: Any = aliyun_oss.delay if "seconds" in options else aliyun_oss.fail
    with pytest.raises(ValueError, match=sentence):
        act(*arguments, **options)


def test_a_fault_that_was_not_used_is_raised_at_the_end_of_the_block() -> None:
    with ExitStack() as block:
        oss = block.enter_context(emulator.run())
        oss.fail("GetObject", "a.txt", times=2)
        oss.fail("PutObject", unused="allow")
        call(oss, "GET", "a.txt")
        sentence = r"fail\('GetObject', 'a.txt'\) was not used: 1 more"
        with pytest.raises(emulator.EmulatorError, match=sentence) as raised:
            block.close()
    assert raised.value.code == "unused_fault"


def test_but_not_if_the_block_raised_or_allowed_it() -> None:
    def fail() -> None:
        with emulator.run() as oss:
            oss.fail("GetObject")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with emulator.run() as oss:
        oss.delay("GetObject", seconds=1, unused="allow")
