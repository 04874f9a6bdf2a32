"""Fixtures of this folder: a plugin that each of its test files names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import Requires, System, running

POLICY = Path(__file__).with_name("links.toml")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The repository's own `s.yaml` and `links.toml`."""
    with running(tmp_path_factory.mktemp("system") / "log") as found:
        yield found


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A system of the test's own, with a bucket that it may set up as it likes, and a wide policy."""
    with running(tmp_path / "log", {"LINK_CONFIG": str(POLICY)}) as found:
        yield found


@pytest.fixture(scope="session")
def requires() -> Requires:
    """Finds a tool by one of its names. A machine without it skips the test; one that builds for others may not."""

    def find(*names: str) -> str:
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None and os.environ.get("CI") == "true":
            pytest.fail(f"{names[0]} is not installed")
        if found is None:
            pytest.skip(f"{names[0]} is not installed")
        return found

    return find
