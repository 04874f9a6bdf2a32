"""The service that the tests of one module share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests import system
from tests.system import System


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """With an OSS and the real time, by which it accepts links."""
    with system.service_with_oss(tmp_path_factory.mktemp("oss"), now=time.time()) as running:
        yield running


@pytest.fixture
def uploads(running: System) -> System:
    """A new instance of it; the OSS keeps the objects of earlier tests."""
    return running.restarted()
