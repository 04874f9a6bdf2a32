"""The cases: data in `live/cases/`, in the order of the files' names. docs/live.md says how they are written."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Case(NamedTuple):
    """`name` is `file/group/case`, `settles` what its answer tells; `is_open` where the documents do not tell it.

    `part` is sts or kms for what runs only if asked for; `only_live` marks what the local OSS leaves out, with 501.
    """

    name: str
    settles: str
    request: Mapping[str, Any]
    part: str
    is_open: bool
    only_live: bool


def load(*parts: str) -> list[Case]:
    """The cases of all files but those of a part that was not asked for."""
    files = sorted(Path(__file__).with_name("cases").glob("*.toml"))
    return [case for path in files for case in _read(path) if case.part in ("", *parts)]


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _read(path: Path) -> Iterator[Case]:
    part = path.stem if path.stem in ("sts", "kms") else ""
    for group, table in read_toml(path).items():
        common = {name: table.pop(name, "") for name in ("settles", "open", "only")} | table.pop("request")
        methods, has_pairs = table.pop("methods", [common.get("method", "GET")]), table.pop("pairs", False)
        requests = dict(pair for name, value in table.items() for pair in _varied(name, value))
        if has_pairs:
            requests |= {f"{a}+{b}": _merge(requests[a], requests[b]) for a, b in combinations(requests, 2)}
        for method, (case, own) in product(methods, requests.items()):
            request = _merge({**common, "method": method}, own)
            settles, is_open, only = (request.pop(name) for name in ("settles", "open", "only"))
            name = "/".join([path.stem, group, case, *([method] if len(methods) > 1 else [])])
            yield Case(name, settles, request, part, bool(is_open), only == "live")


def _varied(name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A named request, or one for each value that a list has for this part of it."""
    if isinstance(value, dict):
        yield name, value
        return
    for each in value:
        yield _label(each if isinstance(each, dict) else {name: each}) or "plain", {name: each}


def _label(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={_label(each)}".rstrip("=") for name, each in value.items())
    return ",".join(map(_label, value)) if isinstance(value, list) else str(value)


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged; of other values the second counts."""
    shared = [name for name in one if isinstance(one[name], dict) and name in other]
    return {**one, **other, **{name: _merge(one[name], other[name]) for name in shared}}
