"""A Chinese page has the same headings, commands and links as the English one, in the same order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.deploy.project_copy import ROOT

SUFFIX = ".zh-CN.md"
NAMES = (
    "README",
    "docs/api",
    "docs/causes",
    "docs/deploy",
    "docs/explain",
    "docs/emulator",
    "docs/git-lfs",
    "docs/shares",
    "docs/uploads",
    "docs/v1",
)
# Of this page, these sections alone are translated.
PARTIAL = {
    "docs/operations": ("Ten things that go wrong", "Rotate keys", "Upgrades and rollback"),
}
REQUIRED = {f"{name}{SUFFIX}" for name in (*NAMES, *PARTIAL)}
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md"))
)
TRANSLATIONS = sorted(REQUIRED.union(page for page in PAGES if page.endswith(SUFFIX)))


class Outline(NamedTuple):
    """What a translation must keep.

    `headings` are levels, `commands` lines of code without comments, `links` other files (without `#…`), and
    `sections` the numbers of the headings that links within the page lead to.
    """

    headings: list[int]
    commands: list[str]
    links: list[str]
    sections: list[int | None]


def without_code(page: str) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", page)


def anchors(page: str) -> list[str]:
    """What GitHub calls each heading in links."""
    headings = re.findall(r"(?m)^#+ (.*)$", without_code(page))
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def sections(page: str, titles: Sequence[str]) -> str:
    """The sections of a page with these titles."""
    parts = {part.partition("\n")[0]: part for part in page.split("\n## ")}
    return "".join(f"\n## {parts[title]}" for title in titles)


def outline(page: str, name: str = "README") -> Outline:
    """The outline of the page `name`.md in any language; its links to its other languages do not count."""
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page)
    prose = without_code(page)
    lines = [
        re.sub(r"\s+(#|//)(\s.*)?$", "", line).rstrip()
        for language, code in fences
        # Without a language, a fence holds a drawing or a transcript: only its commands count.
        for line in code.splitlines()
        if language or re.match(r"(make|curl|s|npm|python|git|export) ", line.strip())
    ]
    commands = [line for line in lines if line and not line.lstrip().startswith(("#", "//"))]
    links = [
        link
        for link in re.findall(r"\]\(([^)#]+)", prose)
        if not re.match(rf"{name}(\.[\w-]+)?\.md$", link)
    ]
    names = anchors(page)
    sections = [
        names.index(link) if link in names else None for link in re.findall(r"\]\(#([^)]+)", prose)
    ]
    return Outline(
        [len(level) for level in re.findall(r"(?m)^(#+) ", prose)], commands, links, sections
    )


def in_chinese(link: str, folder: Path) -> str:
    """The Chinese version of the linked page, or the link itself if it has none."""
    chinese = link.removesuffix(".md") + SUFFIX
    return chinese if link.endswith(".md") and (folder / chinese).is_file() else link


def of_either(links: Sequence[str]) -> list[str]:
    """A link to a page of which a part is translated may lead to the page in either language."""
    pages = {f"{Path(name).name}{SUFFIX}" for name in PARTIAL}
    return [link.replace(SUFFIX, ".md") if Path(link).name in pages else link for link in links]


def test_a_translation_matches_the_english_page_and_each_links_to_the_other() -> None:
    for path in (ROOT / translation for translation in TRANSLATIONS):
        english = path.with_name(path.name.removesuffix(SUFFIX) + ".md")
        pages = [page.read_text(encoding="utf-8") for page in (english, path)]
        texts = [*pages]
        if titles := PARTIAL.get(english.relative_to(ROOT).with_suffix("").as_posix()):
            texts = [sections(pages[0], titles), pages[1][pages[1].index("\n## ") :]]
        expected, actual = (outline(text, english.stem) for text in texts)
        assert expected.headings
        links = [in_chinese(link, path.parent) for link in expected.links]
        expected = expected._replace(links=of_either(links))
        assert actual._replace(links=of_either(actual.links)) == expected, path
        for page, other in zip(pages, (path, english), strict=True):
            assert f"]({other.name}" in without_code(page), f"no link to {other}"


def test_every_link_to_a_heading_finds_it() -> None:
    count = 0
    for path in (ROOT / page for page in (*PAGES, ".github/CONTRIBUTING.md")):
        for target, anchor in re.findall(
            r"\]\(([^)#:]*)#([^)]+)\)", without_code(path.read_text(encoding="utf-8"))
        ):
            linked = path.parent / target if target else path
            assert anchor in anchors(linked.read_text(encoding="utf-8")), (
                f"{path.name}: {target}#{anchor}"
            )
            count += 1
    assert count > 50
