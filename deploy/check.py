"""`python -m deploy.check [s.yaml] [--env NAME]`: what would go wrong once deployed, a sentence each.

The real Serverless Devs renders the file; the rendering is held strictly against fc3's schema, then against what
this project's functions need. Without `--env` every environment of `env.yaml` is looked at, too.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from local.fc import s_yaml

from .checks import environments, links_toml, schema
from .checks import functions as function_rules
from .errors import DeployError
from .s_preview import render

_PINNED = re.compile(r"fc3@\d+\.\d+\.\d+")


def check(config: Path, environment: str | None = None) -> list[str]:
    """Every fault, of one environment or of all. Raises `DeployError` where the file cannot be rendered at all."""
    raw = _raw(config)
    known = environments.read(config, raw.get("env"))
    wanted: list[str | None] = [environment] if environment else [None, *known]
    found: dict[str, None] = dict.fromkeys(_whole(raw))
    base = found.copy()
    for name in wanted:
        if name is not None:
            environments.chosen(known, name)
        rendered = render(config, name)
        resources = functions(rendered)
        if not resources:
            raise DeployError(f"{config.name} has no function: give a resource component: fc3@0.1.22 and props.")
        sentences = list(_faults(config, resources))
        if name is not None:
            sentences = [f"{name}: {s}" for s in sentences if s not in base]
            sentences += [f"env.yaml: {name}: {s}" for s in environments.faults(known[name], resources)]
        else:
            base |= dict.fromkeys(sentences)
        found |= dict.fromkeys(sentences)
    return list(found)


def functions(rendered: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources that are functions, whatever version of the component makes them."""
    resources = rendered.get("resources")
    return {
        name: resource
        for name, resource in (resources if isinstance(resources, dict) else {}).items()
        if isinstance(resource, dict)
        and str(resource.get("component")).split("@")[0] == "fc3"
        and isinstance(resource.get("props"), dict)
    }


def _raw(config: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeployError(f"There is no {config}: name another file.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        raise DeployError(f"{config.name} is no YAML{f' (line {mark.line + 1})' if mark else ''}: mend it.") from None
    if not isinstance(document, dict):
        raise DeployError(f"{config.name} holds no mapping: begin with edition: 3.0.0.")
    return document


def _whole(raw: dict[str, Any]) -> Iterator[str]:
    """The file itself."""
    if raw.get("edition") != "3.0.0":
        yield f"edition is {raw.get('edition')!r}: write edition: 3.0.0."
    access = raw.get("access")
    if not isinstance(access, str) or "${" in access:
        yield f"access is {access!r}: write the name of a key as it is (s deploy -a NAME takes another)."
    actions = raw.get("actions")
    hooks = actions.get("pre-deploy") if isinstance(actions, dict) else None
    commands = [str(hook.get("run")) for hook in hooks or [] if isinstance(hook, dict)]
    if not any(command.startswith("make build") for command in commands):
        yield "actions.pre-deploy does not run make build: what was built before would be deployed."


def _faults(config: Path, resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    names = [resource["props"].get("functionName") for resource in resources.values()]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"Two functions are called {name}: give each its own functionName."
    for resource, entry in resources.items():
        for sentence in _function(config, entry):
            yield f"{resource}: {sentence}"


def _function(config: Path, entry: dict[str, Any]) -> Iterator[str]:
    if not _PINNED.fullmatch(str(entry["component"])):
        yield f"component is {entry['component']}: pin its version, such as fc3@0.1.22."
    props = entry["props"]
    broken = list(schema.faults(props))
    yield from broken
    if broken:
        return
    yield from function_rules.faults(props)
    triggers = [trigger["triggerName"] for trigger in props.get("triggers") or []]
    for name in dict.fromkeys(triggers):
        if triggers.count(name) > 1:
            yield f"Two triggers are called {name}: give each its own triggerName."
    yield from links_toml.faults(links_toml.read(s_yaml.project_folder(config), props), props)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what is wrong; the exit status is 0 where nothing is."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description="Says what would fail once deployed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="what is deployed")
    parser.add_argument("--env", help="only this environment of env.yaml")
    options = parser.parse_args(arguments)
    try:
        found = check(options.config, options.env)
    except DeployError as error:
        found = [str(error)]
    for sentence in found:
        print(sentence)
    if not found:
        print(f"{options.config.name} can be deployed.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
