"""Fixtures of the local OSS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.oss import CreatedObject, create_app
from local.server import listen, serve
from tests.handler.client import KEYS
from tests.local.conftest import Application, SharedListener
from tests.local_oss import BUCKET, REGION, FakeClock, LocalOss

Start = Callable[[], LocalOss]


def application(root: Path, now: Callable[[], float], created: list[CreatedObject]) -> Application:
    return create_app(root, region=REGION, credentials=[KEYS], buckets=[BUCKET], now=now, on_created=created.append)


@pytest.fixture
def cloud(shared: SharedListener, tmp_path: Path) -> LocalOss:
    """A local OSS whose clock a test can move."""
    cloud = LocalOss(shared.server.url, tmp_path / "oss", FakeClock())
    shared.app = application(cloud.root, cloud.clock, cloud.created)
    return cloud


@pytest.fixture
def live_cloud(shared: SharedListener, tmp_path: Path) -> LocalOss:
    """A local OSS on the real clock, for clients that sign with it."""
    cloud = LocalOss(shared.server.url, tmp_path / "oss", FakeClock(time.time()))
    shared.app = application(cloud.root, time.time, cloud.created)
    return cloud


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a local OSS; the next one has the same root."""
    with ExitStack() as stack:

        def start_cloud() -> LocalOss:
            clock, created = FakeClock(), list[CreatedObject]()
            server = serve(application(tmp_path / "oss", clock, created), listen(0))
            stack.callback(server.close)
            return LocalOss(server.url, tmp_path / "oss", clock, created)

        yield start_cloud
