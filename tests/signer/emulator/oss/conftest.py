"""Fixtures of the local OSS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.local_oss import NOW, FakeClock, LocalOss, local_oss
from tests.signer.emulator.conftest import SharedListener

Start = Callable[[], LocalOss]


@pytest.fixture
def cloud(shared: SharedListener, tmp_path: Path) -> LocalOss:
    """A local OSS whose clock stands still until a test moves it."""
    return shared.oss(tmp_path, FakeClock(NOW))


@pytest.fixture
def live_cloud(shared: SharedListener, tmp_path: Path) -> LocalOss:
    """A local OSS on the real clock, for clients that sign with it."""
    return shared.oss(tmp_path, FakeClock())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a local OSS; the next one has the same root."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(local_oss(tmp_path / "oss", clock=FakeClock(NOW)))
