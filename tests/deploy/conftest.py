"""What several tests of deployments use, started once: a stack and an OSS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import check, doctor, operate
from local.stack import Stack
from tests.deploy.deployments import deployed_here, rendered_here
from tests.local_oss import local_oss


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A good deployment on this machine."""
    with deployed_here(tmp_path_factory.mktemp("deployed")) as running:
        yield running


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[str]:
    """The address of a local OSS with a bucket."""
    with local_oss(tmp_path) as running:
        yield running.url


@pytest.fixture(autouse=True)
def _rendered_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real s takes most of a second: it is started by tests with `ci`."""
    if not request.node.get_closest_marker("ci"):
        for module in (check, doctor, operate):
            monkeypatch.setattr(module, "render", rendered_here)
