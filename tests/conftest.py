"""For every test: what it prints is searched for secrets (.ci/run, `tools.secret_search`).

Where the variable `SECRETS_USED` names a file, the secrets that the tests make are added to it.
"""

from __future__ import annotations

import os
from pathlib import Path

import signer
from tools import secret_search


def pytest_configure() -> None:
    if path := os.environ.get("SECRETS_USED"):
        secret_search.record(Path(path))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """The names of tests are printed too: a parameter with a secret is named there, and not shown."""
    has_secret = isinstance(val, str) and (signer.redact(val) != val or secret_search.search(val))
    return argname if has_secret else None
