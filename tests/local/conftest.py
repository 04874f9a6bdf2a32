"""What the tests of several parts of the laptop use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

import pytest

from tests.signer.emulator.conftest import shared as shared


@pytest.fixture
def log() -> Iterator[IO[bytes]]:
    """What functions print."""
    with tempfile.TemporaryFile() as file:
        yield file
