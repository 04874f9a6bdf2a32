"""The environments in env.yaml.

Serverless Devs silently ignores an `--env` that does not exist and an overlay of a resource that does not exist, so
both are checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..errors import DeployError

# Serverless Devs reads this file if s.yaml does not name one.
DEFAULT = "env.yaml"


def load_yaml(path: Path) -> Any:
    """Raises `DeployError` if the file is missing or is not YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeployError(f"{path} not found: name another file.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise DeployError(f"{path.name} is not valid YAML{line}: correct it.") from None


def read_environments(config: Path) -> dict[str, dict[str, Any]]:
    """The environments by name of a s.yaml, empty if there is no file. Raises `DeployError`."""
    root = load_yaml(config)
    named = root.get("env") if isinstance(root, dict) else None
    path = config.resolve().parent / (named or DEFAULT)
    if not path.is_file():
        if named:
            raise DeployError(f"{config.name}: env names {named}, which does not exist: create it.")
        return {}
    document = load_yaml(path)
    environments = document.get("environments") if isinstance(document, dict) else None
    if not isinstance(environments, list) or not all(
        isinstance(environment, dict) and environment.get("name") for environment in environments
    ):
        raise DeployError(f"{path.name}: environments must be a list, and each environment must have a name.")
    return {str(environment["name"]): environment for environment in environments}


def require(environments: dict[str, dict[str, Any]], name: str) -> None:
    """Raises `DeployError` for an environment that does not exist."""
    if name not in environments:
        raise DeployError(
            f"Environment {name!r} not found in env.yaml, and s would deploy without it: "
            f"choose one of {', '.join(environments) or 'none'}."
        )


def faults(environment: dict[str, Any], resources: dict[str, Any]) -> Iterator[str]:
    """A sentence for each entry of an environment that would have no effect."""
    overlays = environment.get("overlays")
    overlays = overlays if isinstance(overlays, dict) else {}
    for name in sorted(set(overlays) - {"resources", "components"}):
        yield f"overlays.{name} has no effect: use overlays.resources."
    for name in sorted(set(overlays.get("resources") or {}) - set(resources)):
        yield f"overlays.resources.{name} does not exist in s.yaml: choose one of {', '.join(resources)}."
    regions = sorted({str(resource["props"].get("region")) for resource in resources.values()})
    if environment.get("region") and [environment["region"]] != regions:
        yield (
            f"region is {environment['region']}, but the functions are in {', '.join(regions)}: it does not move a "
            "function, so overlay props.region too."
        )
