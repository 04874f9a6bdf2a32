"""The service of tests/worlds.py, a new one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import worlds
from tests.handler.client import NOW
from tests.memory_oss import MemoryOss, memory_oss


@pytest.fixture
def oss() -> Iterator[MemoryOss]:
    """An OSS in memory, empty."""
    with memory_oss({}, now=lambda: NOW) as memory:
        yield memory


@pytest.fixture
def in_memory(oss: MemoryOss, tmp_path: Path) -> worlds.Service:
    """With an OSS in memory."""
    return worlds.service(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[worlds.Service]:
    """With an OSS of its own, which has reports/q3.pdf."""
    with worlds.service_with_oss(tmp_path) as running:
        running.put("reports/q3.pdf", b"%PDF" * 1000)
        yield running
