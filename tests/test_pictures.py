"""The pictures of the documents: each is shown, described, and made by a command."""

from __future__ import annotations

import re
from pathlib import Path

from tests.deploy.project_copy import ROOT
from tools import screenshots

IMAGES = ROOT / "docs/images"
PICTURES = sorted(path for path in IMAGES.rglob("*") if path.is_file())
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


def shown(page: Path) -> list[tuple[Path, str]]:
    """The pictures of a page, each with its description."""
    content = page.read_text(encoding="utf-8")
    found = [(target, alt) for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", content)]
    found += re.findall(r'<img [^>]*src="([^"]+)" alt="([^"]*)"', content)
    return [((page.parent / target).resolve(), alt) for target, alt in found if "://" not in target]


def test_every_picture_is_shown_and_described_and_make_docs_makes_it() -> None:
    found = [picture for page in PAGES for picture in shown(page)]
    assert {path for path, _ in found} == set(PICTURES)
    assert [path.name for path, description in found if len(description) < 8] == []
    assert set(PICTURES) == {IMAGES / name for name in (*screenshots.PICTURES, screenshots.SENDER)}
