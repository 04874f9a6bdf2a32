"""What several tests of deployments use, started once: a stack, an OSS, and the real Serverless Devs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import check, doctor, s_preview
from local.fc import s_yaml
from local.oss import create_app
from local.server import listen, serve
from local.stack import Stack
from tests.deploy.deployments import KEYS, deployed_here

render = s_preview.render


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


@pytest.fixture(autouse=True, scope="module")
def rendered_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """s takes most of a second. Also for the other processes of pytest-xdist, which have folders beside this one's."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if folder.name.startswith("popen-") else folder

    def render_once(config: Path, environment: str | None = None) -> dict[str, Any]:
        config = config.absolute()
        files = {*config.parent.glob("*.yaml"), *s_yaml.project_folder(config).glob("*.yaml"), config}
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        key = [(os.path.relpath(path, config.parent), path.read_bytes()) for path in sorted(files)]
        digest = hashlib.sha256(repr((config.name, key, environment, sorted(environ.items()))).encode()).hexdigest()
        file = folder / f"{digest}.json"
        if not file.exists():
            own = folder / f"{digest}.{os.getpid()}"
            own.write_text(json.dumps(render(config, environment)), encoding="utf-8")
            own.replace(file)
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return document

    with pytest.MonkeyPatch.context() as patch:
        for module in (check, doctor, s_preview):
            patch.setattr(module, "render", render_once)
        yield
