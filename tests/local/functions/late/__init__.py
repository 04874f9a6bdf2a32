"""A package whose functions are found by a module-level `__getattr__`."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    if name != "on_http":
        raise AttributeError(name)
    from .inner import on_http

    return on_http
