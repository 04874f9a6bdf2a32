"""Fixtures of the local OSS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.oss import CreatedObject, create_app
from local.server import Server, listen, serve
from tests.local.oss.cloud import BUCKET, KEYS, REGION, Cloud, FakeClock

Application = Callable[..., Iterable[bytes]]
Start = Callable[[], Cloud]


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


def application(root: Path, now: Callable[[], float], created: list[CreatedObject]) -> Application:
    return create_app(root, region=REGION, credentials=[KEYS], buckets=[BUCKET], now=now, on_created=created.append)


@pytest.fixture
def cloud(shared: SharedListener, tmp_path: Path) -> Cloud:
    """A local OSS whose clock a test can move."""
    cloud = Cloud(shared.server.url, tmp_path / "oss", FakeClock())
    shared.app = application(cloud.root, cloud.clock, cloud.created)
    return cloud


@pytest.fixture
def live_cloud(shared: SharedListener, tmp_path: Path) -> Cloud:
    """A local OSS on the real clock, for clients that sign with it."""
    cloud = Cloud(shared.server.url, tmp_path / "oss", FakeClock(time.time()))
    shared.app = application(cloud.root, time.time, cloud.created)
    return cloud


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a local OSS; the next one has the same root."""
    with ExitStack() as stack:

        def start_cloud() -> Cloud:
            clock, created = FakeClock(), list[CreatedObject]()
            server = serve(application(tmp_path / "oss", clock, created), listen(0))
            stack.callback(server.close)
            return Cloud(server.url, tmp_path / "oss", clock, created)

        yield start_cloud
