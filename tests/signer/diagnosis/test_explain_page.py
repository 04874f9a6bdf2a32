"""docs/explain.md shows exactly what local OSS answers and what `explain` prints."""

from __future__ import annotations

import re

from tests.signer.diagnosis import explain_page

MARKDOWN = explain_page.PAGE.read_text(encoding="utf-8")


def test_every_block_of_the_page_is_up_to_date() -> None:
    assert explain_page.page(MARKDOWN) == MARKDOWN


def test_a_changed_block_is_detected() -> None:
    changed = MARKDOWN.replace("The link has expired. [expired", "The link is old. [expired")
    assert changed != MARKDOWN
    assert explain_page.page(changed) == MARKDOWN


def test_the_first_finding_is_the_subject_of_its_section() -> None:
    sections = re.findall(r"<!-- explain: ([a-z-]+) -->\n```text\n.*?\n1\. .*?\[([a-z_]+),", MARKDOWN, re.DOTALL)
    assert len(sections) == 23
    for name, code in sections:
        expected = {
            "wrong-secret": "signature_mismatch",
            "proved": "altered_parameter",
            "changed-on-the-way": "added_parameters",
        }
        assert code == expected.get(name, name.replace("-", "_"))


def test_every_link_within_the_page_has_a_heading() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", MARKDOWN, re.MULTILINE)}
    targets = set(re.findall(r"\]\(#([^)]+)\)", MARKDOWN))
    assert targets
    assert targets <= anchors, targets - anchors


def test_the_page_contains_no_secret() -> None:
    for credentials in (explain_page.PERMANENT, explain_page.TEMPORARY):
        assert credentials.access_key_secret not in MARKDOWN
    assert "CAIS" not in MARKDOWN
    assert not re.search(r"[0-9a-f]{40}", MARKDOWN)
