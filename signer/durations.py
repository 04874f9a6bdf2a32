"""Spans and moments of time in words, and spans as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_TYPED = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def span(seconds: int) -> str:
    """The two largest units of a span that is not negative: `2 hours 5 minutes`."""
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


def moment(when: datetime) -> str:
    """A moment in UTC: `2026-11-25 00:29:48 UTC`."""
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def relative(seconds: int) -> str:
    """`5 minutes ago` for what was, `in 5 minutes` for what is to come (negative seconds)."""
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def read_span(text: str) -> int | None:
    """Seconds of `90`, `90s`, `15m`, `2h` or `1d`; None for anything else, zero included."""
    found = _TYPED.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] or None if found else None


def moment_of(seconds: int) -> str:
    """A moment given in Unix seconds; in plain digits where no calendar has it."""
    try:
        return moment(datetime.fromtimestamp(seconds, timezone.utc))
    except (ValueError, OverflowError, OSError):
        return f"Unix time {seconds}"
