"""The imports among our modules, read from the source.

Imports inside functions and under `TYPE_CHECKING` count, and so do modules that are named in strings: lazy entry
points and the handlers in a table of routes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("signer", "handler", "local", "deploy", "live", "tools")


class Import(NamedTuple):
    """One import among our modules, with its line."""

    importer: str
    imported: str
    line: int


def modules(root: Path, packages: Iterable[str]) -> dict[str, Path]:
    """The files of the packages by their dotted module names."""
    files = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(files: Mapping[str, Path]) -> Iterator[Import]:
    """The imports among these modules. `from a import b` imports `a.b` if that is a module, otherwise `a`."""
    for importer, path in files.items():
        for name, line in _named(importer, path):
            imported = name if name in files else name.rpartition(".")[0]
            if imported in files and imported != importer:
                yield Import(importer, imported, line)


@cache
def _named(importer: str, path: Path) -> list[tuple[str, int]]:
    """What a module names, and where; each file is read once."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    is_package = path.name == "__init__.py"
    return [(name, getattr(node, "lineno", 1)) for node in nodes for name in _names(node, importer, is_package)]


def _names(node: ast.AST, importer: str, is_package: bool) -> Iterator[str]:
    package = importer if is_package else importer.rpartition(".")[0]
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
        module = ".".join(filter(None, (base, node.module)))
        yield from (f"{module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Dict):
        # "sign:create" in a table of routes, or {"on_http": "http"} of a package's lazy entry points.
        for value in node.values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                module, colon, function = value.value.partition(":")
                if module.isidentifier() and (function.isidentifier() if colon else is_package):
                    yield f"{package}.{module}._"


def graph(root: Path, packages: Iterable[str]) -> dict[str, set[str]]:
    """For each of our modules, those that it imports."""
    files = modules(root, packages)
    arrows: dict[str, set[str]] = {name: set() for name in files}
    for importer, imported, _ in imports(files):
        arrows[importer].add(imported)
    return arrows


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of modules that import each other, directly or not (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for imported in sorted(arrows[name]):
            if imported not in index:
                visit(imported)
                low[name] = min(low[name], low[imported])
            elif imported in stack:
                low[name] = min(low[name], index[imported])
        if low[name] == index[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                components.append(sorted(members))

    for name in sorted(arrows):
        if name not in index:
            visit(name)
    return components
