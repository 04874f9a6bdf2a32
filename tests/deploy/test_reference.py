"""The configuration page says what the code reads, no less and no more."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from deploy import reference
from handler.config import load, notices

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_the_page_is_not_stale() -> None:
    assert reference.main(["--check"]) == 0, "run python -m deploy.reference"


def test_a_stale_page_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "PAGE", tmp_path / "configuration.md")
    assert reference.main(["--check"]) == 1
    reference.main([])
    assert reference.main(["--check"]) == 0
    monkeypatch.setitem(load.MOUNT_KEYS, "colour", "Of the mount.")
    assert reference.main(["--check"]) == 1
    assert "run python -m deploy.reference" in capsys.readouterr().err


def test_every_key_that_is_read_is_on_the_page() -> None:
    text = reference.PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)^\| `([\w]+)` \|", text))
    read = {*load.TOP_KEYS, *load.MOUNT_KEYS, *notices.NOTICE_KEYS, *notices.SINK_KEYS}
    assert named == read | set(reference.VARIABLES) - {"any other"}


def test_the_example_on_the_page_is_good() -> None:
    variables = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    policy = load.read(tomllib.loads(reference.EXAMPLE), variables)
    assert [mount.path for mount in policy.mounts] == ["/reports/"]
    assert [notice.on for notice in policy.notices] == ["created"]


def test_links_from_one_page_to_another_lead_somewhere() -> None:
    for page in [*reference.PAGE.parent.glob("*.md")]:
        for link in re.findall(r"\]\(([\w./-]+\.(?:md|png|svg))(?:#[\w-]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} leads to {link}"
