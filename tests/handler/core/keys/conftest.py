"""The command for a keys document, and the local OSS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handler.core.keys.command import KeysCli, keys_cli
from tests.handler.keys_fixtures import document
from tests.local_oss import LocalOss, local_oss


@pytest.fixture(params=["file", "oss"])
def cli(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[KeysCli]:
    with keys_cli(request.param, tmp_path, capsys) as started:
        yield started


@pytest.fixture
def existing(cli: KeysCli) -> KeysCli:
    """The command for a document that exists."""
    cli.write(json.dumps(document()).encode())
    return cli


@pytest.fixture
def in_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[KeysCli]:
    """The command for a document that exists in a file."""
    with keys_cli("file", tmp_path, capsys) as started:
        started.write(json.dumps(document()).encode())
        yield started


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started:
        yield started
