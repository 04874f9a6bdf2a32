"""The READMEs can be used as they stand: files, commands, badges, output."""

from __future__ import annotations

import re
import sys

import pytest

from tests.deploy.project_copy import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

READMES = ["README.md", *sorted(path.name for path in ROOT.glob("README.*.md"))]
PAGES = [
    *READMES,
    "llms.txt",
    ".github/CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def not_for_zsh(command: str) -> list[str]:
    """What an interactive zsh takes for a pattern, or for arguments: it knows no comments."""
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
    return re.findall(r"[?*\[]|(?<!\S)#", unquoted)


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_links_to_exists(name: str) -> None:
    files = [target for target in re.findall(r'(?:\]\(|src=")([^)"#]+)', read(name)) if "://" not in target]
    assert len(files) > 20 or name not in READMES
    assert [file for file in files if not (ROOT / name).parent.joinpath(file).is_file()] == []


@pytest.mark.parametrize("name", [".github/CONTRIBUTING.md", "docs/decisions.md"])
def test_a_map_of_the_code_names_what_exists(name: str) -> None:
    paths = re.findall(r"`((?:\.ci|bench|deploy|handler|live|local|signer|tests|tools)/[\w./-]*)`", read(name))
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for constant, path in re.findall(r"`(\w+)` in `([\w/]+\.py)`", read(name)):
        assert re.search(rf"^(?:def |class )?{constant}\b", read(path), re.MULTILINE), f"{constant} in {path}"


@pytest.mark.parametrize("name", READMES)
def test_the_commands_of_a_readme_can_be_pasted_into_zsh(name: str) -> None:
    commands = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", read(name)) for line in block.splitlines()]
    assert len(commands) >= 12
    assert [command for command in commands if not_for_zsh(command)] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_command_of_a_page_ends_in_a_comment(name: str) -> None:
    """A shell for people takes it for arguments."""
    blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", read(name))
    lines = [line for language, code in blocks if language in ("", "sh", "console") for line in code.splitlines()]
    assert [line for line in lines if re.search(r"\S\s+# ", line)] == []


@pytest.mark.parametrize("name", READMES)
def test_the_badges_of_a_readme_say_what_pyproject_says(name: str) -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    python = project["requires-python"].removeprefix(">=")
    assert re.findall(r"img\.shields\.io/badge/([^)]+)\)", read(name)) == [
        f"licence-{project['license'].replace('-', '--')}-blue",
        f"python-%E2%89%A5{python}-blue",
    ]


def test_each_difference_to_doing_it_by_hand_is_shown_by_a_test_or_a_page() -> None:
    table = read("docs/compare.md").rpartition("bucket.sign_url")[2].partition("\n[1]")[0]
    rows = [line for line in table.splitlines() if re.match(r"\| (?!\|)", line)]
    assert len(rows) == 12
    files = [re.search(r"\| \[[^\]]+\]\((\.\./\S+\.py|[^/]+\.md|\.\./README\.md#\S+)\) \|$", row) for row in rows]
    assert [row for row, file in zip(rows, files, strict=True) if file is None] == []
    assert [file[1] for file in files if file and not (ROOT / "docs" / file[1].partition("#")[0]).is_file()] == []


@pytest.mark.parametrize("name", [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("**/*.zh-CN.md"))])
def test_a_chinese_page_marks_links_to_pages_that_are_english_only(name: str) -> None:
    links = re.findall(r"(?<!English)\]\(([^)#]+\.md)[^)]*\)(（英文）)?", read(name))
    assert [link for link, mark in links if bool(mark) == link.endswith(".zh-CN.md")] == []
