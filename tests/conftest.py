"""For every test: where `SECRETS_USED` names a file, the secrets that the tests make are added to it (.ci/run)."""

from __future__ import annotations

import os
from pathlib import Path

from tests import secret_search


def pytest_configure() -> None:
    if path := os.environ.get("SECRETS_USED"):
        secret_search.record(Path(path))
