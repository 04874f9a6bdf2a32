"""A submodule that needs its package."""

from __future__ import annotations

from .words import WORD


def on_http(event: bytes, context: object) -> str:
    return WORD
