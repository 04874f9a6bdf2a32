"""For every test: what it prints is searched for secrets (.ci/run, `tools.secret_search`).

Where the variable `SECRETS_USED` names a file, the secrets that the tests make are added to it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

import signer
from tools import secret_search


def pytest_configure() -> None:
    # Hundreds of processes load the same modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if path := os.environ.get("SECRETS_USED"):
        secret_search.record(Path(path))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keeps the garbage collector from searching ten thousand tests, which stay, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The names of tests are printed too: a parameter with a secret is named there, and not shown."""
    has_secret = isinstance(val, str) and (signer.redact(val) != val or secret_search.search(val))
    return argname if has_secret else None
