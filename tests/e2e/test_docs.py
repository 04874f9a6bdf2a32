"""README.md: its commands and its code work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import signer
from handler.core.config.load import load
from tests.e2e.system import ROOT, TIMEOUT, System


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of a page with a language, or "" for those without one."""
    content = (ROOT / page).read_text("utf-8")
    return [code for name, code in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", content) if name == language]


def commands(program: str) -> list[list[str]]:
    """The arguments of each command of the README that runs a program, also of its tables."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += re.findall(r"\| `([^`]+)` \|", (ROOT / "README.md").read_text("utf-8"))
    return [arguments for name, *arguments in map(shlex.split, lines) if name == program]


def test_the_library_code_of_the_readme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    assert len(code.splitlines()) == 4
    credentials = signer.Credentials("LTAI5tEXAMPLE", "EXAMPLE")
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", credentials.access_key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", credentials.access_key_secret)
    monkeypatch.delenv("OSS_SESSION_TOKEN", raising=False)
    # In a clone, the package that is installed as fc_presign is called signer.
    exec(code.replace("fc_presign", "signer"), {})  # noqa: S102
    url, _, expiry = capsys.readouterr().out.partition(" ")
    assert signer.verify("GET", url, credentials=credentials).faults == ()
    assert "/reports/q3.pdf?" in url
    assert expiry.endswith("+00:00\n")


def test_the_commands_of_the_readme_sign_and_explain(system: System, tmp_path: Path) -> None:
    system.put("reports/q3.pdf", b"the report")
    keys, stack = system.stack.credentials, system.stack
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OSS_ACCESS_KEY_ID": keys.access_key_id,
        "OSS_ACCESS_KEY_SECRET": keys.access_key_secret,
        "OSS_SESSION_TOKEN": keys.security_token or "",
    }

    def fc_presign(arguments: list[str], given: str = "") -> str:
        local = ["--endpoint", stack.oss_url, "--path-style"] if "--region" in arguments else []
        process = subprocess.run(
            [sys.executable, "-m", "signer", *arguments, *local],
            cwd=tmp_path,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    *_, explain, sign = commands("fc-presign")
    url = fc_presign(sign)
    assert requests.get(url.strip(), timeout=TIMEOUT).content == b"the report"
    assert "reports/q3.pdf" in fc_presign(explain, url)


def test_the_targets_of_make_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = {arguments[0] for arguments in commands("make")} | set(re.findall(r"`make (\w+)", readme))
    assert {"demo", "run", "help", "doctor"} <= targets
    makefile = (ROOT / "Makefile").read_text("utf-8")
    known = {name for names in re.findall(r"(?m)^([a-z][\w -]*):", makefile) for name in names.split()}
    assert targets <= known


def test_the_links_toml_of_the_readme_is_valid(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    path = tmp_path / "links.toml"
    path.write_text(example, encoding="utf-8")
    config = load(str(path), {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"})
    assert [mount.path for mount in config.mounts] == ["/exampledir/"]
