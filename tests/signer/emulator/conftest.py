"""One server for the tests of OSS, STS and RAM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signer.emulator.ram import Principals
from signer.emulator.server import Server, listen, serve
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
