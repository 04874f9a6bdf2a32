"""The cases: data in `live/cases/`, one file for each subject, sent in the order of the files' names.

A file has groups, and a group cases. What a case says of its request is added to what its group says:

- `method`, `key`, `query`, `headers`, `body`, `fields` (of a form): what is signed and sent; `extra` headers or fields
  are only sent. `bucket` and `host` are the run's own, `scheme` is https.
- `sign` is url, header, form or none; `additional` names further signed headers; `as` names a session (`session`).
- `forge`: what the signature is made with in place of the truth (`id`, `secret`, `token`, `region`, `product`,
  `method`, `key`, `bucket`, `at`: seconds from now, `expires`), its parts that are `set`, and those `unset`.
- `sub`: patterns and replacements for the signed target, headers or fields, each of the latter on a line `name: value`.
- `keep` names what later cases use of the answer, an element or a header; `race` sends so many requests at once.

Braces stand for values: see `live.signing`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "cases"
PARTS = ("sts", "kms")  # those that only run if asked for


class Case(NamedTuple):
    """`name` is `file/group/case`, `settles` what its answer tells; `is_open` where the documents do not tell it.

    `part` is that of `PARTS`, or ""; `only_live` marks what the local OSS leaves out, with 501.
    """

    name: str
    settles: str
    request: Mapping[str, Any]
    part: str = ""
    is_open: bool = False
    only_live: bool = False

    @property
    def kind(self) -> str:
        """What is asked for, as in `GET object` or `PUT bucket ?cors`."""
        if self.request.get("to") == "sts":
            return f"STS {self.request.get('action', 'AssumeRole')}"
        names = [name for name, value in self.request.get("query", {}).items() if not value or name == "uploadId"]
        level = "object" if self.request.get("key") and self.request.get("sign") != "form" else "bucket"
        return " ".join([self.request.get("method", "GET"), level, *(f"?{name}" for name in names[:1])])

    @property
    def count(self) -> int:
        """The requests that it sends."""
        return int(self.request.get("race", 1))


def load(parts: tuple[str, ...] = (), folder: Path = FOLDER) -> list[Case]:
    """The cases of all files but those of a part that was not asked for."""
    cases = [case for path in sorted(folder.glob("*.toml")) for case in _read(path)]
    names = [case.name for case in cases]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Two cases have the same name: {', '.join(sorted(repeated))}.")
    return [case for case in cases if case.part in ("", *parts)]


def _read(path: Path) -> Iterator[Case]:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    for group in document["group"]:
        common = {name: document.get(name, default) for name, default in (("part", ""), ("settles", ""))} | group
        requests = dict(group["cases"])
        if group.get("pairs"):
            requests |= {f"{a}+{b}": _merge(requests[a], requests[b]) for a, b in combinations(requests, 2)}
        for variant, variation in group.get("each", {"": {}}).items():
            for name, request in requests.items():
                request = _merge(_merge(group.get("request", {}), variation), request)
                yield Case(
                    "/".join(filter(None, (path.stem, group.get("name"), name, variant))),
                    request.pop("settles", common["settles"]),
                    request,
                    common["part"],
                    request.pop("open", group.get("open", False)),
                    request.pop("only", group.get("only", "")) == "live",
                )


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, lists follow each other, and of other values the second counts."""
    merged = dict(one)
    for name, value in other.items():
        known = merged.get(name)
        if isinstance(known, dict):
            merged[name] = _merge(known, value)
        else:
            merged[name] = [*known, *value] if isinstance(known, list) else value
    return merged
