"""The environments in env.yaml, and what s.yaml means in each.

Serverless Devs silently ignores an `--env` that does not exist, so that is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .checks.functions import functions_in, repeated
from .errors import DeployError
from .s_preview import render

# Serverless Devs reads this file if s.yaml does not name one.
DEFAULT = "env.yaml"


class Rendered(NamedTuple):
    """The functions of one s.yaml in one environment: properties by resource name. None: deployed without `--env`."""

    config: Path
    environment: str | None
    functions: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """For messages, such as "s.yaml (prod)"."""
        return f"{self.config.name} ({self.environment})" if self.environment else self.config.name


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
    if named is not None and not isinstance(named, str):
        raise DeployError(f"{config.name}: env must be the path of a file, such as ./env.yaml (got {named!r}).")
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
    for name in repeated(str(environment["name"]) for environment in environments):
        raise DeployError(f"{path.name}: more than one environment is named {name}: each needs its own name.")
    return {str(environment["name"]): environment for environment in environments}


def require(environments: Mapping[str, object], name: str) -> None:
    """Raises `DeployError` for an environment that does not exist."""
    if not environments:
        raise DeployError(f"Environment {name!r} not found: this project has no environments, so leave it out.")
    if name not in environments:
        raise DeployError(
            f"Environment {name!r} not found in env.yaml, and s would deploy without it: "
            f"choose one of {', '.join(environments)}."
        )


def render_environments(config: Path, environment: str | None = None) -> Iterator[Rendered]:
    """What s.yaml means in one environment, or in each; without environments, what `s deploy` means alone.

    Raises `DeployError` if s cannot render it.
    """
    known = read_environments(config)
    if environment is not None:
        require(known, environment)
    names: list[str | None] = [environment] if environment else [*known] or [None]
    for name in names:
        resources = functions_in(render(config, name))
        yield Rendered(config, name, {resource: function["props"] for resource, function in resources.items()})
