"""The service of tests/worlds.py, a new one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import worlds
from tests.memory_oss import memory_oss


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[worlds.Service]:
    """With an OSS in memory."""
    with memory_oss({}):
        yield worlds.service(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[worlds.Service]:
    """With an OSS of its own, which has reports/q3.pdf."""
    with worlds.service_with_oss(tmp_path) as running:
        running.put("reports/q3.pdf", b"%PDF" * 1000)
        yield running
