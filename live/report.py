"""How the answers of the local OSS and of OSS compare: same, differs, only live, only here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .answers import Answer
from .cases import Case, read_toml

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
    """A sentence for each difference that is not listed, and for each listed one that is none."""
    entries = read_toml(expected).get("difference", []) if expected.exists() else []
    listed = {entry["case"] for entry in entries if entry.get("reason") and entry.get("date")}
    differing = {result.case.name for result in results if result.verdict == "differs"}
    return [
        *(f"{name} differs. Correct the local OSS, or list it in {expected.name}." for name in differing - listed),
        *(f"{name} does not differ: remove it from {expected.name}." for name in listed - differing),
    ]


def render(results: Sequence[Result], title: str) -> str:
    """The report in Markdown, which a terminal shows too."""
    counts = Counter(result.verdict for result in results)
    lines = [f"## {title}", "", ", ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS), ""]
    for case, verdict, fields in results:
        if verdict in ("differs", "only live"):
            lines += [f"- `{case.name}` {verdict} ({case.settles})"]
            lines += [f"  - {name}: here `{here}`, OSS `{live}`" for name, here, live in fields]
    return "\n".join(lines)
