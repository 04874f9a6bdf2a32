"""Clocks, and the times that documents and events carry."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Clock(NamedTuple):
    """Unix seconds, seconds that never go back, and a pause in seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def parse_rfc3339(string: str) -> float | None:
    """Unix seconds of an RFC 3339 time (fractions are dropped), None for anything else."""
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
    """Whether less than one full second is left, the shortest life of a link."""
    return int(expires_at) <= int(now)
