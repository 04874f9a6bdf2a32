"""`python -m deploy.check [s.yaml] [--env NAME]`: says what would fail once deployed, in one sentence per fault.

The real Serverless Devs renders s.yaml. The result is checked against fc3's schema, strictly, and then against what
this project's functions need. Without `--env` every environment of env.yaml is checked too, and that none can overwrite
another.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from handler.config import InvalidConfig
from local.fc import s_yaml

from .checks import (
    custom_runtime,
    destinations,
    document,
    domains,
    links_toml,
    names,
    notices,
    placeholders,
    regions,
    schema,
    sharing,
    triggers,
)
from .checks import environments as environment_checks
from .checks import functions as function_checks
from .checks.functions import Props, functions_in, mapping
from .checks.links_toml import Reader
from .command import run
from .environments import load_yaml, read_environments, require
from .errors import DeployError
from .s_preview import render

# What a function's properties must fulfil once they have passed the schema.
_CHECKS = (
    *(function_checks.faults, names.faults, triggers.faults, regions.faults, destinations.faults),
    *(custom_runtime.faults, domains.faults),
)
_PINNED = re.compile(r"fc3@\d+\.\d+\.\d+")


class Report(NamedTuple):
    """Sentences. Faults and placeholders prevent a deployment, warnings do not."""

    faults: list[str]
    placeholders: list[str]
    warnings: list[str]


class _Environment(NamedTuple):
    """The functions that passed the schema; `readers` are those of them that can read links.toml."""

    faults: list[str]
    functions: dict[str, Props]
    readers: dict[str, Reader]


def check(config: Path, environment: str | None = None, *, allow_placeholders: bool = False) -> list[str]:
    """Every fault, of one environment or of all. Raises `DeployError` if the file cannot be rendered at all."""
    result = report(config, environment)
    return result.faults if allow_placeholders else [*result.faults, *result.placeholders]


def report(config: Path, environment: str | None = None) -> Report:
    """Every fault, placeholder and warning. Raises `DeployError` if the file cannot be rendered at all."""
    source = load_yaml(config)
    if not isinstance(source, dict):
        raise DeployError(f"{config.name} must be a mapping: begin with edition: 3.0.0.")
    known = read_environments(config)
    requested: list[str | None] = [environment] if environment else [None, *known]
    root = s_yaml.project_folder(config)
    faults = dict.fromkeys(document.faults(source, config.resolve().relative_to(root).as_posix()))
    base = faults.copy()
    functions: dict[str | None, Mapping[str, Props]] = {}
    readers_of: dict[str | None, list[Reader]] = {}
    for name in requested:
        if name is not None:
            require(known, name)
        rendered = render(config, name)
        resources = {
            resource: function
            for resource, function in functions_in(rendered).items()
            if function_checks.is_own(function["props"], config, root)
        }
        if not resources:
            raise DeployError(
                f"{config.name} has no function with code below build/, such as code: ./build/code: add a resource "
                "with component: fc3@0.1.22 and props."
            )
        result = _check_environment(config, root, resources)
        functions[name] = result.functions
        readers_of[name] = list(result.readers.values())
        sentences = result.faults
        if name is not None:
            sentences = [f"{name}: {s}" for s in sentences if s not in base]
            sentences += [
                f"env.yaml: {name}: {sentence}"
                for sentence in environment_checks.faults(known[name], mapping(rendered.get("resources")), resources)
            ]
        else:
            base |= dict.fromkeys(sentences)
        faults |= dict.fromkeys(sentences)
    testing = {name for name, fields in known.items() if fields.get("type") == environment_checks.TESTING}
    readers = [reader for environment_readers in readers_of.values() for reader in environment_readers]
    faults |= dict.fromkeys(
        (
            *sharing.across(functions, testing),
            *sharing.state(readers_of, testing),
            *sharing.signers(readers),
            *regions.across(readers),
        )
    )
    examples = dict.fromkeys(placeholders.faults(readers, source, known))
    warnings = dict.fromkeys(sentence for reader in readers for sentence in notices.warnings(reader))
    return Report(list(faults), list(examples), list(warnings))


def _check_environment(config: Path, root: Path, resources: Mapping[str, dict[str, Any]]) -> _Environment:
    sentences: list[tuple[str, str]] = []
    functions: dict[str, Props] = {}
    readers: dict[str, Reader] = {}
    for name, resource in resources.items():
        props = resource["props"]
        if not _PINNED.fullmatch(str(resource["component"])):
            pin = f"component must be pinned to a version, such as fc3@0.1.22 (got {resource['component']})."
            sentences.append((name, pin))
        faults = list(schema.faults(props))
        if not function_checks.is_built(props, config, root):
            sentences.append(
                (name, f"code must be a folder below build/, such as ./build/code (got {props.get('code')}).")
            )
        if not faults:
            functions[name] = props
            faults += (sentence for function_faults in _CHECKS for sentence in function_faults(props))
            try:
                readers[name] = links_toml.read(root, props)
            except InvalidConfig as error:
                faults.append(error.sentence)
            else:
                faults += [*links_toml.faults(readers[name]), *regions.links_faults(readers[name])]
        sentences += ((name, sentence) for sentence in faults)
    together = list(sharing.within(functions))
    # What a function that cannot be read would do is unknown.
    if len(readers) == len(resources):
        sentences += notices.faults(readers)
        # Another s.yaml in the project is deployed beside the one in its folder.
        if config.resolve().parent == root:
            together += notices.missing_function(readers, config.name)
    return _Environment([*dict.fromkeys(together), *_by_sentence(sentences)], functions, readers)


def _by_sentence(sentences: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Each sentence once, after the names of all functions that it is about."""
    names_of: dict[str, dict[str, None]] = {}
    for name, sentence in sentences:
        names_of.setdefault(sentence, {})[name] = None
    for sentence, function_names in names_of.items():
        yield f"{' and '.join(function_names)}: {sentence}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description="Say what would fail once deployed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to check")
    parser.add_argument("--env", help="check only this environment of env.yaml")
    parser.add_argument(
        "--allow-placeholders", action="store_true", help="accept the names of examples, such as examplebucket"
    )
    options = parser.parse_args(arguments)
    try:
        result = report(options.config, options.env)
    except DeployError as error:
        result = Report([str(error)], [], [])
    faults = [*result.faults, *(() if options.allow_placeholders else result.placeholders)]
    for sentence in (*faults, *(f"warning: {sentence}" for sentence in result.warnings)):
        print(sentence)
    if not faults:
        print(f"{options.config} can be deployed{f' to {options.env}' if options.env else ''}.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(run("make check", main))
