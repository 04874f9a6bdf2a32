"""What several tests of deployments use, started once: a stack and an OSS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import check, doctor
from local.oss import create_app
from local.server import listen, serve
from local.stack import Stack
from tests.deploy.deployments import deployed_here, rendered_here
from tests.handler.client import KEYS


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A good deployment on this machine."""
    with deployed_here(tmp_path_factory.mktemp("deployed")) as running:
        yield running


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[str]:
    """The address of a local OSS with a bucket."""
    server = serve(create_app(tmp_path, region="cn-hangzhou", credentials=[KEYS], buckets=["examplebucket"]), listen(0))
    try:
        yield server.url
    finally:
        server.close()


@pytest.fixture(autouse=True)
def _rendered_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real s takes most of a second: it is started by tests with `ci`."""
    if not request.node.get_closest_marker("ci"):
        for module in (check, doctor):
            monkeypatch.setattr(module, "render", rendered_here)
