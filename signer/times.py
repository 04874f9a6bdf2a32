"""Reads and formats durations and times."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from functools import lru_cache

_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# Compiled, and then cached, at its first use.
_RFC3339 = r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def parse_duration(string: str) -> int | None:
    """Seconds of `90`, `90s`, `15m`, `2h` or `1d`; None for anything else, zero included."""
    match = _DURATION.fullmatch(string)
    return int(match[1]) * _SECONDS[match[2]] or None if match else None


@lru_cache(maxsize=64)
def rfc3339(timestamp: float) -> str:
    """Unix seconds as RFC 3339 in UTC, without a fraction: `2026-03-01T06:51:11Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))


def parse_rfc3339(string: str) -> float | None:
    """Unix seconds of an RFC 3339 time, without its fraction; None for anything else."""
    match = re.fullmatch(_RFC3339, string)
    if not match:
        return None
    offset = match[3] if match[3] not in "Zz" else "+00:00"
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}").timestamp()
    except (ValueError, OverflowError):
        return None


def format_duration(seconds: int) -> str:
    """The two largest units of a duration, which must not be negative: `2 hours 5 minutes`."""
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 seconds"


def format_relative(seconds: int) -> str:
    """`5 minutes ago` for the past, `in 5 minutes` for the future (negative seconds)."""
    return f"{format_duration(seconds)} ago" if seconds >= 0 else f"in {format_duration(-seconds)}"


def format_time(when: datetime) -> str:
    """`2026-11-25 00:29:48 UTC`; `when` is in UTC."""
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def format_timestamp(timestamp: int) -> str:
    """Unix seconds as `format_time` does, or as digits outside of the calendar's range."""
    when = utc(timestamp)
    return format_time(when) if when else f"Unix time {timestamp}"


def utc(timestamp: int | None) -> datetime | None:
    """The UTC datetime of Unix seconds, None for None and outside of the calendar's range."""
    try:
        return None if timestamp is None else datetime.fromtimestamp(timestamp, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
