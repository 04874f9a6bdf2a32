"""`python -m deploy.check [s.yaml] [--env NAME]`: says what would fail once deployed, in one sentence per fault.

The real Serverless Devs renders s.yaml. The result is checked against fc3's schema, strictly, and then against what
this project's functions need. Without `--env` every environment of env.yaml is checked too, and that none can overwrite
another.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap
from typing import NamedTuple

from handler.core.config import InvalidConfig
from signer.common.printing import Parser, show

from .checks import (
    custom_runtime,
    document,
    domains,
    links_toml,
    names,
    notices,
    placeholders,
    regions,
    sharing,
    triggers,
)
from .checks import functions as function_checks
from .command import run
from .errors import DeployError
from .model import ConfiguredFunction, Environment, Project, is_built
from .s_preview import render

# What a function must fulfil once its properties have passed the schema, and then what its links.toml must.
_CHECKS = (
    function_checks.faults,
    names.faults,
    triggers.faults,
    regions.faults,
    triggers.destination_faults,
    custom_runtime.faults,
    domains.faults,
)
_CONFIG_CHECKS = (links_toml.faults, domains.public_url_faults, regions.config_faults)
_WARNINGS = (regions, links_toml, domains, function_checks, notices)
# What s deploy makes by itself for a property that is auto.
_MADE_BY_AUTO = {
    "nasConfig": "a NAS file system that you pay for",
    "vpcConfig": "a VPC, a switch and a security group that nobody removes",
}
_PINNED = re.compile(r"fc3@\d+\.\d+\.\d+")


class Report(NamedTuple):
    """Faults and placeholders prevent a deployment, warnings do not. `functions` are all that can be read."""

    faults: Sequence[str]
    placeholders: Sequence[str] = ()
    warnings: Sequence[str] = ()
    functions: Sequence[ConfiguredFunction] = ()


def check(config: Path, environment: str | None = None) -> Report:
    """Of one environment, or of s.yaml alone and all. Raises `DeployError` if the file cannot be rendered at all."""
    return report(Project.load(config, render, environment))


def report(project: Project) -> Report:
    path = project.config.resolve().relative_to(project.root).as_posix()
    faults = dict.fromkeys(document.faults(project.source, path))
    base = faults.copy()
    functions: list[ConfiguredFunction] = []
    for environment in project.environments:
        sentences, readable = _check_environment(project, environment)
        functions += readable
        name = environment.name
        if name is None:
            base |= dict.fromkeys(sentences)
        else:
            sentences = [f"{name}: {sentence}" for sentence in sentences if sentence not in base]
            overlays = document.environment_faults(project.known[name], environment)
            sentences += [f"env.yaml: {name}: {sentence}" for sentence in overlays]
        faults |= dict.fromkeys(sentences)
    testing = {
        name for name, fields in project.known.items() if fields.get("type") == document.TESTING
    }
    faults |= dict.fromkeys(
        (
            *sharing.across(functions, testing),
            *sharing.signers(functions),
            *regions.across(functions),
        )
    )
    examples = dict.fromkeys(placeholders.faults(functions, project.source, project.known))
    warnings = dict.fromkeys(
        sentence
        for configured in functions
        for each in _WARNINGS
        for sentence in each.warnings(configured)
    )
    return Report(list(faults), list(examples), list(warnings), functions)


def _check_environment(
    project: Project, environment: Environment
) -> tuple[list[str], list[ConfiguredFunction]]:
    sentences: list[tuple[str, str]] = []
    functions: list[ConfiguredFunction] = []
    for resource in environment.resources:
        faults = []
        if not _PINNED.fullmatch(resource.component):
            faults.append(
                f"component must be pinned to a version, such as fc3@0.1.22 (got {resource.component})."
            )
        code = resource.props.get("code")
        if not is_built(project.root, project.config, code):
            faults.append(f"code must be a folder below build/, such as ./build/code (got {code}).")
        for name, made in _MADE_BY_AUTO.items():
            if resource.props.get(name) == "auto":
                faults.append(f"{name} is auto, so s deploy would make {made}: remove it.")
        invalid = resource.faults or [
            *placeholders.name_faults(resource, project, environment.name)
        ]
        faults += invalid
        if not invalid and resource.function is not None:
            faults += (sentence for each in _CHECKS for sentence in each(resource.function))
            faults += [resource.config_fault] if resource.config_fault else []
        if not invalid and resource.configured is not None:
            functions.append(resource.configured)
            try:
                faults += (
                    sentence for each in _CONFIG_CHECKS for sentence in each(resource.configured)
                )
            except InvalidConfig as error:
                faults.append(error.sentence)
        sentences += ((resource.name, sentence) for sentence in faults)
    together = list(sharing.within(functions))
    # What a function that cannot be read would do is unknown.
    if len(functions) == len(environment.resources):
        sentences += notices.faults(functions)
        # Another s.yaml in the project is deployed beside the one in its folder.
        if project.config.resolve().parent == project.root:
            together += notices.missing_function(functions, project.config.name)
    return [*dict.fromkeys(together), *_by_sentence(sentences)], functions


def _by_sentence(sentences: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Each sentence once, after the names of all functions that it is about."""
    names_of: dict[str, dict[str, None]] = {}
    for name, sentence in sentences:
        names_of.setdefault(sentence, {})[name] = None
    for sentence, function_names in names_of.items():
        yield f"{' and '.join(function_names)}: {sentence}"


def _lines(sentence: str) -> list[str]:
    """On a terminal as wide as that is; otherwise one, so that programs read a sentence in a line."""
    if not sys.stdout.isatty():
        return [sentence]
    width = get_terminal_size().columns
    return wrap(
        sentence, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m deploy.check", description="Say what would fail once deployed.")
    parser.add_argument(
        "config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to check"
    )
    parser.add_argument("--env", help="check only this environment of env.yaml")
    parser.add_argument(
        "--allow-placeholders", action="store_true", help="accept names such as examplebucket"
    )
    options = parser.parse_args(arguments)
    # The signer says it of some that are misspelt, this check of every region that fc3 does not know.
    warnings.filterwarnings("ignore", "Unknown region")
    try:
        result = check(options.config, options.env)
    except DeployError as error:
        result = Report([str(error)])
    faults = [*result.faults, *(() if options.allow_placeholders else result.placeholders)]
    notes = dict.fromkeys(
        note for configured in result.functions for note in links_toml.notes(configured)
    )
    for sentence in (*faults, *(f"warning: {sentence}" for sentence in result.warnings), *notes):
        show(*_lines(sentence))
    if not faults:
        show(f"{options.config} can be deployed{f' to {options.env}' if options.env else ''}.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(run("make check", main))
