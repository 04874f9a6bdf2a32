"""The pictures of the documents: each is shown, described, and made by a command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_every_picture_is_shown_and_every_shown_picture_exists() -> None:
    assert {path for page in PAGES for path, _ in shown(page)} == set(PICTURES)


@pytest.mark.parametrize("page", [page for page in PAGES if shown(page)], ids=lambda page: page.name)
def test_every_picture_is_described_for_those_who_do_not_see_it(page: Path) -> None:
    assert [path.name for path, alt in shown(page) if len(alt) < 8] == []


def test_make_docs_makes_all_pictures() -> None:
    assert set(PICTURES) == {IMAGES / name for name in (*screenshots.PICTURES, screenshots.SENDER)}
