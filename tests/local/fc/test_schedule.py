"""When a timer trigger fires."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from local.fc.schedule import InvalidSchedule, schedule


def timestamp(utc: str) -> float:
    return datetime.strptime(utc, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


def test_the_next_tick() -> None:
    rows: list[tuple[str, str, str]] = [
        ("@every 1m", "2026-03-01 00:00:30", "2026-03-01 00:01:30"),
        ("@every 90s", "2026-03-01 00:00:00", "2026-03-01 00:01:30"),
        ("@every 2h", "2026-03-01 23:00:00", "2026-03-02 01:00:00"),
        ("@every 1d", "2026-02-28 12:00:00", "2026-03-01 12:00:00"),
        ("0 * * * * *", "2026-03-01 00:00:00", "2026-03-01 00:01:00"),
        ("0 0/5 * * * *", "2026-03-01 00:01:00", "2026-03-01 00:05:00"),
        ("0 2/20 * * * *", "2026-03-01 00:43:00", "2026-03-01 01:02:00"),
        ("0 5-50/7 * * * *", "2026-03-01 00:05:00", "2026-03-01 00:12:00"),
        ("0 0 4 * * *", "2026-03-01 04:00:00", "2026-03-02 04:00:00"),
        ("0 0 4 * * MON-FRI", "2026-03-06 05:00:00", "2026-03-09 04:00:00"),
        ("0 0 4 ? * 0", "2026-03-02 00:00:00", "2026-03-08 04:00:00"),
        ("0 0 4 ? * 7", "2026-03-02 00:00:00", "2026-03-08 04:00:00"),
        ("0 0 0 * * 5-7", "2026-03-01 00:00:00", "2026-03-06 00:00:00"),
        ("15,45 0 0 1 JAN *", "2026-01-01 00:00:15", "2026-01-01 00:00:45"),
        ("0 0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 13 * FRI", "2026-03-14 00:00:00", "2026-11-13 00:00:00"),
        ("CRON_TZ=Asia/Shanghai 0 0 4 * * *", "2026-03-01 00:00:00", "2026-03-01 20:00:00"),
        # The clocks of New York go from 02:00 to 03:00 on March 8, and from 02:00 back to 01:00 on November 1.
        ("CRON_TZ=America/New_York 0 30 2 * * *", "2026-03-07 12:00:00", "2026-03-08 07:30:00"),
        ("CRON_TZ=America/New_York 0 30 1 * * *", "2026-10-31 12:00:00", "2026-11-01 05:30:00"),
        ("CRON_TZ=America/New_York 0 30 1 * * *", "2026-11-01 05:30:00", "2026-11-02 06:30:00"),
    ]
    for expression, after, tick in rows:
        assert schedule(expression)(timestamp(after)) == timestamp(tick)


def test_a_day_that_never_comes_has_no_tick() -> None:
    assert schedule("0 0 0 31 2 *")(timestamp("2026-03-01 00:00:00")) is None


def test_an_invalid_schedule_is_refused() -> None:
    other_dialects = (
        "0 0 0 L * *",
        "0 0 0 15W * *",
        "0 0 0 ? * MON#1",
        "0 0 0 * * FRI-MON",
        "R 0 0 * * *",
    )
    for expression in (
        "",
        "@every",
        "@every 0m",
        "@every 5",
        "@hourly",
        "* * * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "* * * * * 8",
        "0 5-1 * * * *",
        "0 x * * * *",
        "0 1/0 * * * *",
        "CRON_TZ=Mars/Olympus 0 0 0 * * *",
        *other_dialects,
    ):
        with pytest.raises(InvalidSchedule):
            schedule(expression)
