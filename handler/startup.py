"""The start of an instance: links.toml is read and checked, once."""

from __future__ import annotations

import gc
import os
from functools import cache

from .config import Config
from .config.load import load

# Of a custom runtime: as many as its instanceConcurrency, and some for health checks while all others wait.
SPARE_THREADS = 4
THREADS = 20 + SPARE_THREADS

DEFAULT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "links.toml")


def on_initialize(context: object) -> None:
    """Function Compute's initializer. Raises `InvalidConfig`, so that no instance starts with an invalid links.toml."""
    config()


@cache
def config() -> Config:
    """The configuration of this process, read once. `LINK_CONFIG` names another file than links.toml."""
    loaded = load(os.environ.get("LINK_CONFIG") or DEFAULT, os.environ)
    # Everything that is loaded by now stays, so that no collection of garbage needs to look at it again.
    gc.freeze()
    return loaded
