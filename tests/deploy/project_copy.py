"""A copy of the files that are deployed, which a test may break."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHECKED = ("s.yaml", "env.yaml", "links.toml")
BUILT = (*CHECKED, "handler", "signer", "requirements.txt", "deploy/requirements")


def install(program: Path, script: str) -> None:
    """A script of sh as a program."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


@dataclass(frozen=True)
class ProjectCopy:
    """A project in its own folder."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, names: tuple[str, ...] = CHECKED) -> ProjectCopy:
        """Copies files and folders of the repository, without bytecode."""
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        return cls(folder)

    @property
    def config(self) -> Path:
        """Its `s.yaml`."""
        return self.folder / "s.yaml"

    def edit(self, old: str, new: str, name: str = "s.yaml", *, everywhere: bool = False) -> Path:
        """Replaces the first occurrence of a string that must be in a file, or all; returns the path of `s.yaml`."""
        path = self.folder / name
        content = path.read_text(encoding="utf-8")
        assert old in content, f"{name} has no {old!r} to break"
        path.write_text(content.replace(old, new, -1 if everywhere else 1), encoding="utf-8")
        return self.config
