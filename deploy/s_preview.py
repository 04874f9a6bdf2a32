"""`s.yaml` as the real Serverless Devs renders it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import DeployError

# Where the tests of a clone have it; a person who deploys has it on PATH.
OF_THE_CLONE = Path(__file__).parent.parent / "tests/node/node_modules/.bin/s"
SECONDS = 120


def serverless_devs() -> Path:
    """The `s` command. Raises `DeployError`."""
    found = OF_THE_CLONE if OF_THE_CLONE.exists() else shutil.which("s")
    if found is None:
        raise DeployError("The command s is not here: npm install --global --ignore-scripts @serverless-devs/s@3")
    return Path(found)


def render(config: Path, environment: str | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The document that `s preview` gives, with the overlays of an environment. Raises `DeployError`.

    It needs no credentials, fetches no component, and leaves nothing behind: its home is a temporary folder.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        done = subprocess.run(
            [
                *(str(serverless_devs()), "preview", "--output", "json", "--silent", "--template", config.name),
                *(["--env", environment] if environment else []),
            ],
            cwd=config.resolve().parent,
            # "test" keeps it from starting processes that report its use and look for updates.
            env={**environ, "HOME": home, "NODE_ENV": "test", "NO_COLOR": "1", "FORCE_COLOR": "0"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    start = done.stdout.find("{")
    if done.returncode == 0 and start >= 0:
        try:
            document = json.loads(done.stdout[start:])
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
    raise DeployError(f"s preview cannot render {config.name}: {_message(done.stdout + done.stderr)}")


def _message(text: str) -> str:
    """What went wrong, without the tips and paths around it."""
    told = re.split(r"\n\s*(🍼|A complete log|Env:)", text.partition("Error Message:")[2] or text)[0]
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    thrown = [line.removeprefix("RuntimeError: ") for line in lines if line.startswith("RuntimeError: ")]
    return (thrown or lines or ["it said nothing"])[0][:300].rstrip(".") + "."
