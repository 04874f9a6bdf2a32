"""The expiry, the headers and the clock of a link."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from signer import CredentialsExpired, InvalidHeader, Link, post_form, presign, verify
from tests.signer.sdks import query_pairs
from tests.signer.signing import BUCKET, HANGZHOU, KEY, KEYS, NOW, TEMPORARY, random_requests, sign

UTC = timezone.utc
SIGNED_AT = datetime(2026, 3, 1, 6, 41, 11, tzinfo=UTC)


def expiry(link: Link) -> tuple[int, int, bool, int]:
    """`expires_in`, the seconds in the URL, `clamped`, and the seconds until `expires_at`."""
    in_url = int(dict(query_pairs(link.url))["x-oss-expires"])
    return link.expires_in, in_url, link.clamped, round(link.expires_at.timestamp()) - NOW


def test_the_headers_of_a_link_are_exactly_those_that_are_signed() -> None:
    for request in random_requests(100):
        names = {*request.signed_headers, "Content-Type", "content-md5"}
        signed = {
            n: value
            for n, value in request.headers.items()
            if n in names or n.lower().startswith("x-oss-")
        }
        assert request.link().headers == signed


def test_a_link_expires_after_fifteen_minutes_by_default() -> None:
    assert expiry(sign()) == (900, 900, False, 900)


def test_a_timedelta_is_as_many_seconds() -> None:
    week = timedelta(days=7)
    link = presign(
        "GET", BUCKET, KEY, credentials=KEYS, endpoint=HANGZHOU, expires_in=week / 2, now=NOW
    )
    assert link == sign(expires_in=302_400)
    assert expiry(sign(expires_in=week)) == (604_800, 604_800, False, 604_800)
    assert expiry(sign(credentials=TEMPORARY, expires_in=week)) == (43_200, 43_200, True, 43_200)
    form = post_form(
        BUCKET, KEY, credentials=KEYS, endpoint=HANGZHOU, max_size=1, expires_in=week, now=NOW
    )
    assert (form.expires_in, form.clamped) == (604_800, False)


@pytest.mark.parametrize("remaining", [1, 1.999, 899, 900, 901])
def test_no_link_outlives_its_credentials(remaining: float) -> None:
    ends, seconds = NOW + remaining, min(int(remaining), 900)
    for expires_at in (ends, datetime.fromtimestamp(ends, UTC)):
        link = sign(credentials=KEYS._replace(expires_at=expires_at), expires_in=900)
        assert expiry(link) == (seconds, seconds, remaining < 900, seconds)
        assert verify("GET", link.url, credentials=KEYS, now=NOW).ok


def test_a_token_whose_end_is_unknown_lasts_as_long_as_the_longest_session() -> None:
    for requested, expected in ((43_200, False), (43_201, True), (604_800, True)):
        assert expiry(sign(credentials=TEMPORARY, expires_in=requested)) == (
            43_200,
            43_200,
            expected,
            43_200,
        )
    form = post_form(
        BUCKET,
        KEY,
        credentials=TEMPORARY,
        endpoint=HANGZHOU,
        max_size=1,
        expires_in=86_400,
        now=NOW,
    )
    assert (form.expires_in, form.clamped) == (43_200, True)
    # A known end lifts it, and a key without a token has none.
    for credentials in (
        TEMPORARY._replace(expires_at=NOW + 129_600),
        KEYS,
        KEYS._replace(security_token=""),
    ):
        assert sign(credentials=credentials, expires_in=129_600).expires_in == 129_600


@pytest.mark.parametrize("remaining", [0.999, 0, -1, -86_400])
def test_expired_credentials_cannot_sign(remaining: float) -> None:
    with pytest.raises(CredentialsExpired) as caught:
        sign(credentials=KEYS._replace(expires_at=NOW + remaining))
    assert caught.value.expires_at == NOW + remaining


@pytest.mark.parametrize(
    "now",
    [
        NOW,
        float(NOW),
        NOW + 0.999,
        SIGNED_AT,
        SIGNED_AT.replace(microsecond=999_999),
        SIGNED_AT.astimezone(timezone(timedelta(hours=8))),
        SIGNED_AT.astimezone(timezone(-timedelta(hours=9, minutes=30))),
    ],
)
def test_a_time_is_the_same_second_however_it_is_written(now: datetime | float) -> None:
    assert sign(now=now) == sign(now=NOW)


def test_without_a_clock_a_link_is_signed_now() -> None:
    before = int(time.time())
    link = presign("GET", BUCKET, KEY, credentials=KEYS, endpoint=HANGZHOU, expires_in=600)

    assert before + 600 <= link.expires_at.timestamp() <= time.time() + 600
    assert verify("GET", link.url, credentials=KEYS).ok


def test_naming_a_header_that_is_always_signed_changes_nothing() -> None:
    for always in ("Content-Type", "content-md5", "x-oss-meta-a"):
        named = sign(headers={always: "v"}, signed_headers=[always])
        assert named == sign(headers={always: "v"})
        assert "additional-headers" not in named.url
        assert sign(signed_headers=[always]) == sign()


def test_a_host_in_the_headers_is_not_in_the_link() -> None:
    host = "examplebucket.oss-cn-hangzhou.aliyuncs.com"

    assert sign(headers={"Host": host}, signed_headers=["host"]) == sign(signed_headers=["Host"])
    assert sign(headers={"Host": host}) == sign()


@pytest.mark.parametrize(
    "value", ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""]
)
def test_the_hash_of_a_payload_is_refused_because_oss_does_not_check_it(value: str) -> None:
    with pytest.raises(InvalidHeader, match="must be UNSIGNED-PAYLOAD"):
        sign("PUT", headers={"X-Oss-Content-Sha256": value})


def test_the_canonical_query_is_that_of_the_url_with_the_signature_last() -> None:
    query = sign(credentials=TEMPORARY, query={"versionId": "1"}).url.partition("?")[2]
    names = [part.partition("=")[0] for part in query.split("&")]

    assert names == [*sorted(names[:-1]), "x-oss-signature"]
