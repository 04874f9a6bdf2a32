"""schemathesis tests the running service against its OpenAPI document."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.system import KEY, System
from tests.system import secret_of

pytestmark = pytest.mark.ci

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "handler" / "web" / "openapi.json"
PROGRAM = Path(sys.executable).with_name("schemathesis")


def run(system: System, folder: Path, *arguments: str) -> str:
    """The report of schemathesis, whose exit status must be 0. It knows a share."""
    system.put("exampledir/q3.pdf", b"content")
    share = secret_of(system.create_share(path="/exampledir/q3.pdf", max_uses=3))
    config = folder / "schemathesis.toml"
    config.write_text((HERE / config.name).read_text("utf-8").replace("SHARE", share), "utf-8")
    process = subprocess.run(
        [
            PROGRAM,
            "--no-color",
            "--config-file",
            config,
            "run",
            DOCUMENT,
            "--url",
            system.stack.http_url,
            "--header",
            f"Authorization: Bearer {KEY}",
            "--workers",
            "1",
            "--request-timeout",
            "20",
            "--suppress-health-check",
            "all",
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.mark.parametrize("mode", ["positive", pytest.param("all", marks=pytest.mark.long)])
def test_the_service_matches_its_document(world: System, tmp_path: Path, mode: str) -> None:
    phases = ("--phases", "examples,coverage", "--mode", mode)
    report = run(world, tmp_path, *phases, "--max-examples", "1", "--seed", "1")
    assert re.search(r"Tested: 17\b", report), report


@pytest.mark.long
def test_the_service_matches_its_document_for_minutes(world: System, tmp_path: Path) -> None:
    run(world, tmp_path, "--max-time", "300")
