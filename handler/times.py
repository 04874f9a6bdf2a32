"""The clock, the times in documents and events, and the rule for what has expired."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Clock(NamedTuple):
    """The time in Unix seconds, a time in seconds that never goes back, and a pause in seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def parse_rfc3339(string: str) -> float | None:
    """Unix seconds of an RFC 3339 time, without its fraction; None for anything else."""
    match = _RFC3339.fullmatch(string)
    if not match:
        return None
    from datetime import datetime

    offset = match[3] if match[3] not in "Zz" else "+00:00"
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}").timestamp()
    except (ValueError, OverflowError):
        return None


def has_expired(expires_at: float, now: float) -> bool:
    """Whether no second is left. Both times are rounded down, because links count in seconds."""
    return int(expires_at) <= int(now)
