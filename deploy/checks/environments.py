"""env.yaml: the environments that a deployment can be rendered for.

Serverless Devs renders a misspelt `--env`, and an overlay of a resource that does not exist, without a word and
without the overlay; so both are looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..errors import DeployError

# The names by which Serverless Devs finds the file where `s.yaml` names none.
DEFAULT = "env.yaml"


def read(config: Path, named: str | None) -> dict[str, dict[str, Any]]:
    """The environments by name, none where there is no file. Raises `DeployError`."""
    path = config.resolve().parent / (named or DEFAULT)
    if not path.is_file():
        if named:
            raise DeployError(f"{config.name} names the environments in {named}, which is not there: write it.")
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise DeployError(f"{path.name} is no YAML: mend it.") from None
    entries = document.get("environments") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
        raise DeployError(f"{path.name} holds no list of environments, each with a name.")
    return {str(entry["name"]): entry for entry in entries}


def chosen(environments: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """The environment of that name. Raises `DeployError` where the tool would render without one."""
    if name not in environments:
        raise DeployError(
            f"There is no environment {name!r} in env.yaml, and s would deploy without it: "
            f"choose one of {', '.join(environments) or 'none'}."
        )
    return environments[name]


def faults(environment: dict[str, Any], resources: dict[str, Any]) -> Iterator[str]:
    """A sentence for each thing in an environment that would have no effect."""
    overlays = environment.get("overlays")
    overlays = overlays if isinstance(overlays, dict) else {}
    for name in sorted(set(overlays) - {"resources", "components"}):
        yield f"overlays.{name} has no effect: only overlays.resources has."
    for name in sorted(set(overlays.get("resources") or {}) - set(resources)):
        yield f"overlays.resources.{name} is no resource of s.yaml: choose one of {', '.join(resources)}."
    regions = sorted({str(entry["props"].get("region")) for entry in resources.values()})
    if environment.get("region") and [environment["region"]] != regions:
        yield (
            f"region is {environment['region']}, but the functions are in {', '.join(regions)}: an environment's "
            "region moves no function, so overlay props.region too."
        )
