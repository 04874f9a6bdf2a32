"""The function: `handler.on_http`, `handler.on_event` and `handler.on_initialize`, as `s.yaml` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .events import on_event
    from .http import on_http
    from .startup import on_initialize

__all__ = ["on_event", "on_http", "on_initialize"]


def __getattr__(name: str) -> object:
    # Loaded at first use: an instance needs one of them, and what the others import would slow its start.
    function: object
    if name == "on_http":
        from .http import on_http as function
    elif name == "on_event":
        from .events import on_event as function
    elif name == "on_initialize":
        from .startup import on_initialize as function
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = function
    return function
