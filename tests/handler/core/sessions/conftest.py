"""Fixtures of the sessions of mounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.handler.core.sessions.local_sts import LocalSts, local_sts


@pytest.fixture
def sts() -> Iterator[LocalSts]:
    with local_sts() as running:
        yield running
