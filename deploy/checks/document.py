"""Checks s.yaml outside its functions: its edition, its key, and what runs before a deployment."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from .functions import mapping


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
    hooks = mapping(document.get("actions")).get("pre-deploy") or []
    steps = [step for hook in hooks if isinstance(hook, dict) for step in _make_targets(str(hook.get("run")))]
    argument = "" if path == "s.yaml" else f" CONFIG={path}"
    builds = [index for index, (target, _) in enumerate(steps) if target == "build"]
    if not builds:
        yield f"actions.pre-deploy must run make build{argument}: otherwise s deploys an earlier build."
    elif ("check", path) not in steps[: builds[0]] or steps[builds[0]] != ("build", path):
        yield (
            f"actions.pre-deploy must run make check{argument} before make build{argument}: otherwise s deploys what "
            "was not checked."
        )


def _make_targets(command: str) -> Iterator[tuple[str, str]]:
    """The targets that a command makes, one after the other, each with the s.yaml that it is for."""
    for step in command.split("&&"):
        try:
            words = shlex.split(step)
        except ValueError:
            return
        # After a pipe or a semicolon, a failed check would not stop the deployment.
        if words[:1] != ["make"] or any(set(word) & set("|;&") for word in words):
            continue
        paths = [word.removeprefix("CONFIG=") for word in words if word.startswith("CONFIG=")]
        for word in words[1:]:
            yield word, (paths or ["s.yaml"])[-1]
