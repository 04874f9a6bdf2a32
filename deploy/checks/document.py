"""Checks s.yaml outside its functions: its edition, its key, and what runs before a deployment."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from .functions import mapping

_WORD = re.compile(r"check|build|CONFIG=[\w./-]+")


def faults(document: Mapping[str, Any], path: str) -> Iterator[str]:
    """A sentence for each fault. `path` is the file's own, from the project's folder, such as s.yaml."""
    if document.get("edition") != "3.0.0":
        yield f"edition must be 3.0.0 (got {document.get('edition')!r})."
    access = document.get("access")
    if not isinstance(access, str) or not access or "${" in access:
        yield f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    elif access == "undefined":
        yield "access must not be undefined: s itself saves keys under this name by mistake. Choose another name."
    yield from _hooks(document, path)


def _hooks(document: Mapping[str, Any], path: str) -> Iterator[str]:
    """`s deploy` must check this file, and then build it."""
    folder = posixpath.relpath(".", posixpath.dirname(path) or ".")
    hooks = mapping(document.get("actions")).get("pre-deploy")
    steps = [step for hook in (hooks if isinstance(hooks, list) else []) for step in _steps(hook, folder)]
    first_build = next((index for index, (target, _) in enumerate(steps) if target == "build"), None)
    if first_build is None or steps[first_build] != ("build", path) or ("check", path) not in steps[:first_build]:
        argument = "" if path == "s.yaml" else f" CONFIG={path}"
        yield (
            f"actions.pre-deploy must run make check{argument}, then make build{argument}, each with path {folder}/ "
            "and no other option: otherwise s deploys what was not checked or an earlier build."
        )


def _steps(hook: object, folder: str) -> Iterator[tuple[str, str]]:
    """The targets that a hook makes, each with its s.yaml; none if anything else could change what they do.

    With `allow_failure`, s continues after a failed check. Other arguments of make could check less, or nothing.
    """
    fields = mapping(hook)
    if set(fields) - {"run", "path"} or posixpath.normpath(str(fields.get("path", "./"))) != folder:
        return
    run = str(fields.get("run")).strip()
    try:
        commands = [shlex.split(command) for command in run.split("&&")]
    except ValueError:
        return
    # After the end of a line, the shell forgets that the check failed.
    if "\n" in run or not all(words[:1] == ["make"] and all(map(_WORD.fullmatch, words[1:])) for words in commands):
        return
    for words in commands:
        paths = [word.removeprefix("CONFIG=") for word in words if word.startswith("CONFIG=")]
        for word in words[1:]:
            if word in ("check", "build"):
                yield word, (paths or ["s.yaml"])[-1]
