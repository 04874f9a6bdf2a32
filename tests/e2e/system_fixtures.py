"""Fixtures of this folder: a plugin that each of its test files names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import Requires, System, run_system

LINKS_TOML = Path(__file__).with_name("links.toml")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The repository's own `s.yaml` and `links.toml`."""
    with run_system(tmp_path_factory.mktemp("system") / "log") as system:
        yield system


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A system that only one test uses and can change, with a configuration that allows more."""
    with run_system(tmp_path / "log", {"LINK_CONFIG": str(LINKS_TOML)}) as system:
        yield system


@pytest.fixture(scope="session")
def requires() -> Requires:
    """Finds a tool by one of its names. Without it the test is skipped, or on CI fails."""

    def find(*names: str) -> str:
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None and os.environ.get("CI") == "true":
            pytest.fail(f"{names[0]} is not installed")
        if path is None:
            pytest.skip(f"{names[0]} is not installed")
        return path

    return find
