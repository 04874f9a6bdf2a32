"""Imports go one way: between packages, between the parts of the handler, and between files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.imports import PACKAGES, circles, graph, imports, modules

ROOT = Path(__file__).parents[1]

# A part may import signer, the lines above it, and the parts left of it in its own line.
LAYERS = (
    ("core.errors", "core.audit"),
    ("core.paths", "core.request"),
    ("core.config",),
    ("core.context",),
    ("core.cloud.http_client",),
    ("core.links",),
    ("core.cloud",),
    ("core.keys",),
    ("core.auth",),
    ("core.shares", "core.outbox"),
    ("web.response", "web.uploads"),
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
SIGNER_LAYERS = ("library", "diagnosis", "public names", "cli", "entry point")


def part_of(module: str) -> str:
    """The part of the handler that a module belongs to, the longest name; "core" and "web" themselves are empty."""
    names = module.split(".")[1:]
    return next((part for end in range(len(names), 0, -1) if (part := ".".join(names[:end])) in RANKS), ".".join(names))


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
    ("part", "others"), [("oss", {"errors", "ram"}), ("sts", {"errors", "ram"}), ("ram", {"errors"})]
)
def test_the_local_oss_sts_and_ram_need_nothing_else_of_ours(part: str, others: set[str]) -> None:
    within = [each for each in imports(modules(ROOT, PACKAGES)) if each.importer.split(".")[:2] == ["local", part]]
    imported = {".".join(each.imported.split(".")[:2]) for each in within if not each.imported.startswith("signer")}
    assert f"local.{part}" in imported
    assert imported - {f"local.{part}"} <= {f"local.{name}" for name in others}


def test_the_signing_library_imports_neither_the_diagnosis_nor_the_command_line() -> None:
    files = modules(ROOT, ["signer"])
    for each in imports(files):
        importer, imported = signer_layer(each.importer), signer_layer(each.imported)
        assert SIGNER_LAYERS.index(imported) <= SIGNER_LAYERS.index(importer), (
            f"{importer} may not import {imported} ({files[each.importer].relative_to(ROOT)}:{each.line})"
        )


def test_no_module_imports_itself_through_others() -> None:
    assert circles(graph(ROOT, PACKAGES)) == []


def test_no_folder_has_too_many_modules() -> None:
    counts: dict[Path, int] = {}
    for path in modules(ROOT, PACKAGES).values():
        counts[path.parent] = counts.get(path.parent, 0) + 1
    assert counts.pop(ROOT / "signer") <= 22  # the library is flat
    assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 16} == {}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("from ..cloud import oss", "core.config may not import core.cloud (handler/core/config/__init__.py:3)"),
        (
            "if TYPE_CHECKING:\n    from .. import cloud",
            "core.config may not import core.cloud (handler/core/config/__init__.py:4)",
        ),
        ("from ...web import app", "core.config may not import web.app (handler/core/config/__init__.py:3)"),
        ("TABLE = {'/': 'http:answer'}", None),
    ],
)
def test_an_import_that_breaks_the_order_is_named_with_its_line(source: str, fault: str | None, tmp_path: Path) -> None:
    package = tmp_path / "handler"
    for folder in ("core/config", "core/cloud", "web", "notices"):
        (package / folder).mkdir(parents=True)
    cloud = ("core/cloud/__init__", "core/cloud/oss", "core/cloud/http_client")
    for name in ("__init__", "http", "core/__init__", "core/errors", *cloud, "web/app", "notices/sender"):
        (package / f"{name}.py").write_text("")
    (package / "core/config/__init__.py").write_text(f'"""Configuration."""\n\n{source}\n')
    assert list(handler_faults(tmp_path)) == ([fault] if fault else [])
