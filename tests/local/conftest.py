"""What the tests of several parts of the laptop use."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from local.ram import Principals
from local.server import Server, listen, serve
from tests.local_oss import FakeClock, LocalOss

Application = Callable[..., Iterable[bytes]]


class SharedListener:
    """One listener for all tests: each sets its own application."""

    def __init__(self) -> None:
        self.app: Application | None = None
        self.server: Server = serve(self, listen(0))

    def __call__(self, *request: Any) -> Iterable[bytes]:
        assert self.app
        return self.app(*request)

    def oss(
        self, folder: Path, clock: FakeClock, principals: Principals | None = None, *buckets: str
    ) -> LocalOss:
        """A local OSS for a test."""
        oss = LocalOss(self.server.url, folder / "oss", clock)
        self.app = oss.app(principals, *buckets)
        return oss


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
