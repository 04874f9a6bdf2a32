"""Reads and formats sizes in bytes; K is 1024."""

from __future__ import annotations

import re

MAX_PUT = 5 * 1024**3  # bytes of one PUT, part or form
MAX_PARTS = 10_000
MAX_UPLOAD = MAX_PARTS * MAX_PUT  # bytes of an upload in parts

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_UNITS = ("B", "KB", "MB", "GB", "TB")


def parse_size(string: str) -> int | None:
    """Bytes of `1000`, `10K`, `10KB` or `5GiB`, in upper or lower case; None for anything else."""
    match = _SIZE.fullmatch(string)
    return int(match[1]) * _FACTORS[match[2].upper()] if match else None


def format_size(size: int) -> str:
    """`14 B`, `100 MB` or `1.4 MB`."""
    value = float(size)
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value = value / 1024
        unit = unit + 1
    return f"{size} B" if unit == 0 else f"{value:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"
