"""How the answers of the local OSS and of OSS compare: same, differs, only live, only here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import signer

from .answers import Answer
from .cases import Case, tomllib

VERDICTS = ("same", "differs", "only live", "only here")


class Result(NamedTuple):
    """`verdict` is one of `VERDICTS`, or "" for a case that neither answered; `fields` are those that differ."""

    case: Case
    verdict: str
    fields: list[tuple[str, Any, Any]]


def compare(case: Case, here: Answer | None, live: Answer | None) -> Result:
    """The local OSS leaves out (501) what a case marks so; a 501 of another case is an answer that differs."""
    if here is None or (case.only_live and here.get("status") == 501):
        return Result(case, "only live" if live is not None and live.get("status") != 501 else "", [])
    if live is None:
        return Result(case, "only here", [])
    fields = [(name, here.get(name), live.get(name)) for name in {**here, **live} if here.get(name) != live.get(name)]
    return Result(case, "differs" if fields else "same", fields)


def unexpected(results: Iterable[Result], expected: Path) -> list[str]:
    """A sentence for each difference that is not listed, and for each listed one that is none. Raises `KeyError`."""
    document = tomllib.loads(expected.read_text(encoding="utf-8")) if expected.exists() else {}
    listed = {entry["case"] for entry in document.get("difference", []) if entry["reason"] and entry["date"]}
    differing = {result.case.name for result in results if result.verdict == "differs"}
    return [
        *(f"{name} differs, and {expected.name} does not list it." for name in sorted(differing - listed)),
        *(f"{name} does not differ: remove it from {expected.name}." for name in sorted(listed - differing)),
    ]


def render(results: Sequence[Result], title: str) -> str:
    """The report in Markdown, for a terminal too."""
    counts = Counter(result.verdict for result in results)
    lines = [f"## {title}", "", ", ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS)]
    for result in results:
        if result.fields or result.verdict == "only live":
            lines += ["", f"- `{result.case.name}` ({result.case.settles}): {result.verdict}"]
            lines += [f"  - {name}: here `{here}`, OSS `{live}`" for name, here, live in result.fields]
    return "\n".join(lines) + "\n"


def recording(region: str, answers: Mapping[str, Answer | None]) -> str:
    """The file of a region in `recorded/`."""
    given = {name: answer for name, answer in answers.items() if answer is not None}
    document = {"region": region, "date": date.today().isoformat(), "version": signer.__version__, "answers": given}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
