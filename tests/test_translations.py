"""A README in another language has the same commands, headings and links, in the same order."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.deploy.project_copy import ROOT


class Outline(NamedTuple):
    """What a translation must keep: levels of headings, lines of code without comments, links to other files."""

    headings: list[int]
    commands: list[str]
    links: list[str]


def outline(page: str) -> Outline:
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page)
    prose = re.sub(r"(?ms)^```.*?^```$", "", page)
    lines = [
        re.sub(r"\s+#(\s.*)?$", "", line).rstrip()
        for language, code in fences
        # Without a language, a fence holds a drawing or a transcript: only its commands count.
        for line in code.splitlines()
        if language or re.match(r"(make|curl|s|npm|python|git) ", line.strip())
    ]
    commands = [line for line in lines if line and not line.lstrip().startswith("#")]
    links = [link for link in re.findall(r"\]\(([^)#]+)", prose) if not re.match(r"README[\w.-]*\.md$", link)]
    return Outline([len(level) for level in re.findall(r"(?m)^(#+) ", prose)], commands, links)


ENGLISH = """# Title
Text with [a page](docs/a.md), [another language](README.xx.md).

```
make demo      # shows it
```

## Next

```toml
path = "/a/"   # what
```
"""


def test_translations_match_the_readme() -> None:
    readme = outline((ROOT / "README.md").read_text(encoding="utf-8"))
    assert readme.headings
    assert "make demo" in readme.commands
    for path in ROOT.glob("README.*.md"):
        translation = outline(path.read_text(encoding="utf-8"))
        assert translation.headings == readme.headings, path.name
        assert translation.commands == readme.commands, path.name
        assert translation.links == readme.links, path.name


def test_a_translated_comment_or_heading_is_not_a_difference() -> None:
    translated = ENGLISH.replace("shows it", "演示").replace("Next", "下一步").replace("README.xx.md", "README.md")
    assert outline(translated) == outline(ENGLISH) == Outline([1, 2], ["make demo", 'path = "/a/"'], ["docs/a.md"])


def test_a_lost_heading_command_line_or_link_is_a_difference() -> None:
    for old, new in (("## Next\n", ""), ("make demo", "make run"), ('"/a/"', '"/b/"'), ("docs/a.md", "docs/b.md")):
        assert outline(ENGLISH.replace(old, new)) != outline(ENGLISH)
