"""docs/api.md and docs/uploads.md: every command works unchanged with the local stack."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.system import Requires, System
from tests.e2e.upload_system import KEY, stored_objects

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.upload_fixtures")

DOCS = Path(__file__).parents[2] / "docs"


def run(system: System, requires: Requires, folder: Path, page: str) -> str:
    """The output of all commands of a page, which run in order in one shell."""
    shell = requires("bash")
    requires("curl")
    requires("jq")
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    variables = {"PATH": os.environ["PATH"], "SERVICE": system.stack.http_url, "KEY": KEY, "no_proxy": "*"}
    process = subprocess.run(
        [shell, "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_commands_of_uploads_md(upload_system: System, requires: Requires, tmp_path: Path) -> None:
    output = run(upload_system, requires, tmp_path, "uploads.md")
    objects = stored_objects(upload_system)
    assert (objects["inbox/a.txt"], objects["inbox/photo.png"]) == (b"hello", b"an image")
    assert "inbox/big.bin" not in objects
    assert '"part_count": 3' in output
    assert "/in/?share=" in output


def test_the_commands_of_api_md(upload_system: System, requires: Requires, tmp_path: Path) -> None:
    upload_system.put("exampledir/exampleobject.txt", b"the object")
    output = run(upload_system, requires, tmp_path, "api.md")
    assert '"expires_in": 600, "clamped_by": null' in output
    assert (tmp_path / "object.txt").read_bytes() == b"the object"
    assert '3600\nnull\n900\nnull\nnull\n"not_found"\n' in output
    assert "Allow: POST, OPTIONS" in output


@pytest.mark.parametrize("page", ["api.md", "uploads.md"])
def test_links_between_pages_exist(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (DOCS / page).read_text("utf-8")):
        assert (DOCS / target).is_file(), target
