"""docs/explain.md shows what OSS's stand-in answers and what `explain` prints, to the letter."""

from __future__ import annotations

import re

from tests.signer.diagnosis import explain_page

TEXT = explain_page.PAGE.read_text(encoding="utf-8")


def test_every_block_of_the_page_is_what_is_printed() -> None:
    assert explain_page.page(TEXT) == TEXT


def test_a_changed_block_would_be_seen() -> None:
    changed = TEXT.replace("The link has expired. [expired", "The link is old. [expired")
    assert changed != TEXT
    assert explain_page.page(changed) == TEXT


def test_the_first_finding_is_what_the_section_is_about() -> None:
    sections = re.findall(r"<!-- explain: ([a-z-]+) -->\n```text\n.*?\n1\. .*?\[([a-z_]+),", TEXT, re.DOTALL)
    assert len(sections) == 21
    for name, found in sections:
        expected = {"wrong-secret": "signature_mismatch", "proved": "altered_parameter"}
        assert found == expected.get(name, name.replace("-", "_"))


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)}
    targets = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert targets
    assert targets <= anchors, targets - anchors


def test_the_page_tells_no_secret() -> None:
    for credentials in (explain_page.PERMANENT, explain_page.TEMPORARY):
        assert credentials.access_key_secret not in TEXT
    assert "CAIS" not in TEXT
    assert not re.search(r"[0-9a-f]{40}", TEXT)
