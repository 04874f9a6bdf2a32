"""What a package holds, and what it must never hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checks.secrets import leak_in
from ..errors import DeployError
from ..locks import Pin, normalised

OURS = ("handler", "signer")
MAX_ZIP = 5 * 1024**2  # bytes
# What RS256 and ES256 need, and what it may add.
HEAVY = "cryptography"
MAX_HEAVY_ZIP = 12 * 1024**2  # bytes

_DEVELOPMENT = re.compile(
    r"(^|/)(\.[^/]+|Makefile|Dockerfile|pyproject\.toml|setup\.(py|cfg)|tox\.ini|s(\.\w+)?\.ya?ml|env\.yaml"
    r"|requirements[^/]*\.(txt|lock)|package(-lock)?\.json|node_modules|docs|bench|local|deploy|samples|bin"
    r"|[^/]*\.(md|rst|orig|rej|bak|swp|log|ipynb|c|h|pyx|pyi|pth|egg-link))(/|$)"
)
_TEST = re.compile(r"(^|/)(tests?(/.*)?/[^/]*|test_[^/]*|[^/]*_test\.py|conftest\.py|testdata|fixtures)(/|$)")
_LICENCE = re.compile(r"LICEN[CS]E|NOTICE|COPYING")
_TEXT = (".py", ".toml", ".json", ".html", ".js", ".css", ".txt", ".yaml", ".yml", ".jinja", ".j2", "")


@dataclass(frozen=True)
class Part:
    """Something a package is made of, by its name, and how many bytes it takes."""

    name: str
    size: int


def files(folder: Path) -> list[Path]:
    """Every file of a package, relative and in order."""
    return sorted(
        (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()), key=lambda path: path.parts
    )


def parts(folder: Path) -> list[Part]:
    """The package by its top-level names, largest first; a distribution's metadata counts as `*.dist-info`."""
    sizes: dict[str, int] = {}
    for path in files(folder):
        top = path.parts[0]
        name = "*.dist-info" if top.endswith(".dist-info") else top
        sizes[name] = sizes.get(name, 0) + (folder / path).stat().st_size
    return sorted((Part(name, size) for name, size in sizes.items()), key=lambda part: (-part.size, part.name))


def check(folder: Path, pins: Sequence[Pin], wanted: Sequence[str], brought: Collection[str]) -> None:
    """Raises `DeployError` for everything in the folder that must not ship.

    `pins` are the locked packages, `wanted` what the requirements ask for (`name` or `name[extra]`), `brought` the
    top-level names that the installed distributions say are theirs.
    """
    faults = [*_stray(folder), *_leaks(folder), *_unneeded(folder, pins, wanted), *_unknown(folder, brought)]
    if faults:
        raise DeployError("The package must not ship as it is:\n" + "\n".join(f"  {fault}" for fault in faults))


def check_size(size: int, pins: Sequence[Pin]) -> None:
    """Raises `DeployError` for a zip, in bytes, that starts colder than it need."""
    most = MAX_HEAVY_ZIP if HEAVY in [pin.name for pin in pins] else MAX_ZIP
    if size > most:
        raise DeployError(
            f"The zip has {megabytes(size)}, more than {megabytes(most)}: take out of the requirements what the "
            "function does not need."
        )


def megabytes(size: int) -> str:
    """`2.9 MB`."""
    return f"{size / 1024**2:.1f} MB"


def _stray(folder: Path) -> Iterator[str]:
    where = f"keep it outside of {' and '.join(OURS)}"
    for path in files(folder):
        name = path.as_posix()
        if (folder / path).is_symlink():
            yield f"{name} is a link: ship the file itself."
        elif path.parts[0].endswith(".dist-info") or _LICENCE.search(path.name):
            continue
        elif _TEST.search(name):
            yield f"{name} is a test: {where}."
        elif _DEVELOPMENT.search(name):
            yield f"{name} is a development file: {where}."


def _leaks(folder: Path) -> Iterator[str]:
    for path in files(folder):
        if path.suffix not in _TEXT:
            continue
        found = leak_in((folder / path).read_text(encoding="utf-8", errors="replace"))
        if found:
            yield f"{path.as_posix()} holds what looks like {found}: secrets live in the keys document."


def _unneeded(folder: Path, pins: Sequence[Pin], wanted: Sequence[str]) -> Iterator[str]:
    """What no requirement leads to, by the distributions' own metadata."""
    installed = {_name_of(info): info for info in folder.glob("*.dist-info")}
    reached: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name, extras, _ = waiting.pop().partition("[")
        name = normalised(name)
        if name not in reached and name in installed:
            reached.add(name)
            waiting += _requirements_of(installed[name], extras=bool(extras))
    locked = {pin.name for pin in pins}
    for name in sorted(installed):
        if name not in locked:
            yield f"{name} is not locked: run make lock."
        elif name not in reached:
            yield f"{name} is needed by nothing in the requirements: run make lock."
    for name in sorted(locked - set(installed)):
        yield f"{name} is locked but missing: run make build again."


def _unknown(folder: Path, brought: Collection[str]) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name not in (*OURS, *brought) and path.suffix not in (".dist-info", ".toml"):
            yield f"{path.name} belongs to no locked package: leave it out."


def _name_of(info: Path) -> str:
    return normalised(info.stem.rpartition("-")[0])


def _requirements_of(info: Path, *, extras: bool) -> list[str]:
    """Names that a distribution needs, with or without those of its extras."""
    text = (info / "METADATA").read_text(encoding="utf-8").partition("\n\n")[0]
    found: list[tuple[str, str]] = re.findall(r"(?m)^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", text)
    return [name for name, rest in found if extras or "extra ==" not in rest]
