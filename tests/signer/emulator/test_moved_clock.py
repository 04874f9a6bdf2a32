"""`clock.advance`: what was signed before expires by it, and everything else keeps to the real clock."""

from __future__ import annotations

import time

import oss2
import pytest
import requests

from signer import Credentials, Endpoint, post_form
from signer.emulator import RunningOss
from signer.emulator.client import send
from signer.emulator.clock import Clock
from tests.signer.emulator.running import call, link

DAY = 86_400


def test_a_link_expires_and_the_sdk_goes_on_and_a_new_link_works(aliyun_oss: RunningOss) -> None:
    call(aliyun_oss, "PUT", "a.txt", b"figures")
    week = link(aliyun_oss, "GET", "a.txt", expires_in=7 * DAY)
    assert send("GET", week).status == 200
    aliyun_oss.clock.advance(8 * DAY)
    refused = send("GET", week)
    assert refused.status == 403
    assert b"<Message>Request has expired.</Message>" in refused.body
    key = aliyun_oss.credentials
    for auth in (oss2.AuthV4, oss2.Auth):
        bucket = oss2.Bucket(
            auth(key.access_key_id, key.access_key_secret),
            aliyun_oss.url,
            aliyun_oss.bucket,
            region=aliyun_oss.region,
        )
        assert bucket.get_object("a.txt").read() == b"figures"
    assert send("GET", link(aliyun_oss, "GET", "a.txt", expires_in=60)).status == 200
    aliyun_oss.clock.advance(61)
    assert send("GET", link(aliyun_oss, "GET", "a.txt", expires_in=60)).status == 200


def test_a_link_that_is_left_some_time_works(aliyun_oss: RunningOss) -> None:
    call(aliyun_oss, "PUT", "a.txt", b"figures")
    week = link(aliyun_oss, "GET", "a.txt", expires_in=7 * DAY)
    aliyun_oss.clock.advance(6 * DAY)
    assert send("GET", week).status == 200
    aliyun_oss.clock.advance(DAY)
    assert send("GET", week).status == 403


def test_the_skew_is_judged_by_the_real_clock(aliyun_oss: RunningOss) -> None:
    aliyun_oss.clock.advance(DAY)
    for offset, status in ((0, 404), (1000, 403), (DAY, 403)):
        url = link(aliyun_oss, "GET", "a.txt", expires_in=60, now=time.time() + offset)
        assert send("GET", url).status == status


def test_a_link_of_version_1_counts_as_signed_before(aliyun_oss: RunningOss) -> None:
    key = aliyun_oss.credentials
    auth = oss2.Auth(key.access_key_id, key.access_key_secret)
    bucket = oss2.Bucket(auth, aliyun_oss.url, aliyun_oss.bucket)
    bucket.put_object("a.txt", b"figures")
    aliyun_oss.clock.advance(61)
    for seconds, status in ((60, 403), (120, 200)):
        assert send("GET", bucket.sign_url("GET", "a.txt", seconds)).status == status


def test_a_form_expires(aliyun_oss: RunningOss) -> None:
    def post() -> int:
        return requests.post(
            f"{aliyun_oss.url}/{aliyun_oss.bucket}/",
            data=form.fields,
            files={"file": b"figures"},
            timeout=20,
        ).status_code

    endpoint = Endpoint.path_style(aliyun_oss.url, aliyun_oss.region)
    for moved, status in ((0, 200), (3601, 403)):
        form = post_form(
            aliyun_oss.bucket,
            "a.txt",
            credentials=aliyun_oss.credentials,
            endpoint=endpoint,
            max_size=100,
            expires_in=3600,
        )
        if moved:
            aliyun_oss.clock.advance(moved)
        assert post() == status
    assert [each.operation for each in aliyun_oss.requests] == ["PostObject"] * 2


def test_temporary_keys_expire_and_there_are_new_ones(aliyun_oss: RunningOss) -> None:
    old = aliyun_oss.temporary
    aliyun_oss.clock.advance(11 * 3600)
    assert aliyun_oss.temporary == old
    assert status_with(aliyun_oss, old) == 404
    aliyun_oss.clock.advance(3600)
    assert aliyun_oss.temporary != old
    assert status_with(aliyun_oss, aliyun_oss.temporary) == 404
    assert status_with(aliyun_oss, old) == 403
    assert aliyun_oss.requests[-1].code == "SecurityTokenExpired"


def status_with(oss: RunningOss, credentials: Credentials) -> int:
    return send("GET", link(oss, "GET", "a.txt", credentials=credentials, expires_in=60)).status


def test_it_moves_for_one_test_alone(aliyun_oss: RunningOss, aliyun_oss_server: RunningOss) -> None:
    other = aliyun_oss_server.new_bucket()
    url = link(aliyun_oss, "GET", "a.txt", bucket=other, expires_in=60)
    aliyun_oss.clock.advance(DAY)
    assert send("GET", url).status == 404


def test_it_waits_for_the_next_second_and_no_longer() -> None:
    """What was signed in the second of the call was signed before it."""
    now = [100.25]
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    clock = Clock(now=lambda: now[0], sleep=sleep)
    clock.advance(5)
    assert (slept, now) == ([0.75], [101.0])
    assert [clock.elapsed(issued_at) for issued_at in (99, 100, 101, None)] == [5, 5, 0, 5]


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_it_does_not_go_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected a number above 0"):
        Clock().advance(seconds)
