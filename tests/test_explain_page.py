"""docs/explain.md and its translation show exactly what local OSS answers and what `explain` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import explain_page

PAGES = {path.name: path.read_text(encoding="utf-8") for path in explain_page.PAGES}
each_page = pytest.mark.parametrize("markdown", PAGES.values(), ids=PAGES)


@each_page
def test_every_block_of_the_page_is_up_to_date(markdown: str) -> None:
    assert explain_page.page(markdown) == markdown


@each_page
def test_a_changed_block_is_detected(markdown: str) -> None:
    changed = markdown.replace("The link has expired. [expired", "The link is old. [expired")
    assert changed != markdown
    assert explain_page.page(changed) == markdown


def test_a_page_that_is_not_current_is_named_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "explain.md"
    path.write_text("The link is old.")
    monkeypatch.setattr(explain_page, "PAGES", (path,))
    monkeypatch.setattr(explain_page, "page", lambda markdown: markdown.replace("is old", "has expired"))
    assert explain_page.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/explain.md is not current: run make docs.\n"
    assert explain_page.main([]) == 0
    assert path.read_text() == "The link has expired."
    assert explain_page.main(["--check"]) == 0


@each_page
def test_the_first_finding_is_the_subject_of_its_section(markdown: str) -> None:
    sections = re.findall(r"<!-- explain: ([a-z-]+) -->\n```text\n.*?\n1\. .*?\[([a-z_]+),", markdown, re.DOTALL)
    assert len(sections) == 23
    for name, code in sections:
        expected = {
            "wrong-secret": "signature_mismatch",
            "proved": "altered_parameter",
            "changed-on-the-way": "added_parameters",
        }
        assert code == expected.get(name, name.replace("-", "_"))


@each_page
def test_the_page_contains_no_secret(markdown: str) -> None:
    for credentials in (explain_page.PERMANENT, explain_page.TEMPORARY):
        assert credentials.access_key_secret not in markdown
    assert "CAIS" not in markdown
    assert not re.search(r"[0-9a-f]{40}", markdown)
