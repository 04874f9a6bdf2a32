"""Plain English wherever a person reads: strings, docstrings and comments of the code, and the documents."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("signer", "handler", "local", "deploy", "bench", "live", "tools")
PATTERNS = (
    *(f"{package}/**/*.py" for package in PACKAGES),
    "*.md",
    ".github/*.md",
    *(f"{folder}/**/*.md" for folder in ("docs", "skills", "deploy")),
    "handler/web/openapi.json",
    "signer/diagnosis/causes.en.ini",
    "handler/web/templates/*.html",
    "deploy/scripts/*.sh",
)
FILES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))

# What is hard to read for those whose first language is not English, and what to write instead: only what nobody who
# writes plain English writes.
RULES = {
    "say notified or sent": re.compile(r"\b(?:told|tells|tell) of\b", re.IGNORECASE),
    "say again": re.compile(r"\banew\b", re.IGNORECASE),
    "finish the merge": re.compile(r"^(?:<{7}|>{7}) "),
}
# What a rule finds in a part, one of these finds in the file.
ANYWHERE = [re.compile(rule.pattern, rule.flags | re.MULTILINE) for rule in RULES.values()]


def strings_and_comments(source: str) -> Iterator[tuple[int, str]]:
    """Each string constant, docstring and comment, with its line."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def faults(path: Path) -> list[str]:
    content = path.read_text(encoding="utf-8")
    if not any(rule.search(content) for rule in ANYWHERE):
        return []
    parts = (
        strings_and_comments(content)
        if path.suffix == ".py"
        else enumerate(content.splitlines(), 1)
    )
    messages = []
    for line, part in parts:
        for advice, rule in RULES.items():
            match = rule.search(part)
            if match:
                messages.append(f"{path.relative_to(ROOT)}:{line}: {match[0]!r}: {advice}")
    return messages


def test_packages_and_documents_are_written_in_plain_english() -> None:
    assert len(FILES) > 300
    messages = [message for path in FILES for message in faults(path)]
    assert not messages, "\n".join(messages)


def test_tests_are_described_in_plain_english() -> None:
    """Only their docstrings and comments: their data may be anything."""
    messages = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if "node_modules" not in path.parts and path != Path(__file__):
            lines = path.read_text(encoding="utf-8").splitlines()
            messages += [
                message
                for message in faults(path)
                if re.match(r'\s*(?:#|""")', lines[int(message.split(":")[1]) - 1])
            ]
    assert not messages, "\n".join(messages)


@pytest.mark.parametrize(
    ("sentence", "advice"),
    [
        ("The whole file is no longer than 5 bytes, and she may read it", None),
        ("what people are told of", "say notified or sent"),
        ("make it anew", "say again"),
        (f"{'<' * 7} HEAD", "finish the merge"),
    ],
)
def test_the_rules_find_what_they_are_for(sentence: str, advice: str | None) -> None:
    assert next((name for name, rule in RULES.items() if rule.search(sentence)), None) == advice
