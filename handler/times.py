"""Spans of time as people write them: 90, 90s, 15m, 2h, 1d."""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> int | None:
    """Seconds of `90`, `90s`, `15m`, `2h` or `1d`; None for anything else, zero included."""
    found = _DURATION.fullmatch(text)
    if not found:
        return None
    return int(found[1]) * _SECONDS[found[2]] or None
