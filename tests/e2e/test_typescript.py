"""The types that openapi-typescript makes of the document compile with a program, which then calls the service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.system import KEY, ROOT, Requires, System, script_of_npm

pytestmark = pytest.mark.ci

NODE = ROOT / "tests/node"
Run = Callable[..., str]


@pytest.fixture
def run(requires: Requires, tmp_path: Path) -> Run:
    """Runs a script of npm's packages, or of this folder, with node, which must succeed. It returns what is printed."""
    node = requires("node", "nodejs")

    def execute(script: Path, *arguments: object, **variables: str) -> str:
        process = subprocess.run(
            [node, script, *map(str, arguments)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1", **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    return execute


def test_nine_calls_with_generated_types_compile_and_work(
    world: System, run: Run, tmp_path: Path
) -> None:
    generator = script_of_npm("openapi-typescript/bin/cli.js")
    compiler = script_of_npm("typescript/bin/tsc")
    for name in ("tsconfig.json", "typescript_client.ts"):
        shutil.copy(NODE / name, tmp_path)
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}), "utf-8")
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    document = ROOT / "handler/web/openapi.json"
    run(generator, document, "--output", tmp_path / "openapi.d.ts")
    run(compiler, "--project", tmp_path)
    client = tmp_path / "typescript_client.js"
    printed = run(client, SERVICE=world.stack.http_url, KEY=KEY, FOLDER="/sent/")
    assert printed == "This link was withdrawn by its sender. Ask the sender for a new link.\n"
