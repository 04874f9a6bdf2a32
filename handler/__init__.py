"""The function: Function Compute's shapes in, its shapes out, and the core between them.

`s.yaml` names the entry points `handler.on_http`, `handler.on_event` and `handler.on_initialize`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .events import on_event
    from .http import on_http
    from .startup import on_initialize

__all__ = ["on_event", "on_http", "on_initialize"]

# The runtime asks for the one attribute that its function is configured with; the others stay unread.
_ROOMS = {"on_event": "events", "on_http": "http", "on_initialize": "startup"}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found
