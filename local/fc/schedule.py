"""When a timer trigger fires: `@every 5m`, or the six cron fields of Function Compute.

The fields are second, minute, hour, day of the month, month and day of the week (0 or 7 is Sunday), in UTC unless the
expression begins with `CRON_TZ=Asia/Shanghai `. Source: the Function Compute page on time triggers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import product
from zoneinfo import ZoneInfo

from signer.times import parse_duration

from ..errors import LocalError

_EVERY = re.compile(r"@every ([1-9][0-9]{0,5}[smhd])")
_ZONE = re.compile(r"CRON_TZ=([A-Za-z0-9_+/-]+) +")
_PART = re.compile(r"(?:[*?]|([0-9A-Z]+)(?:-([0-9A-Z]+))?)(?:/([1-9][0-9]*))?")
_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 7),
)
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NUMBERS = {
    **{name: i for i, name in enumerate(_WEEKDAYS)},
    **{name: i for i, name in enumerate(_MONTHS, 1)},
}
_MAX_DAYS = 366 * 5  # how far ahead the next tick is searched


class InvalidSchedule(LocalError):
    """A cron expression that Function Compute would refuse."""


def schedule(expression: str) -> Callable[[float], float | None]:
    """Returns a function from a time (Unix seconds) to the next tick after it, None where there is no further one.

    Raises `InvalidSchedule`.
    """
    every = _EVERY.fullmatch(expression)
    if interval := parse_duration(every[1]) if every else None:
        return lambda after: after + interval
    zone: ZoneInfo | timezone = timezone.utc
    zone_match = _ZONE.match(expression)
    if zone_match:
        try:
            zone = ZoneInfo(zone_match[1])
        except (KeyError, ValueError, OSError):
            raise InvalidSchedule(f"Invalid schedule {expression!r}: unknown time zone.") from None
    fields = expression[zone_match.end() if zone_match else 0 :].split()
    if len(fields) != len(_FIELDS):
        expected = "@every 5m, or six fields such as 0 0/5 * * * *"
        raise InvalidSchedule(f"Invalid schedule {expression!r}: expected {expected}.")
    seconds, minutes, hours, days, months, weekdays = (
        _values(field, *rule) for field, rule in zip(fields, _FIELDS, strict=True)
    )
    weekdays = {weekday % 7 for weekday in weekdays}

    def next_tick(after: float) -> float | None:
        start = datetime.fromtimestamp(int(after) + 1, zone)
        earliest = (start.date(), start.hour, start.minute, start.second)
        day = start.replace(hour=0, minute=0, second=0)
        for _ in range(_MAX_DAYS):
            if day.month in months and day.day in days and day.isoweekday() % 7 in weekdays:
                date = day.date()
                for hour, minute, second in product(
                    sorted(hours), sorted(minutes), sorted(seconds)
                ):
                    if (date, hour, minute, second) >= earliest:
                        return day.replace(hour=hour, minute=minute, second=second).timestamp()
            day += timedelta(days=1)
        return None

    return next_tick


def _values(field: str, name: str, minimum: int, maximum: int) -> set[int]:
    values: set[int] = set()
    for part in field.upper().split(","):
        match = _PART.fullmatch(part)
        if match:
            first, last, step = match.groups()
            low = _number(first) if first else minimum
            high = maximum
            if last:
                high = _number(last)
            elif first and not step:
                high = low
        if not match or not minimum <= low <= high <= maximum:
            example = "*, 5, 1-5, 1,15 or 0/5"
            raise InvalidSchedule(
                f"Invalid {name} {field!r}: expected {example}, from {minimum} to {maximum}."
            )
        values |= set(range(low, high + 1, int(step or 1)))
    return values


def _number(value: str) -> int:
    """The number that is written, or that a weekday or month stands for; -1 for another word."""
    return int(value) if value.isdigit() else _NUMBERS.get(value, -1)
