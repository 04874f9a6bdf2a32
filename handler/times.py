"""The clock, and the rule for what has expired."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """The time in Unix seconds, a time in seconds that never goes back, and a pause in seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def has_expired(expires_at: float, now: float) -> bool:
    """Whether no second is left. Both times are rounded down, because links count in seconds."""
    return int(expires_at) <= int(now)
