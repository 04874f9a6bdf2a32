"""The function: `handler.on_http`, `handler.on_event` and `handler.on_initialize`, as `s.yaml` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .events import on_event
    from .http import on_http
    from .startup import on_initialize

__all__ = ["on_event", "on_http", "on_initialize"]

# Loaded at first use: an instance needs one of them, and what the others import would slow its start.
_ENTRY_POINTS = {"on_event": "events", "on_http": "http", "on_initialize": "startup"}


def __getattr__(name: str) -> object:
    if name not in _ENTRY_POINTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    function: object = getattr(import_module(f"{__name__}.{_ENTRY_POINTS[name]}"), name)
    globals()[name] = function
    return function
