"""A submodule that needs nothing."""

from __future__ import annotations

import sys

WORD = "late but here"


def parent_is_imported(event: bytes, context: object) -> bool:
    return "late" in sys.modules


def own_name(event: bytes, context: object) -> str:
    return __name__
