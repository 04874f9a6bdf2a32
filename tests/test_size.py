"""The project stays as small as CONTRIBUTING.md says."""

from __future__ import annotations

import re
from pathlib import Path

from tests import git

ROOT = Path(__file__).parents[1]
ROW = re.compile(
    r"^\| ([a-z]+)(?:: ([a-z, ]+))? \| ([\d,]+) \|$|^\| README\.md, (lines|words) \| ([\d,]+) \|$",
    re.MULTILINE,
)


OTHER = {
    "live": ["live/*.py", "live/*.toml"],
    "templates": [f"handler/web/templates/*.{end}" for end in ("html", "js")],
}


def lines(folders: list[str]) -> int:
    """The lines of the Python files that git tracks below these folders, the cases of live, and the templates."""
    patterns = [pattern for folder in folders for pattern in OTHER.get(folder, [f"{folder}/*.py"])]
    return sum((ROOT / file).read_bytes().count(b"\n") for file in git.files(*patterns))


def test_no_part_is_larger_than_its_limit() -> None:
    sizes, limits = {}, {}
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, folders, limit, unit, readme_limit in ROW.findall(
        (ROOT / ".github/CONTRIBUTING.md").read_text("utf-8")
    ):
        name = name or f"README.md, {unit}"
        limits[name] = int((limit or readme_limit).replace(",", ""))
        if unit:
            sizes[name] = len(readme.split()) if unit == "words" else readme.count("\n")
        else:
            sizes[name] = lines(folders.split(", ") if folders else [name])
    assert {"product", "handler", "deploy", "bench", "live", "tools", "tests", "templates"} < set(
        limits
    )
    assert sizes["templates"] > 500
    assert sizes["product"] > sizes["handler"] > 1_000
    assert {name: size for name, size in sizes.items() if size > limits[name]} == {}
