"""What strangers write runs with the wheel alone (test_strangers.py), and is not collected here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator import environments

collect_ignore = ["programs", "stranger"]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for this run of the tests."""
    return environments.shared_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    (wheel,) = environments.once(shared / "wheel", environments.build_wheel).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def programs(shared: Path, wheel: Path) -> Path:
    """An environment with the wheel and what programs/programs.lock names."""
    python = environments.interpreter(environments.LOCKED_FOR)

    def install(folder: Path) -> None:
        environments.create(folder, python, "--require-hashes", "-r", environments.LOCK)
        environments.install(folder, "--no-deps", wheel)

    return environments.once(shared / "programs", install)
