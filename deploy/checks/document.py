"""Checks s.yaml outside its functions: its edition, its key, and what runs before a deployment."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any


def faults(document: Mapping[str, Any], path: str) -> Iterator[str]:
    """A sentence for each fault. `path` is the file's own, from the project's folder, such as s.yaml."""
    if document.get("edition") != "3.0.0":
        yield f"edition must be 3.0.0 (got {document.get('edition')!r})."
    access = document.get("access")
    if not isinstance(access, str) or not access or "${" in access:
        yield f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    elif access == "undefined":
        yield "access must not be undefined: s itself saves keys under this name by mistake. Choose another name."
    actions = document.get("actions")
    folder = posixpath.relpath(".", posixpath.dirname(path) or ".")
    argument = "" if path == "s.yaml" else f" CONFIG={path}"
    commands = [f"make {target}{argument}" for target in ("check", "build")]
    hooks = actions.get("pre-deploy") if isinstance(actions, dict) else None
    if hooks != [{"run": command, "path": "./" if folder == "." else folder} for command in commands]:
        yield (
            f"actions.pre-deploy must run {commands[0]}, then {commands[1]}, each with path {folder}/ and nothing "
            "else, as in the file that the project comes with: otherwise s deploys what was not checked or an earlier "
            "build."
        )
