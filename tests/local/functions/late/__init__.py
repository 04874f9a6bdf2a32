"""A package with a module-level `__getattr__` that returns its functions."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    if name != "on_http":
        raise AttributeError(name)
    from .inner import on_http

    return on_http
