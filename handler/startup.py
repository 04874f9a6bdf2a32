"""The start of an instance: links.toml is read and checked, once."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping
from functools import cache

from .config.load import load
from .context import Clock, Instance

# Of a custom runtime: as many as its instanceConcurrency, and some for health checks while all others wait.
SPARE_THREADS = 4
THREADS = 20 + SPARE_THREADS

DEFAULT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "links.toml")
_STARTED = time.time()


def on_initialize(context: object) -> None:
    """Function Compute's initializer. Raises `InvalidConfig`, so that no instance starts with an invalid links.toml."""
    instance()


def start(environ: Mapping[str, str]) -> Instance:
    """An instance under links.toml, or the file that `LINK_CONFIG` names. Raises `InvalidConfig`."""
    return Instance(load(environ.get("LINK_CONFIG") or DEFAULT, environ), Clock(), _STARTED)


@cache
def instance() -> Instance:
    """The instance of this process, made once; a start that failed is tried again. Raises `InvalidConfig`."""
    made = start(os.environ)
    # Everything that is loaded by now stays, so that no collection of garbage needs to look at it again.
    gc.freeze()
    return made
