"""docs/v1.md: its commands, as printed, with an OSS that refuses V1 and the stack that `make run` starts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.programs import ROOT, started

PAGE = (ROOT / "docs/v1.md").read_text("utf-8")
BLOCKS = re.findall(r"(?ms)^```console\n(.*?)^```$", PAGE.partition("\n## Try it\n")[2])
PROGRAM = f'fc-presign() {{ PYTHONPATH="{ROOT}" "{sys.executable}" -m signer "$@"; }}'


def run(block: str, folder: Path) -> str:
    """What the commands of a block print in a shell; some fail, as the page shows."""
    commands = re.findall(r"(?m)^\$ (.*(?:\n(?:key|bucket|print).*)*)", block)
    script = "\n".join([PROGRAM, f'python() {{ "{sys.executable}" "$@"; }}', *commands])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout


def shown(block: str) -> list[str]:
    """The lines of output that a block shows."""
    lines = re.sub(r"(?s)\$\(python.*?\)'\)", "", block).splitlines()
    return [line.rstrip("…") for line in lines if not line.startswith("$ ")]


@pytest.fixture(autouse=True)
def programs() -> None:
    for name in ("bash", "curl"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is required")


def test_a_v1_link_for_a_month_is_refused_as_the_page_shows(tmp_path: Path) -> None:
    start, month, _ = BLOCKS
    arguments = start.removeprefix("$ fc-presign ").split()
    with started(*arguments, "--port", "0", folder=tmp_path, module="signer", ports=False) as oss:
        oss.wait_for("env.sh")
        output = run(month, tmp_path)
        oss.process.send_signal(signal.SIGINT)
        oss.end()
    for line in shown(month):
        assert line in output
    assert "\nOSS presigned URL, signature V1, used with GET\n" in output
    assert "in 29 days" in output or "in 30 days" in output
    assert "For longer, share the file" in output


def test_the_shares_of_a_list_go_on_for_a_month(tmp_path: Path) -> None:
    block = BLOCKS[2]
    with started(
        "--root", "samples", "--config", str(ROOT / "s.yaml"), folder=tmp_path, quick=True
    ) as stack:
        stack.wait_for('"path":"/-/shares"')
        output = run(block, tmp_path)
        stack.process.send_signal(signal.SIGINT)
        stack.end()
    for line in shown(block):
        assert line in output
    rows = [(tmp_path / name).read_text("utf-8") for name in ("shares.csv", "more.csv")]
    assert [text.count("?share=") for text in rows] == [1, 1]
