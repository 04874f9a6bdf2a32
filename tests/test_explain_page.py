"""docs/causes.md, docs/explain.md and llms.txt show exactly what the local OSS answers and what `explain` prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import signer
from signer.diagnosis.causes import CAUSES, causes_in, translate
from signer.diagnosis.server_error import ServerError, read_error
from tests import git
from tools import explain_page

ROOT = explain_page.ROOT
TABLES = explain_page.read_tables()
EXAMPLES = {code: explain_page.explained(cause) for code, cause in CAUSES.items()}
PAGES = [ROOT / f"docs/causes{suffix}" for suffix in explain_page.LANGUAGES.values()]
SKILL = ROOT / "skills/fc-presign-explain/SKILL.md"


def test_every_generated_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain_page.main(["--check"]) == 0, capsys.readouterr().err


def test_a_page_that_is_not_current_is_named_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    old = tmp_path / "docs/causes.md"
    old.write_text("# The link is old.\n")
    monkeypatch.setattr(explain_page, "ROOT", tmp_path)
    monkeypatch.setattr(explain_page, "pages", lambda tables: [(old, "# The link has expired.\n")])
    monkeypatch.setattr(explain_page, "read_tables", lambda: {**TABLES, "pages": {}})
    assert explain_page.main(["--check"]) == 1
    assert capsys.readouterr().err == "".join(
        f"{name} is not current: run make docs.\n" for name in ("docs/causes.md", "llms.txt")
    )
    assert explain_page.main([]) == 0
    assert old.read_text() == "# The link has expired.\n"
    assert explain_page.main(["--check"]) == 0


def test_every_finding_refers_to_others_and_says_what_is_seen() -> None:
    for code, cause in CAUSES.items():
        assert bool(cause.seen) != bool(explain_page.errors_of(CAUSES, cause)), code
        assert {*cause.near, *cause.like} < CAUSES.keys() - {code}, code
    for cause in causes_in("zh").values():
        is_chinese = all(re.search("[\u4e00-\u9fff]", each) for each in (cause.title, cause.why))
        assert is_chinese == (cause.language == "zh")
    assert TABLES["words"]["en"].keys() == TABLES["words"]["zh"].keys()


def test_without_chinese_words_the_english_ones_stand_in_and_a_note_says_so() -> None:
    words = TABLES["words"]["zh"]
    text = (ROOT / "signer/diagnosis/causes.zh.ini").read_text(encoding="utf-8")
    for lost in (r"(?ms)^\[expired\].*?(?=^\[)", r"(?m)(?<=^\[expired\]\n)title = .*\n"):
        causes = translate(CAUSES, re.sub(lost, "", text), "zh")
        section = explain_page.section(causes, "expired", words, EXAMPLES)
        assert f"## expired\n\n{words['untranslated']}\n\n**The link has expired.**" in section
        others = explain_page.section(causes, "wrong_method", words, EXAMPLES)
        assert words["untranslated"] not in others


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_cause_has_at_most_25_lines_under_its_code(page: Path) -> None:
    sections = re.split(r"(?m)^## ", page.read_text(encoding="utf-8"))[1:]
    assert [section.split("\n")[0] for section in sections] == [*CAUSES]
    assert max(section.rstrip().count("\n") + 1 for section in sections) <= 25
    assert sum(len(each.read_text(encoding="utf-8").splitlines()) for each in PAGES) <= 3600


def test_a_section_shows_what_no_similar_cause_prints() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    for code in CAUSES:
        section = text.partition(f"\n## {code}\n")[2].partition("\n## ")[0]
        shown = re.findall(r"(?s)```text\n(.*?)```", section)[0]
        assert f" [{code}, " in shown.replace("\n   ", " ")
        assert "   Fix:" not in shown
        for other in explain_page.alike(CAUSES, code):
            printed = {*explain_page.paragraphs(EXAMPLES[other][2])}
            assert printed.isdisjoint(explain_page.paragraphs(shown)), other


def test_every_link_to_a_cause_finds_its_section() -> None:
    links = 0
    for name in git.files("*.md", "*.txt", "*.py", "*.ini", "*.yaml", "*.html"):
        text = (ROOT / name).read_text(encoding="utf-8")
        targets = re.findall(r"(causes(?:\.zh-CN)?\.md)#([\w-]+)", text)
        if re.fullmatch(r"docs/causes.*|signer/diagnosis/causes.*", name):
            page = "causes.zh-CN.md" if "zh" in name else "causes.md"
            targets += [(page, code) for code in re.findall(r"\]\(#([^)]+)\)", text)]
        for page, code in targets:
            headings = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
            assert f"## {code}" in headings, f"{name}: {page}#{code}"
            links += 1
    assert links > 600


@pytest.mark.parametrize("code", CAUSES)
def test_the_example_of_a_cause_is_its_finding_and_shows_no_secret(code: str) -> None:
    source, xml, output = EXAMPLES[code]
    if source == "local" and code != "other_link":
        answer = re.findall("<Code>(.*?)<", xml)[0]
        errors = explain_page.errors_of(CAUSES, CAUSES[code])
        assert any(f" {answer}" in error for error in errors)
    assert re.findall(r"(?s)\n1\. .*?\[([a-z0-9_]+),", output) == [code]
    for credentials in (explain_page.PERMANENT, explain_page.TEMPORARY):
        assert credentials.access_key_secret not in xml + output
    assert not re.search(r"CAIS|[0-9a-f]{40}|https?://\S+\?", xml + output)


# What the link of an example shows alone, and what it shows with the secret; an answer says the rest.
BY_THE_LINK = {
    "truncated",
    "missing_question_mark",
    "line_broken",
    "trailing_text",
    "html_escaped",
    "json_escaped",
    "shell_escaped",
    "double_encoded",
    "plus_decoded",
    "decoded",
    "case_changed",
    "added_parameters",
    "missing_parameter",
    "malformed_parameter",
    "missing_token",
    "token_not_signed",
    "unsigned",
    "share_address",
    "cdn_address",
    "expired",
    "date_in_future",
    "wrong_region",
    "bucket_not_in_host",
    "internal_host",
    "rewritten_key",
    "wrapped",
    "other_service",
}
BY_THE_SECRET = BY_THE_LINK | {
    "altered_parameter",
    "wrong_method",
    "missing_header",
    "extra_header",
    "changed_header",
    "wrong_host",
    "wrong_token",
    "wrong_secret",
}
# Of a link that was signed with another secret, or whose expiry was changed later.
OTHERWISE = {"signature_mismatch": "wrong_secret", "expires_out_of_range": "altered_parameter"}
OF_CDNS = {code for code in CAUSES if code.startswith("cdn_")} - {"cdn_address"}


def first_finding(code: str, **changes: object) -> str:
    """Of an example that is changed; "" where nothing is wrong."""
    output = explain_page.explained(CAUSES[code], **changes)[2]
    return "".join(re.findall(r"(?s)\n1\. .*?\[([a-z0-9_]+),", output))


@pytest.mark.parametrize("code", sorted({*BY_THE_LINK, "expires_out_of_range", "bucket_twice"}))
def test_what_the_link_shows_needs_neither_an_answer_nor_the_secret(code: str) -> None:
    assert first_finding(code, answer="none", know_secret=False) == code


@pytest.mark.parametrize("code", sorted(BY_THE_SECRET))
def test_the_secret_changes_no_finding_of_the_link_and_shows_more(code: str) -> None:
    assert first_finding(code, answer="none", know_secret=True) == code


@pytest.mark.parametrize("code", sorted(CAUSES.keys() - OF_CDNS))
def test_with_answer_and_secret_the_finding_is_that_of_the_example(code: str) -> None:
    assert first_finding(code, know_secret=True) == OTHERWISE.get(code, code)


def test_the_errors_that_a_cause_names_as_its_own_are_those_that_explain_takes_for_its_finding() -> (
    None
):
    for code, cause in CAUSES.items():
        ecs = explain_page.ecs_of(cause)
        for error in cause.errors:
            oss_code, _, message = error.partition(" ")[2].partition(": ")
            # What has no message here is told by its EC or its ArgumentName.
            if message or not ecs:
                found = ServerError(oss_code, message, "", {}).finding
                if oss_code == "X-Tengine-Error":
                    found = read_error(f"{oss_code}: {message}").finding
                assert found == code or code == "source_address", error


def test_llms_txt_lists_every_page() -> None:
    listed = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert re.match(r"# .+\n\n> .+\n\n", listed)
    links = re.findall(r"(?m)^- \[.+\]\((\S+)\)(: .+)?$", listed)
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", *ROOT.glob("skills/*/SKILL.md")]
    assert sorted(link for link, _ in links) == sorted(
        path.relative_to(ROOT).as_posix() for path in pages
    )
    # Titles of translations speak for themselves.
    assert [link for link, said in links if not said and "zh-CN" not in link] == []


@pytest.mark.parametrize(
    "skill", sorted(ROOT.glob("skills/*/SKILL.md")), ids=lambda path: path.parent.name
)
def test_a_skill_has_the_form_of_an_agent_skill(skill: Path) -> None:
    header = yaml.safe_load(skill.read_text(encoding="utf-8").split("---\n")[1])
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", header["name"])
    assert header["name"] == skill.parent.name
    assert 0 < len(header["description"]) <= 1024


def test_the_command_of_the_skill_works_without_a_network_and_shows_what_the_skill_says(
    tmp_path: Path,
) -> None:
    """Each socket that the command would open ends it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def audit(event, arguments):\n"
        "    if event.startswith('socket.') and event != 'socket.gethostname':\n"
        "        raise SystemExit(f'{event}: the network was used')\n"
        "sys.addaudithook(audit)\n"
    )
    endpoint, keys = signer.Endpoint.public("cn-hangzhou"), explain_page.PERMANENT
    link = signer.presign(
        "GET", "examplebucket", "a", credentials=keys, endpoint=endpoint, expires_in=60, now=0
    ).url
    (command,) = re.findall(
        r"(?m)^   python (-m signer .*) < link.txt$", SKILL.read_text(encoding="utf-8")
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    pasted, arguments = f"{link}\n{EXAMPLES['expired'][1]}", [sys.executable, *shlex.split(command)]
    done = subprocess.run(
        arguments,
        input=pasted,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    first = json.loads(done.stdout)["findings"][0]
    assert first["code"] == "expired"
    assert first.keys() >= {"title", "certainty", "evidence", "advice"}
    assert link.rpartition("=")[2] not in done.stdout
    assert keys.access_key_id not in done.stdout
