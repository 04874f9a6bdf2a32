"""Checks s.yaml outside its functions, and what env.yaml says of an environment: its type, and what has no effect."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment

# s.yaml alone may be an environment of this type, and no other.
TESTING = "testing"
TYPES = (TESTING, "staging", "production")


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
    if hooks != [
        {"run": command, "path": "./" if folder == "." else folder} for command in commands
    ]:
        yield (
            f"actions.pre-deploy must run {commands[0]}, then {commands[1]}, each with path {folder}/ and nothing "
            "else, as in the file that the project comes with: otherwise s deploys what was not checked or an earlier "
            "build."
        )


def environment_faults(entry: Mapping[str, Any], environment: Environment) -> Iterator[str]:
    """A sentence for each fault of the environment's entry in env.yaml."""
    kind = entry.get("type")
    if kind not in TYPES:
        yield f"type must be testing, staging or production (got {kind!r}): only testing may be like s.yaml alone."
    overlays = entry.get("overlays") or {}
    overlaid = overlays.get("resources") or {} if isinstance(overlays, dict) else {}
    for field, value in (("overlays", overlays), ("overlays.resources", overlaid)):
        if not isinstance(value, dict):
            yield f"{field} must be a mapping (got {value!r}): it has no effect."
    for name in (
        sorted(set(overlays) - {"resources", "components"}, key=str)
        if isinstance(overlays, dict)
        else ()
    ):
        yield f"overlays.{name} has no effect: use overlays.resources."
    for name in (
        sorted(set(overlaid) - set(environment.names), key=str)
        if isinstance(overlaid, dict)
        else ()
    ):
        yield f"overlays.resources.{name} does not exist in s.yaml: choose one of {', '.join(environment.names)}."
    regions = sorted({str(resource.props.get("region")) for resource in environment.resources})
    if entry.get("region") and [entry["region"]] != regions:
        difference = f"region is {entry['region']}, but the functions are in {', '.join(regions)}"
        yield f"{difference}: it does not move a function, so overlay props.region too."
