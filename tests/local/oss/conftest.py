"""Fixtures of the laptop's OSS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.oss import CreatedObject, create_app
from local.server import Server, listen, serve
from tests.local.oss.cloud import BUCKET, KEYS, REGION, Clock, Cloud

Application = Callable[..., Iterable[bytes]]
Start = Callable[[], Cloud]


class Shared:
    """One listener for all tests: each puts its own application behind it."""

    def __init__(self) -> None:
        self.app: Application | None = None
        self.server: Server = serve(self, listen(0))

    def __call__(self, *request: Any) -> Iterable[bytes]:
        assert self.app
        return self.app(*request)


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    shared = Shared()
    yield shared
    shared.server.close()


def application(root: Path, now: Callable[[], float], created: list[CreatedObject]) -> Application:
    return create_app(root, region=REGION, credentials=[KEYS], buckets=[BUCKET], now=now, on_created=created.append)


@pytest.fixture
def cloud(shared: Shared, tmp_path: Path) -> Cloud:
    """A stand-in whose clock a test can move."""
    found = Cloud(shared.server.url, tmp_path / "oss", Clock())
    shared.app = application(found.root, found.clock, found.created)
    return found


@pytest.fixture
def live_cloud(shared: Shared, tmp_path: Path) -> Cloud:
    """A stand-in on the real clock, for clients that sign with it."""
    found = Cloud(shared.server.url, tmp_path / "oss", Clock(time.time()))
    shared.app = application(found.root, time.time, found.created)
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a stand-in; the next one finds the same root."""
    with ExitStack() as ends:

        def started() -> Cloud:
            clock, created = Clock(), list[CreatedObject]()
            server = serve(application(tmp_path / "oss", clock, created), listen(0))
            ends.callback(server.close)
            return Cloud(server.url, tmp_path / "oss", clock, created)

        yield started
