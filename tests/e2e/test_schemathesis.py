"""schemathesis goes through the OpenAPI document and holds the running service to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.system import System
from tests.e2e.uploads_system import KEY

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.uploads_fixtures")

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "handler" / "openapi.json"
PROGRAM = Path(sys.executable).with_name("schemathesis")


def run(system: System, folder: Path, *arguments: str) -> str:
    """What schemathesis reports; its exit status must be 0."""
    done = subprocess.run(
        [
            *(PROGRAM, "--no-color", "--config-file", HERE / "schemathesis.toml", "run", DOCUMENT),
            *("--url", system.stack.http_url, "--header", f"Authorization: Bearer {KEY}", "--workers", "1"),
            *("--request-timeout", "20", "--suppress-health-check", "all", *arguments),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_service_keeps_to_its_document(uploading: System, tmp_path: Path) -> None:
    report = run(uploading, tmp_path, "--max-time", "15", "--seed", "1")
    assert re.search(r"Tested: 24\b", report), report


@pytest.mark.long
def test_the_service_keeps_to_its_document_for_minutes(uploading: System, tmp_path: Path) -> None:
    run(uploading, tmp_path, "--max-time", "300")
