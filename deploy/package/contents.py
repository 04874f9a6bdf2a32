"""What the package contains, and what it must never contain."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..checks.secrets import secret_in
from ..errors import DeployError
from . import vendor

OURS = ("handler", "signer")
# No function imports the command lines and how they print, the diagnosis, which `signer.explain` and a command line
# use, nor the emulator.
COMMANDS = (
    "signer/__main__.py",
    "signer/cli",
    "signer/diagnosis",
    "signer/emulator",
    "signer/common/printing.py",
    "handler/commands",
)
# Only a custom runtime serves HTTP itself.
SERVER_MODULES = ("handler/asgi.py",)

MAX_ZIP = 5 * 1024**2  # bytes
# RS256 and ES256 tokens need cryptography, which is large.
LARGE_REQUIREMENT = "cryptography"
MAX_LARGE_ZIP = 12 * 1024**2  # bytes

_DEVELOPMENT = re.compile(
    r"(^|/)(\.[^/]+|Makefile|Dockerfile|pyproject\.toml|setup\.(py|cfg)|tox\.ini|s(\.\w+)?\.ya?ml|env\.yaml"
    r"|requirements[^/]*\.(txt|lock)|package(-lock)?\.json|node_modules|docs|bench|local|deploy|samples|bin"
    r"|[^/]*\.(md|rst|orig|rej|bak|swp|log|ipynb|c|h|pyx|pyi|pth|egg-link))(/|$)"
)
_TEST = re.compile(
    r"(^|/)(tests?(/.*)?/[^/]*|test_[^/]*|[^/]*_test\.py|conftest\.py|testdata|fixtures)(/|$)"
)
_LICENSE = re.compile(r"LICEN[CS]E|NOTICE|COPYING")
# All that our packages consist of. What a locked package has is known by its hash.
_SUFFIXES = (".html", ".js", ".json", ".py", ".toml", ".typed")


def copy_ours(root: Path, folder: Path, *, custom: bool) -> None:
    """Copies the modules that a function needs; `custom` is for a custom runtime. Raises `DeployError`."""
    for name in OURS:
        if (folder / name).exists():
            raise DeployError(
                f"A locked package contains a folder {name}, which is ours: remove that package."
            )
        shutil.copytree(
            root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in (*COMMANDS, *(() if custom else SERVER_MODULES)):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def files(folder: Path) -> list[Path]:
    """Every file, relative to the folder and sorted."""
    return sorted(
        (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()),
        key=lambda path: path.parts,
    )


def parts(folder: Path) -> dict[str, int]:
    """The bytes of each top-level name, largest first; the metadata of all distributions counts as `*.dist-info`."""
    sizes: dict[str, int] = {}
    for path in files(folder):
        top = path.parts[0]
        name = "*.dist-info" if top.endswith(".dist-info") else top
        sizes[name] = sizes.get(name, 0) + (folder / path).stat().st_size
    return dict(sorted(sizes.items(), key=lambda part: (-part[1], part[0])))


def check_package(folder: Path, requirements: Iterable[str]) -> None:
    """Raises `DeployError` with a line for everything that must not be deployed.

    `requirements` are what is asked for, as `name` or `name[extra]`.
    """
    unneeded = sorted(set(vendor.distributions(folder)) - vendor.reachable(folder, requirements))
    faults = [*_stray(folder), *_secrets(folder)]
    faults += [
        f"{name} is locked, but not required by anything: run make lock." for name in unneeded
    ]
    if faults:
        raise DeployError(
            "The package cannot be deployed:\n" + "\n".join(f"  {fault}" for fault in faults)
        )


def check_size(size: int, folder: Path) -> None:
    """Raises `DeployError` for a zip file whose size, in bytes, makes cold starts slow without need."""
    maximum = MAX_LARGE_ZIP if LARGE_REQUIREMENT in vendor.distributions(folder) else MAX_ZIP
    if size > maximum:
        raise DeployError(
            f"The zip file has {megabytes(size)} and exceeds {megabytes(maximum)}: remove the requirements that the "
            "function does not need."
        )


def megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MB"


def _stray(folder: Path) -> Iterator[str]:
    advice = f"move it out of {' and '.join(OURS)}"
    for path in files(folder):
        name = path.as_posix()
        is_ours = path.parts[0] in OURS
        if not is_ours and (path.parts[0].endswith(".dist-info") or _LICENSE.search(path.name)):
            continue
        elif _TEST.search(name):
            yield f"{name} is a test: {advice}."
        elif _DEVELOPMENT.search(name):
            yield f"{name} is a development file: {advice}."
        elif is_ours and path.suffix not in _SUFFIXES:
            yield f"{name} is not one of the files that are deployed, {', '.join(_SUFFIXES)}: {advice}."


def _secrets(folder: Path) -> Iterator[str]:
    for path in files(folder):
        if secret := secret_in((folder / path).read_text(encoding="utf-8", errors="replace")):
            yield f"{path.as_posix()} contains what looks like {secret}: move it to the keys document."
