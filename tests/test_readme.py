"""Pages can be used as they stand: their links, their commands, their pictures, and what they say of files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.project_copy import ROOT
from tools import screenshots

READMES = ["README.md", *sorted(path.name for path in ROOT.glob("README.*.md"))]
PAGES = [
    *READMES,
    "llms.txt",
    ".github/CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
]

IMAGES = ROOT / "docs/images"
PICTURES = sorted(path for path in IMAGES.rglob("*") if path.is_file())


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def not_for_zsh(command: str) -> list[str]:
    """What an interactive zsh takes for a pattern, or for arguments: it knows no comments."""
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
    return re.findall(r"[?*\[]|(?<!\S)#", unquoted)


def test_every_file_that_a_page_links_to_exists() -> None:
    for name in PAGES:
        files = [
            target
            for target in re.findall(r'(?:\]\(|src=")([^)"#]+)', read(name))
            if "://" not in target
        ]
        assert len(files) > 20 or name not in READMES
        assert [
            file for file in files if not (ROOT / name).parent.joinpath(file).is_file()
        ] == [], name


@pytest.mark.parametrize("name", [".github/CONTRIBUTING.md", "docs/decisions.md"])
def test_a_map_of_the_code_names_what_exists(name: str) -> None:
    paths = re.findall(
        r"`((?:\.ci|bench|deploy|handler|live|local|signer|tests|tools)/[\w./-]*)`", read(name)
    )
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for constant, path in re.findall(r"`(\w+)` in `([\w/]+\.py)`", read(name)):
        assert re.search(rf"^(?:def |class )?{constant}\b", read(path), re.MULTILINE), (
            f"{constant} in {path}"
        )


@pytest.mark.parametrize("name", READMES)
def test_the_commands_of_a_readme_can_be_pasted_into_zsh(name: str) -> None:
    commands = [
        line
        for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", read(name))
        for line in block.splitlines()
    ]
    assert len(commands) >= 12
    assert [command for command in commands if not_for_zsh(command)] == []


@pytest.mark.parametrize("name", READMES)
def test_the_row_for_a_program_to_test_installs_what_it_starts(name: str) -> None:
    (cell,) = re.findall(r"(?m)^\| ([^|]*)\(docs/emulator[^|]*\|", read(name))
    assert re.findall(r"`([^`]+)`", cell) == ["pip install '.[oss]'", "fc-presign oss"]


def test_no_command_of_a_page_ends_in_a_comment() -> None:
    """A shell for people takes it for arguments."""
    for name in PAGES:
        blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", read(name))
        lines = [
            line
            for language, code in blocks
            if language in ("", "sh", "console")
            for line in code.splitlines()
        ]
        assert [line for line in lines if re.search(r"\S\s+# ", line)] == [], name


def test_a_chinese_page_marks_links_to_pages_that_are_english_only() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("**/*.zh-CN.md")]
    assert len(pages) > 7
    for name in pages:
        links = re.findall(r"(?<!English)\]\(([^)#]+\.md)[^)]*\)(（英文）)?", read(name))
        assert [link for link, mark in links if bool(mark) == link.endswith(".zh-CN.md")] == [], (
            name
        )


def shown(page: Path) -> list[tuple[Path, str]]:
    """The pictures of a page, each with its description."""
    content = page.read_text(encoding="utf-8")
    found = [(target, alt) for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", content)]
    found += re.findall(r'<img [^>]*src="([^"]+)" alt="([^"]*)"', content)
    return [((page.parent / target).resolve(), alt) for target, alt in found if "://" not in target]


def test_every_picture_is_shown_and_described_and_make_docs_makes_it() -> None:
    found = [
        picture for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) for picture in shown(page)
    ]
    assert {path for path, _ in found} == set(PICTURES)
    assert [path.name for path, description in found if len(description) < 8] == []
    assert set(PICTURES) == {
        IMAGES / name for name in (*screenshots.PICTURES, *screenshots.SENDERS)
    }


@pytest.mark.shipped_files
def test_the_performance_page_starts_from_the_shipped_files() -> None:
    page = read("docs/performance.md")
    built_in = yaml.safe_load(read("s.yaml"))["resources"]["links_http"]["props"]
    custom = yaml.safe_load(read("deploy/custom-runtime/s.yaml"))["resources"]["links_traffic"][
        "props"
    ]
    for props, price in (
        (built_in, "(0.35 + 0.5 * 0.15 + 0.5 * 0.05)"),
        (custom, "(1 + 1 * 0.15 + 0.5 * 0.05)"),
    ):
        sizes = (props["cpu"], props["memorySize"] / 1024, props["diskSize"] / 1024)
        assert price == "({:g} + {:g} * 0.15 + {:g} * 0.05)".format(*sizes)
        assert price in page
    *_, prod = yaml.safe_load(read("env.yaml"))["environments"]
    reserved = prod["overlays"]["resources"]["links_http"]["concurrencyConfig"][
        "reservedConcurrency"
    ]
    assert f"as in `env.yaml`: {reserved}, one request at a time | {reserved} / (" in page
    assert f"`instanceConcurrency` of {custom['instanceConcurrency']} |" in page
