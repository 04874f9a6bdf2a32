"""The service of tests/system.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import system
from tests.handler.client import NOW
from tests.local_oss import FakeClock, LocalOss
from tests.memory_oss import MemoryOss, memory_oss
from tests.system import System


@pytest.fixture
def oss_clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def oss(oss_clock: FakeClock) -> Iterator[MemoryOss]:
    """An OSS in memory, empty."""
    with memory_oss({}, oss_clock.now) as memory:
        yield memory


@pytest.fixture
def in_memory(oss: MemoryOss, oss_clock: FakeClock, tmp_path: Path) -> System:
    """With an OSS in memory, whose time passes with that of requests."""
    started = system.service(tmp_path)
    started.oss = LocalOss(clock=oss_clock)
    return started


@pytest.fixture
def service(tmp_path: Path) -> Iterator[System]:
    """With an OSS of its own, which has reports/q3.pdf."""
    with system.service_with_oss(tmp_path) as running:
        running.put("reports/q3.pdf", b"%PDF" * 1000)
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """With an OSS and the real time, by which it accepts links."""
    with system.service_with_oss(tmp_path_factory.mktemp("oss"), now=time.time()) as running:
        yield running


@pytest.fixture
def uploads(running: System) -> System:
    """A new instance of it; the OSS keeps the objects of earlier tests."""
    return running.restarted()
