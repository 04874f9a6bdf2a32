"""docs/api.md and docs/uploads.md: every command in them works, as it stands, against the local stack."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.system import Requires, System
from tests.e2e.uploads_system import KEY, stored

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.uploads_fixtures")

DOCS = Path(__file__).parents[2] / "docs"


def run(system: System, requires: Requires, folder: Path, page: str) -> str:
    """What a page's commands print, run in order in one shell."""
    shell = requires("bash")
    requires("curl")
    requires("jq")
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    variables = {"PATH": os.environ["PATH"], "SERVICE": system.stack.http_url, "KEY": KEY, "no_proxy": "*"}
    done = subprocess.run(
        [shell, "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_on_uploads(uploading: System, requires: Requires, tmp_path: Path) -> None:
    printed = run(uploading, requires, tmp_path, "uploads.md")
    found = stored(uploading)
    assert (found["inbox/a.txt"], found["inbox/photo.png"]) == (b"hello", b"an image")
    assert "inbox/big.bin" not in found
    assert '"part_count": 3' in printed
    assert "/in/?share=" in printed


def test_the_commands_of_the_api(uploading: System, requires: Requires, tmp_path: Path) -> None:
    uploading.put("exampledir/exampleobject.txt", b"the object")
    printed = run(uploading, requires, tmp_path, "api.md")
    assert '"expires_in": 600, "clamped_by": null' in printed
    assert (tmp_path / "object.txt").read_bytes() == b"the object"
    assert '3600\nnull\n900\nnull\nnull\n"not_found"\n' in printed
    assert "Allow: POST, OPTIONS" in printed


@pytest.mark.parametrize("page", ["api.md", "uploads.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (DOCS / page).read_text("utf-8")):
        assert (DOCS / target).is_file(), target
