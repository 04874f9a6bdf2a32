"""When a timer trigger ticks: `@every 5m`, or six fields as Function Compute reads them.

The fields are second, minute, hour, day of the month, month and day of the week (0 or 7 is Sunday), in UTC unless the
expression begins with `CRON_TZ=Asia/Shanghai `. Source: the Function Compute page on time triggers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ..errors import LocalError

_EVERY = re.compile(r"@every ([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ZONE = re.compile(r"CRON_TZ=([A-Za-z0-9_+/-]+) +")
_PART = re.compile(r"(\*|\?|[0-9A-Z]+(?:-[0-9A-Z]+)?)(?:/([1-9][0-9]*))?")
_FIELDS = (("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_NAMES = {
    name: str(number)
    for names in (
        "SUN MON TUE WED THU FRI SAT",
        "_ JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC",
    )
    for number, name in enumerate(names.split())
}
_SEARCHED = 366 * 5  # days


class BadSchedule(LocalError):
    """A cron expression that Function Compute would not take."""


def schedule(expression: str) -> Callable[[float], float | None]:
    """The next tick after a moment (Unix seconds), None where there is none. Raises `BadSchedule`."""
    every = _EVERY.fullmatch(expression)
    if every:
        span = int(every[1]) * _UNITS[every[2]]
        return lambda after: after + span
    zone: ZoneInfo | timezone = timezone.utc
    named = _ZONE.match(expression)
    if named:
        try:
            zone = ZoneInfo(named[1])
        except (KeyError, ValueError, OSError):
            raise BadSchedule(f"{expression!r} names a time zone that is not known here.") from None
        expression = expression[named.end() :]
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise BadSchedule(f"{expression!r} is no schedule: write @every 5m, or six fields such as 0 0/5 * * * *.")
    seconds, minutes, hours, days, months, weekdays = (
        _values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    weekdays = {weekday % 7 for weekday in weekdays}

    def following(after: float) -> float | None:
        start = datetime.fromtimestamp(int(after) + 1, zone)
        day = start.replace(hour=0, minute=0, second=0)
        for _ in range(_SEARCHED):
            if day.month in months and day.day in days and day.isoweekday() % 7 in weekdays:
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        for second in sorted(seconds):
                            found = day.replace(hour=hour, minute=minute, second=second)
                            if found >= start:
                                return found.timestamp()
            day += timedelta(days=1)
        return None

    return following


def _values(text: str, name: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.upper().split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise BadSchedule(f"{text!r} is no {name} of a schedule: write *, 5, 1-5, 1,15 or 0/5.")
        span, step = match[1], int(match[2] or 1)
        first, _, last = span.partition("-")
        try:
            low = least if span in "*?" else int(_NAMES.get(first, first))
            high = most if span in "*?" or (match[2] and not last) else int(_NAMES.get(last or first, last or first))
        except ValueError:
            raise BadSchedule(f"{text!r} is no {name} of a schedule: {part!r} is no number.") from None
        if not least <= low <= high <= most:
            raise BadSchedule(f"{text!r} is no {name} of a schedule: it goes from {least} to {most}.")
        found |= set(range(low, high + 1, step))
    return found
