"""The start of an instance: links.toml is read and checked, once."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping
from functools import cache

from .core.config.load import load
from .core.context import ENVIRONMENT_LIFETIME, Clock, Instance

# Of a custom runtime: as many as its instanceConcurrency, and some for health checks while all others wait.
SPARE_THREADS = 4
THREADS = 20 + SPARE_THREADS

# Seconds before the environment's credentials expire in which an instance ends, and a new one takes over.
END_WITHIN = 3600

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


def end_after_answer(context: object) -> None:
    """Ends a process of the built-in runtime in the last hour of its credentials, once its answer has been sent.

    The runtime of Python 3.12 passes no credentials, and those in the environment age. No hook follows an answer, but
    the runtime holds the context until then. Where it does not, the process ends instead of answering.
    """
    try:
        made = instance()
    except Exception:  # the answer says why
        return
    left = made.started + ENVIRONMENT_LIFETIME - made.clock.now()
    if left < END_WITHIN and getattr(context, "credentials", None) is None:
        from weakref import finalize

        gc.collect()  # the frames of an exception may hold the context, too
        try:
            finalize(context, os._exit, 0)
        except TypeError:
            left = 0
        if left <= 0:
            os._exit(0)
