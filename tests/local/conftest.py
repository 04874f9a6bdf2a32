"""What the tests of several parts of the laptop use."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pytest

from local.server import Server, listen, serve

Application = Callable[..., Iterable[bytes]]


class SharedListener:
    """One listener for all tests: each sets its own application."""

    def __init__(self) -> None:
        self.app: Application | None = None
        self.server: Server = serve(self, listen(0))

    def __call__(self, *request: Any) -> Iterable[bytes]:
        assert self.app
        return self.app(*request)


@pytest.fixture(scope="session")
def shared() -> Iterator[SharedListener]:
    shared = SharedListener()
    yield shared
    shared.server.close()


@pytest.fixture
def log() -> Iterator[IO[bytes]]:
    """What functions print."""
    with tempfile.TemporaryFile() as file:
        yield file
