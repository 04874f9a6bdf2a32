"""The times in documents and events, and when something has expired."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.core.context import Caller, has_expired
from signer.times import parse_rfc3339, rfc3339

SECONDS = st.integers(0, 253_402_300_799)  # until the end of the year 9999
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)  # minutes


def test_a_time_is_read_in_seconds() -> None:
    for string in (
        "2026-03-01T06:41:11Z",
        "2026-03-01t06:41:11z",
        "2026-03-01T06:41:11.999999999Z",
        "2026-03-01T14:41:11.895+08:00",
        "2026-02-28T22:41:11-08:00",
    ):
        assert parse_rfc3339(string) == 1_772_347_271
    assert (parse_rfc3339("1970-01-01T00:00:00Z"), parse_rfc3339("2028-02-29T00:00:00Z")) == (
        0,
        1_835_395_200,
    )


@pytest.mark.parametrize(
    "string",
    [
        "",
        "now",
        "1772347271",
        "2026-03-01",
        "0000-01-01T00:00:00Z",
        "\u0662\u0660\u0662\u0666-03-01T06:41:11Z",
        "2026-03-01T06:41Z",
        "2026-03-01T06:41:11",
        "2026-03-01 06:41:11Z",
        "2026-03-01T06:41:11Z\n",
        "2026-03-01T06:41:11+0800",
        "2026-03-01T06:41:11+08",
        "2026-03-01T06:41:11+24:00",
        " 2026-03-01T06:41:11Z",
        "2026-03-01T06:41:11.Z",
        "2026-03-01T06:41:11,5Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T06:60:00Z",
        "2026-03-01T06:41:60Z",
    ],
)
def test_anything_else_is_none(string: str) -> None:
    assert parse_rfc3339(string) is None


@given(SECONDS)
def test_a_written_time_is_read_back(seconds: int) -> None:
    assert parse_rfc3339(rfc3339(seconds)) == seconds


@given(st.integers(86_400, 253_402_214_399), OFFSETS)
def test_an_offset_does_not_change_the_time(seconds: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    assert parse_rfc3339(datetime.fromtimestamp(seconds, zone).isoformat()) == seconds


@given(st.text(max_size=30))
def test_any_string_is_a_time_or_none(string: str) -> None:
    assert parse_rfc3339(string) is None or string[10] in "Tt"


@given(st.floats(0, 1e10), st.floats(-100, 100))
def test_a_caller_has_expired_exactly_when_no_link_could_last_a_second(
    now: float, left: float
) -> None:
    assert [has_expired(100.9, each) for each in (99.9, 99.999, 100.0, 101)] == [
        False,
        False,
        True,
        True,
    ]
    caller = Caller("api:a", "a", ("/",), ("GET",), now + left)
    (limit,) = caller.limits(now)
    assert has_expired(now + left, now) == (limit.seconds < 1)
