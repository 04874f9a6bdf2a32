"""Fixtures of the faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.service import Service, service

pytest.register_assert_rewrite("tests.faults.paths")


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests of a module, each of which makes objects of its own."""
    with service(tmp_path_factory.mktemp("faults")) as running:
        yield running
