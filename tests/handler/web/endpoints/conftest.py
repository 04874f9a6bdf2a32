"""The service that the tests of one module share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests import worlds


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> worlds.Service:
    """Without an OSS."""
    return worlds.service(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[worlds.Service]:
    """With an OSS and the real time, by which it accepts links."""
    with worlds.service_with_oss(tmp_path_factory.mktemp("oss"), now=time.time()) as running:
        yield running


@pytest.fixture
def uploads(running: worlds.Service) -> worlds.Service:
    """A new instance of it; the OSS keeps the objects of earlier tests."""
    return running.restarted()
