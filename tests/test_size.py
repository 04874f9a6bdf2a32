"""The project stays as small as CONTRIBUTING.md says, in what a reader reads: statements."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests import git

ROOT = Path(__file__).parents[1]
CONTRIBUTING = ".github/CONTRIBUTING.md"
# Each part by what git lists of it, in the order of CONTRIBUTING.md. Their sum is the product.
HOUSES = ("cli", "diagnosis", "emulator")
PARTS: dict[str, tuple[str, ...]] = {
    "library": ("signer/*.py", *(f":!signer/{house}" for house in HOUSES)),
    "explain": ("signer/diagnosis/*.py",),
    "command line": ("signer/cli/*.py",),
    "emulator": ("signer/emulator/*.py",),
    "service": ("handler/*.py",),
    "deployment": ("deploy/*.py",),
    "laptop": ("local/*.py",),
    "bench": ("bench/*.py",),
}


def statements(source: bytes) -> int:
    """Imports and docstrings are left out; `a, b = 1, 2` counts once for each name, `a, b = f()` once."""
    count = 0
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple()):
                count += len(names)
            case ast.stmt():
                count += 1
    return count


def of_files(*patterns: str) -> int:
    return sum(statements((ROOT / file).read_bytes()) for file in git.files(*patterns))


def of_folders(*folders: str) -> int:
    return of_files(*(f"{folder}/*.py" for folder in folders))


def of_part(name: str) -> int:
    return of_files(*PARTS[name])


def of_product() -> int:
    return sum(of_part(name) for name in PARTS)


def of_templates() -> int:
    files = git.files(*(f"handler/web/templates/*.{end}" for end in ("html", "js")))
    return sum((ROOT / file).read_bytes().count(b"\n") for file in files)


README = (ROOT / "README.md").read_text("utf-8")
MEASURES: dict[str, Callable[[], int]] = {
    **{f"{name}, statements": partial(of_part, name) for name in PARTS},
    "product, statements": of_product,
    "live and tools, statements": lambda: of_folders("live", "tools"),
    "tests, statements": lambda: of_folders("tests"),
    "templates, lines": of_templates,
    "README.md, lines": lambda: README.count("\n"),
    "README.md, words": lambda: len(README.split()),
}


def advice(name: str, size: int, limit: int) -> str | None:
    """What to do about a part that is larger than its limit, None where it is not."""
    if size <= limit:
        return None
    what, unit = name.split(", ")
    return (
        f"{what} has {size:,} {unit}, the limit is {limit:,}: delete {size - limit}, "
        f"or raise it in {CONTRIBUTING} with the reason in the commit"
    )


def test_no_part_is_larger_than_its_limit() -> None:
    page = (ROOT / CONTRIBUTING).read_text("utf-8")
    rows = re.findall(r"^\| ([\w. ]+, \w+) \| ([\d,]+) \|$", page, re.MULTILINE)
    limits = {name: int(limit.replace(",", "")) for name, limit in rows}
    assert limits.keys() == MEASURES.keys()
    assert [
        fault for name, limit in limits.items() if (fault := advice(name, MEASURES[name](), limit))
    ] == []


def test_every_module_of_the_product_is_in_one_part() -> None:
    of_parts = [file for patterns in PARTS.values() for file in git.files(*patterns)]
    everything = git.files("signer/*.py", "handler/*.py", "deploy/*.py", "local/*.py", "bench/*.py")
    assert sorted(of_parts) == sorted(everything)


def test_the_advice_says_what_to_do() -> None:
    assert advice("product, statements", 17_712, 17_700) == (
        "product has 17,712 statements, the limit is 17,700: delete 12, "
        "or raise it in .github/CONTRIBUTING.md with the reason in the commit"
    )


def test_what_a_statement_is() -> None:
    function = b'def f():\n    """Docstring."""\n    a, b = 1, 2\n    c, d = f()\n    return a\n'
    assert statements(b'"""Docstring."""\nimport os\n' + function) == 1 + 2 + 1 + 1
