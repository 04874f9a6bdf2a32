"""README.md: its commands and its code work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import signer
from handler.core.config.load import load
from tests.e2e.system import ROOT


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of a page with a language, or "" for those without one."""
    content = (ROOT / page).read_text("utf-8")
    return [
        code
        for name, code in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", content)
        if name == language
    ]


def test_the_library_code_of_the_readme(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_the_links_toml_of_the_readme_is_valid(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    path = tmp_path / "links.toml"
    path.write_text(example, encoding="utf-8")
    config = load(str(path), {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"})
    assert [mount.path for mount in config.mounts] == ["/exampledir/"]
