"""What a finding is stands in its entry alone, and an entry that is not complete cannot be read."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from signer.diagnosis import causes
from signer.diagnosis.causes import CAUSES, STAGES, TRAITS, read_causes, translate

FOLDER = Path(causes.__file__).parent
ENTRY = "[throttled]\nstage = after signature\ntitle = Too much.\nadvice = Wait.\nwhy = It is so.\n"


def test_an_entry_has_its_words_and_says_what_it_is() -> None:
    more = "traits = header, one of several\ncodes = SlowDown,\n    0002-1\nerrors = 503 SlowDown\n"
    cause = read_causes(ENTRY.replace("It is so", "It\n  is so") + more)["throttled"]
    assert (cause.stage, cause.title, cause.why) == ("after signature", "Too much.", "It is so.")
    assert cause.traits == ("header", "one of several")
    assert (cause.codes, cause.errors) == (("SlowDown", "0002-1"), ("503 SlowDown",))
    assert (cause.near, cause.example, cause.more, cause.language) == ((), "{}", "", "en")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stage = after signature\n", "", r"\[throttled\] requires stage"),
        ("why = It is so.\n", "", r"\[throttled\] requires why"),
        ("after signature", "later", r"stage of \[throttled\] must be one of .*'service'"),
        ("title", "traits = new\ntitle", r"\[throttled\] has unknown traits: new"),
        ("title", "tittle = x\ntitle", r"\[throttled\] has unknown keys: tittle"),
        (
            "title",
            "errors = 503 SlowDown: Wait.\n  503 SlowDown Request was slow.\ntitle",
            r"\[throttled\] errors: expected .* colon.* not '503 SlowDown Request was slow.'",
        ),
        ("title", "errors = SlowDown\ntitle", r"\[throttled\] errors: .* not 'SlowDown'"),
        (
            "[throttled]",
            ENTRY.replace("throttled", "slow").replace("title", "codes = A, B\ntitle", 1)
            + "[throttled]\ncodes = B",
            "B stands twice, in slow, throttled",
        ),
        ("title", "codes = A, A\ntitle", "A stands twice, in throttled"),
    ],
)
def test_an_entry_that_is_not_complete_cannot_be_read(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_causes(ENTRY.replace(old, new))


def test_words_of_another_language_may_be_missing() -> None:
    entries = read_causes(ENTRY)
    full = "[throttled]\ntitle = 太多。\nadvice = 等待。\nwhy = 如此。\n"
    translated = translate(entries, full, "zh")["throttled"]
    assert (translated.title, translated.language) == ("太多。", "zh")
    assert translated.stage == "after signature"
    partly = translate(entries, full.replace("why = 如此。\n", ""), "zh")["throttled"]
    assert (partly.title, partly.why, partly.language) == ("太多。", "It is so.", "en")
    assert translate(entries, "", "zh") == entries
    with pytest.raises(ValueError, match="no such finding: throtled"):
        translate(entries, "[throtled]\n", "zh")
    with pytest.raises(ValueError, match="unknown keys: stage"):
        translate(entries, "[throttled]\nstage = cdn\n", "zh")


def test_each_stage_and_trait_has_findings() -> None:
    assert {cause.stage for cause in CAUSES.values()} == set(STAGES)
    assert {trait for cause in CAUSES.values() for trait in cause.traits} == set(TRAITS)


def lists_of_findings(source: str) -> list[str]:
    """Literal sets, tuples and lists that name two findings or more."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Set | ast.Tuple | ast.List):
            names = {each.value for each in node.elts if isinstance(each, ast.Constant)}
            if len(names & CAUSES.keys()) > 1:
                found.append(ast.unparse(node))
    return found


def test_no_module_names_a_set_of_findings() -> None:
    modules = sorted(FOLDER.glob("*.py"))
    assert len(modules) > 10
    for module in modules:
        assert lists_of_findings(module.read_text(encoding="utf-8")) == [], module.name
    for literal in ("{'expired', 'decoded'}", "('expired', 'decoded')", "['expired', 'decoded']"):
        assert lists_of_findings(f"x = frozenset({literal})") == [literal]


def functions(*names: str) -> Iterator[ast.FunctionDef]:
    for name in names:
        nodes = ast.walk(ast.parse((FOLDER / name).read_text("utf-8")))
        yield from (node for node in nodes if isinstance(node, ast.FunctionDef))


def names_bound_twice(function: ast.FunctionDef) -> list[str]:
    """Names that one function gives two values: those of a comprehension are its own."""
    own = {
        id(name)
        for part in ast.walk(function)
        if isinstance(part, ast.comprehension)
        for name in ast.walk(part.target)
    }
    bound = [arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)] + [
        name.id
        for name in ast.walk(function)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and id(name) not in own
    ]
    return [name for name, count in Counter(bound).items() if count > 1]


def test_a_judgement_binds_each_name_once_and_fits_on_a_screen() -> None:
    judging = [*functions("answers.py", "explaining.py")]
    assert {node.name: twice for node in judging if (twice := names_bound_twice(node))} == {}
    every = functions(*(module.name for module in FOLDER.glob("*.py")))
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in every}
    assert {name: count for name, count in lines.items() if count > 50} == {}
    (function,) = ast.parse("def f(a):\n    a = [b for b in a]\n    [b for b in a]").body
    assert isinstance(function, ast.FunctionDef)
    assert names_bound_twice(function) == ["a"]
