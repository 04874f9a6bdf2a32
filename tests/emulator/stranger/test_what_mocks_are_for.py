"""Faults, delays, the requests that were made, and time."""

import time

import alibabacloud_oss_v2 as oss
import oss2
import pytest
import requests

DAY = 86_400  # seconds


def test_a_program_that_tries_again(aliyun_oss, client):
    aliyun_oss.fail("PutObject", "a.txt", status=503, code="ServiceUnavailable", times=1)
    client.put_object(oss.PutObjectRequest(aliyun_oss.bucket, "a.txt", body=b"figures"))
    puts = [each for each in aliyun_oss.requests if each.operation == "PutObject"]
    assert [(each.key, each.status, each.code) for each in puts] == [
        ("a.txt", 503, "ServiceUnavailable"),
        ("a.txt", 200, ""),
    ]


def test_a_program_that_gives_up(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    aliyun_oss.fail("GetObject", None, status=500, code="InternalError", times=1)
    with pytest.raises(oss2.exceptions.ServerError) as error:
        bucket.get_object("a.txt")
    assert (error.value.status, error.value.code) == (500, "InternalError")
    assert bucket.get_object("a.txt").read() == b"figures"


def test_a_connection_that_ends(aliyun_oss, bucket):
    aliyun_oss.fail("PUT", "a.txt", status="reset", times=1)
    with pytest.raises(oss2.exceptions.RequestError):
        bucket.put_object("a.txt", b"figures")
    bucket.put_object("a.txt", b"figures")


def test_a_fault_that_may_stay_unused(aliyun_oss, bucket):
    aliyun_oss.fail("DeleteObject", "a.txt", status=503, times=1, unused="allow")
    bucket.put_object("a.txt", b"figures")


def test_a_wrong_signature_does_not_use_up_a_fault(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    aliyun_oss.fail("GetObject", "a.txt", status=503, times=1)
    url = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    assert requests.get(f"{url}0", timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code == 503


def test_a_slow_answer(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    aliyun_oss.delay("GetObject", "a.txt", seconds=0.3)
    began = time.monotonic()
    assert bucket.get_object("a.txt").read() == b"figures"
    assert time.monotonic() - began >= 0.3


def test_a_client_that_does_not_wait(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    aliyun_oss.delay("GetObject", "a.txt", seconds=1)
    url = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    with pytest.raises(requests.Timeout):
        requests.get(url, timeout=0.2)


def test_the_requests_that_were_made(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    bucket.object_exists("missing")
    made = [(each.method, each.operation, each.key, each.status) for each in aliyun_oss.requests]
    assert made[0] == ("PUT", "PutObject", "a.txt", 200)
    assert (made[1][2], made[1][3]) == ("missing", 404)


def test_a_link_that_expires(aliyun_oss, bucket):
    bucket.put_object("a.txt", b"figures")
    old = bucket.sign_url("GET", "a.txt", 7 * DAY, slash_safe=True)
    assert requests.get(old, timeout=10).status_code == 200
    aliyun_oss.clock.advance(8 * DAY)
    expired = requests.get(old, timeout=10)
    assert expired.status_code == 403
    assert b"Request has expired" in expired.content
    new = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    assert requests.get(new, timeout=10).content == b"figures"


def test_a_clock_is_a_tests_own(bucket):
    bucket.put_object("a.txt", b"figures")
    url = bucket.sign_url("GET", "a.txt", 60, slash_safe=True)
    assert requests.get(url, timeout=10).status_code == 200


def test_a_fault_that_cannot_be(aliyun_oss):
    with pytest.raises(ValueError, match="GetObjects"):
        aliyun_oss.fail("GetObjects", "a.txt", status=503)
    with pytest.raises(ValueError, match="200"):
        aliyun_oss.fail("GetObject", "a.txt", status=200)
