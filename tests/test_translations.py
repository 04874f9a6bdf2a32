"""A README in another language has the same commands, headings and links in the same order; all READMEs are usable."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import pytest

from tests.deploy.project_copy import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

READMES = ["README.md", *sorted(path.name for path in ROOT.glob("README.*.md"))]


class Outline(NamedTuple):
    """What a translation must keep: levels of headings, lines of code without comments, output, links to files."""

    headings: list[int]
    commands: list[str]
    transcripts: list[str]
    links: list[str]


def outline(page: str) -> Outline:
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page)
    prose = re.sub(r"(?ms)^```.*?^```$", "", page)
    lines = [
        re.sub(r"\s+#(\s.*)?$", "", line).rstrip()
        for language, code in fences
        # Without a language, a fence holds a drawing or what a program prints.
        if language
        for line in code.splitlines()
    ]
    commands = [line for line in lines if line and not line.lstrip().startswith("#")]
    # The words in a drawing are translated, those that a program prints are not.
    transcripts = [code for language, code in fences if not language and "│" not in code]
    links = [link for link in re.findall(r"\]\(([^)#]+)", prose) if not re.match(r"README[\w.-]*\.md$", link)]
    # A translation may link to the translated page.
    links = [re.sub(r"\.[a-z]{2}(-[A-Z]{2})?\.md$", ".md", link) for link in links]
    return Outline([len(level) for level in re.findall(r"(?m)^(#+) ", prose)], commands, transcripts, links)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def not_for_zsh(command: str) -> list[str]:
    """What an interactive zsh takes for a pattern, or for arguments: it knows no comments."""
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
    return re.findall(r"[?*\[]|(?<!\S)#", unquoted)


ENGLISH = """# Title
Text with [a page](docs/a.md), [another language](README.xx.md).

```sh
make demo      # shows it
```

```
It works.
```

## Next

```toml
path = "/a/"   # what
```
"""


@pytest.mark.parametrize("name", READMES[1:])
def test_a_translation_matches_the_readme(name: str) -> None:
    readme, translation = outline(read("README.md")), outline(read(name))
    assert readme.headings
    assert "make run" in readme.commands
    assert len(readme.transcripts) == 2
    assert translation.headings == readme.headings
    assert translation.commands == readme.commands
    assert translation.transcripts == readme.transcripts
    assert translation.links == readme.links


@pytest.mark.parametrize("name", READMES)
def test_every_file_and_section_that_a_readme_links_to_exists(name: str) -> None:
    page = read(name)
    files = [target for target in re.findall(r'(?:\]\(|src=")([^)"#]+)', page) if "://" not in target]
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).is_file()] == []
    sections = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", page)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= sections


@pytest.mark.parametrize("name", READMES)
def test_the_commands_of_a_readme_can_be_pasted_into_zsh(name: str) -> None:
    commands = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", read(name)) for line in block.splitlines()]
    assert len(commands) >= 12
    assert [command for command in commands if not_for_zsh(command)] == []


def test_zsh_refuses_unquoted_patterns_and_knows_no_comments() -> None:
    for command in ("curl http://127.0.0.1/?a=b", "pip install .[cli]", "make demo   # shows it"):
        assert not_for_zsh(command), command
    for command in ("curl 'http://127.0.0.1/?a=b#c'", "pip install '.[cli]'", "curl http://127.0.0.1/a#b"):
        assert not not_for_zsh(command), command


@pytest.mark.parametrize("name", READMES)
def test_the_badges_of_a_readme_say_what_pyproject_says(name: str) -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    python = project["requires-python"].removeprefix(">=")
    assert re.findall(r"img\.shields\.io/badge/([^)]+)\)", read(name)) == [
        f"licence-{project['license'].replace('-', '--')}-blue",
        f"python-%E2%89%A5{python}-blue",
    ]


def test_a_translated_comment_or_heading_is_not_a_difference() -> None:
    translated = ENGLISH.replace("shows it", "演示").replace("Next", "下一步").replace("README.xx.md", "README.md")
    translated = translated.replace("docs/a.md", "docs/a.zh-CN.md")
    assert (
        outline(translated)
        == outline(ENGLISH)
        == Outline([1, 2], ["make demo", 'path = "/a/"'], ["It works.\n"], ["docs/a.md"])
    )


def test_a_lost_heading_command_line_of_output_or_link_is_a_difference() -> None:
    for old, new in (
        ("## Next\n", ""),
        ("make demo", "make run"),
        ('"/a/"', '"/b/"'),
        ("It works", "It fails"),
        ("docs/a.md", "docs/b.md"),
    ):
        assert outline(ENGLISH.replace(old, new)) != outline(ENGLISH)
