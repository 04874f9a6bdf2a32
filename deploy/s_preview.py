"""Renders s.yaml with the real Serverless Devs."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from .command import output_of
from .errors import DeployError

# The tests of a clone install it here; someone who deploys has it on PATH.
INSTALLED_FOR_TESTS = Path(__file__).parent.parent / "tests/node/node_modules/.bin/s"
TIMEOUT = 120  # seconds


def s_command() -> Path:
    """Raises `DeployError` if Serverless Devs is not installed."""
    command = INSTALLED_FOR_TESTS if INSTALLED_FOR_TESTS.exists() else shutil.which("s")
    if command is None:
        raise DeployError(
            "The command s was not found. Install it: npm install --global --ignore-scripts @serverless-devs/s@3"
        )
    return Path(command)


def render(config: Path, environment: str | None = None) -> dict[str, Any]:
    """What `s preview` prints, with the overlays of an environment. Raises `DeployError`.

    It needs no credentials and fetches no component; its home is a temporary folder, so it leaves nothing behind.
    """
    command = [
        str(s_command()),
        "preview",
        "--output",
        "json",
        "--silent",
        "--template",
        config.name,
    ]
    command += ["--env", environment] if environment else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        try:
            # NODE_ENV=test keeps it from reporting its use and from looking for updates.
            variables = {"HOME": home, "NODE_ENV": "test", "NO_COLOR": "1", "FORCE_COLOR": "0"}
            done = output_of(
                command, TIMEOUT, cwd=config.resolve().parent, env={**os.environ, **variables}
            )
        except TimeoutExpired:
            raise DeployError(
                f"s preview did not render {config.name} within {TIMEOUT} s: try again."
            ) from None
    start = done.stdout.find("{")
    if done.returncode == 0 and start >= 0:
        try:
            document = json.loads(done.stdout[start:])
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
    raise DeployError(
        f"s preview cannot render {config.name}: {_error_message(done.stdout + done.stderr)}"
    )


def _error_message(output: str) -> str:
    """The error itself, without the tips and paths that are printed around it."""
    message = re.split(
        r"\n\s*(🍼|A complete log|Env:)", output.partition("Error Message:")[2] or output
    )[0]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    thrown = [
        line.removeprefix("RuntimeError: ") for line in lines if line.startswith("RuntimeError: ")
    ]
    sentence = (thrown or lines or ["no output"])[0][:300].rstrip(".")
    sentence = re.sub(r"^env\('(\w+)'\) not found$", r"set the environment variable \1", sentence)
    return (
        re.sub(r"(\$\{[^}]*\}) not found$", r"\1 is missing or empty: give it a value", sentence)
        + "."
    )
