"""`python -m deploy.check [s.yaml] [--env NAME]`: says what would fail once deployed, in one sentence per fault.

The real Serverless Devs renders s.yaml. The result is checked against fc3's schema, strictly, and then against what
this project's functions need. Without `--env` every environment of env.yaml is checked too.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from local.fc import s_yaml

from .checks import environments as environment_checks
from .checks import functions as function_checks
from .checks import links_toml, schema
from .checks.functions import functions_in, mapping
from .environments import load_yaml, read_environments, require
from .errors import DeployError
from .s_preview import render

_PINNED = re.compile(r"fc3@\d+\.\d+\.\d+")


def check(config: Path, environment: str | None = None) -> list[str]:
    """Every fault, of one environment or of all. Raises `DeployError` if the file cannot be rendered at all."""
    document = load_yaml(config)
    if not isinstance(document, dict):
        raise DeployError(f"{config.name} must be a mapping: begin with edition: 3.0.0.")
    known = read_environments(config)
    requested: list[str | None] = [environment] if environment else [None, *known]
    faults: dict[str, None] = dict.fromkeys(_document(document))
    base = faults.copy()
    for name in requested:
        if name is not None:
            require(known, name)
        resources = functions_in(render(config, name))
        if not resources:
            raise DeployError(f"{config.name} has no function: add a resource with component: fc3@0.1.22 and props.")
        sentences = list(_functions(config, resources))
        if name is not None:
            sentences = [f"{name}: {s}" for s in sentences if s not in base]
            sentences += [f"env.yaml: {name}: {s}" for s in environment_checks.faults(known[name], resources)]
        else:
            base |= dict.fromkeys(sentences)
        faults |= dict.fromkeys(sentences)
    return list(faults)


def _document(document: dict[str, Any]) -> Iterator[str]:
    """Faults of s.yaml outside its functions."""
    if document.get("edition") != "3.0.0":
        yield f"edition must be 3.0.0 (got {document.get('edition')!r})."
    access = document.get("access")
    if not isinstance(access, str) or "${" in access:
        yield f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    hooks = mapping(document.get("actions")).get("pre-deploy") or []
    commands = [str(hook.get("run")) for hook in hooks if isinstance(hook, dict)]
    if not any(command.startswith("make build") for command in commands):
        yield "actions.pre-deploy must run make build: otherwise s deploys an earlier build."


def _functions(config: Path, resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name in _repeated(resource["props"].get("functionName") for resource in resources.values()):
        yield f"functionName {name} is used more than once: each function needs its own."
    functions: dict[str, list[str]] = {}
    for name, resource in resources.items():
        for sentence in _function(config, resource):
            functions.setdefault(sentence, []).append(name)
    for sentence, names in functions.items():
        yield f"{' and '.join(names)}: {sentence}"


def _function(config: Path, resource: dict[str, Any]) -> Iterator[str]:
    if not _PINNED.fullmatch(str(resource["component"])):
        yield f"component must be pinned to a version, such as fc3@0.1.22 (got {resource['component']})."
    props = resource["props"]
    faults = list(schema.faults(props))
    yield from faults
    if faults:
        return
    yield from function_checks.faults(props)
    for name in _repeated(trigger["triggerName"] for trigger in props.get("triggers") or []):
        yield f"triggerName {name} is used more than once: each trigger needs its own."
    yield from links_toml.faults(s_yaml.project_folder(config), props)


def _repeated(names: Iterable[object]) -> list[object]:
    listed = list(names)
    return [name for name in dict.fromkeys(listed) if listed.count(name) > 1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description="Say what would fail once deployed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to check")
    parser.add_argument("--env", help="check only this environment of env.yaml")
    options = parser.parse_args(arguments)
    try:
        faults = check(options.config, options.env)
    except DeployError as error:
        faults = [str(error)]
    for sentence in faults:
        print(sentence)
    if not faults:
        print(f"{options.config.name} can be deployed.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
