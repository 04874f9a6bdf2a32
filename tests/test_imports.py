"""Imports go one way: between packages, between the parts of the handler, and between files.

Imports inside functions and under `TYPE_CHECKING` count, and so do modules that are named in strings: lazy entry
points and the handlers in a table of routes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("signer", "handler", "local", "deploy", "live", "tools")

# A part may import signer, the lines above it, and the parts left of it in its own line.
LAYERS = (
    ("core.errors", "core.audit"),
    ("core.paths", "core.request", "core.words"),
    ("core.config",),
    ("core.context",),
    ("core.cloud.http_client",),
    ("core.links", "core.uploads"),
    ("core.cloud",),
    ("core.keys",),
    ("core.auth",),
    ("core.shares", "core.outbox"),
    ("web.response",),
    ("web.pages",),
    ("web.endpoints",),
    ("web.app",),
    ("notices",),
    ("startup", "events", "http", "asgi", "commands", ""),
)
RANKS = {part: rank for rank, part in enumerate(part for line in LAYERS for part in line)}
# What a part may not import although it is above it.
EXCEPT: Mapping[str, frozenset[str]] = {
    "web.pages": frozenset({"core.shares", "core.cloud", "core.cloud.http_client", "core.config"}),
    "notices": frozenset(part for part in RANKS if part.startswith("web.")),
}
SIGNER_LAYERS = ("library", "common", "diagnosis", "public names", "emulator", "cli", "entry point")
# The emulator needs no explanation of links.
SIGNER_EXCEPT = {("emulator", "diagnosis")}


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
    return [
        (name, getattr(node, "lineno", 1))
        for node in nodes
        for name in _names(node, importer, is_package)
    ]


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


def part_of(module: str) -> str:
    """The part of the handler that a module belongs to, the longest name; "core" and "web" themselves are empty."""
    names = module.split(".")[1:]
    return next(
        (part for end in range(len(names), 0, -1) if (part := ".".join(names[:end])) in RANKS),
        ".".join(names),
    )


def signer_layer(module: str) -> str:
    if module in ("signer", "signer.__main__"):
        return "public names" if module == "signer" else "entry point"
    folder = module.split(".")[1]
    return folder if folder in SIGNER_LAYERS else "library"


def handler_faults(root: Path) -> Iterator[str]:
    """A sentence for each import of the handler that breaks the order of `LAYERS`."""
    files = modules(root, ["handler"])
    for each in imports(files):
        importer, imported = part_of(each.importer), part_of(each.imported)
        if importer == imported:
            continue
        if RANKS[imported] >= RANKS[importer] or imported in EXCEPT.get(importer, ()):
            line = f"{files[each.importer].relative_to(root)}:{each.line}"
            yield f"{importer} may not import {imported or 'handler'} ({line})"


def test_each_part_of_the_handler_imports_only_parts_before_it() -> None:
    faults = list(handler_faults(ROOT))
    assert not faults, "\n".join(faults)


def test_packages_import_only_those_before_them() -> None:
    files = modules(ROOT, PACKAGES)
    assert len(files) > 100
    for each in imports(files):
        importer, imported = each.importer.split(".")[0], each.imported.split(".")[0]
        assert PACKAGES.index(imported) <= PACKAGES.index(importer), (
            f"{importer} may not import {imported} ({files[each.importer].relative_to(ROOT)}:{each.line})"
        )


@pytest.mark.parametrize(
    ("part", "others"),
    [("oss", {"errors", "ram"}), ("sts", {"errors", "ram"}), ("ram", {"errors"})],
)
def test_oss_sts_and_ram_of_the_emulator_need_nothing_else_of_it(
    part: str, others: set[str]
) -> None:
    within = [
        each
        for each in imports(modules(ROOT, PACKAGES))
        if each.importer.split(".")[1:3] == ["emulator", part]
    ]
    imported = {
        each.imported.split(".")[2]
        for each in within
        if each.imported.startswith("signer.emulator.")
    }
    assert part in imported
    assert imported - {part} <= others


def test_the_signing_library_imports_neither_the_diagnosis_nor_the_command_line() -> None:
    files = modules(ROOT, ["signer"])
    for each in imports(files):
        importer, imported = signer_layer(each.importer), signer_layer(each.imported)
        fault = f"{importer} may not import {imported} ({files[each.importer].relative_to(ROOT)}:{each.line})"
        assert SIGNER_LAYERS.index(imported) <= SIGNER_LAYERS.index(importer), fault
        assert (importer, imported) not in SIGNER_EXCEPT, fault


def test_one_command_needs_the_emulator() -> None:
    within = [
        each for each in imports(modules(ROOT, ["signer"])) if signer_layer(each.importer) == "cli"
    ]
    users = {each.importer for each in within if signer_layer(each.imported) == "emulator"}
    assert users == {"signer.cli.oss"}


def test_no_module_imports_itself_through_others() -> None:
    files = modules(ROOT, PACKAGES)
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(files, ()))
    for each in imports(files):
        sorter.add(each.importer, each.imported)
    sorter.prepare()  # its error has a circle


def test_no_folder_has_too_many_modules() -> None:
    counts: dict[Path, int] = {}
    for path in modules(ROOT, PACKAGES).values():
        counts[path.parent] = counts.get(path.parent, 0) + 1
    assert counts.pop(ROOT / "signer") <= 17  # the library is flat
    assert {
        str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 16
    } == {}


def test_an_import_that_breaks_the_order_is_named_with_its_line(tmp_path: Path) -> None:
    """Also one for types alone."""
    source = "from ..cloud import oss\nfrom ...web import app\nTABLE = {'/': 'http:answer'}\n"
    source += "if TYPE_CHECKING:\n    from .. import cloud"
    package = tmp_path / "handler"
    for folder in ("core/config", "core/cloud", "web", "notices"):
        (package / folder).mkdir(parents=True)
    cloud = ("core/cloud/__init__", "core/cloud/oss", "core/cloud/http_client")
    for name in (
        "__init__",
        "http",
        "core/__init__",
        "core/errors",
        *cloud,
        "web/app",
        "notices/sender",
    ):
        (package / f"{name}.py").write_text("")
    (package / "core/config/__init__.py").write_text(source)
    assert list(handler_faults(tmp_path)) == [
        f"core.config may not import {part} (handler/core/config/__init__.py:{line})"
        for part, line in (("core.cloud", 1), ("web.app", 2), ("core.cloud", 5))
    ]


def defines(path: Path) -> list[str]:
    """The classes and functions of a file, but for those that Python calls on a module."""
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(path.read_bytes()))
    names = [node.name for node in nodes if isinstance(node, definitions)]
    return [name for name in names if name not in ("__getattr__", "__dir__")]


def test_what_makes_a_folder_a_package_holds_names_and_no_class_or_function() -> None:
    files = [
        path
        for path in modules(ROOT, (*PACKAGES, "bench")).values()
        if path.name == "__init__.py" and defines(path)
    ]
    assert files == []


def test_a_class_or_function_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "__init__.py"
    path.write_text("def __getattr__(name): ...\nif True:\n    async def f(): ...\nclass C: ...\n")
    assert sorted(defines(path)) == ["C", "f"]
