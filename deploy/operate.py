"""`python -m deploy.operate [--config s.yaml] [--env NAME] keys|notices …`: a command of an operator in an environment.

With one of the options, s.yaml says which links.toml and which buckets that are, as for `make doctor`. Otherwise the
shell's variables do, and a change is refused where these are missing and env.yaml has more than one environment.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from handler.commands.command_line import INVALID
from local.fc import s_yaml
from signer.common.printing import Parser, show

from .command import run
from .errors import DeployError
from .model import Project, load_yaml, read_environments
from .s_preview import render

DEFAULT = Path("s.yaml")
READING = {"show", "backup", "list", "-h", "--help"}


def variables(config: Path, environment: str | None) -> dict[str, str]:
    """What decides which documents a command is about, as a function of the environment has it.

    Raises `DeployError`.
    """
    project = Project.load(config, render, environment, base=environment is None)
    resources = project.environments[0].resources
    # The functions of an environment read one configuration.
    resource = resources[0]
    configured = resource.configured
    if configured is None:
        raise DeployError(resource.config_fault or resource.faults[0])
    own = configured.function.environment
    return {
        **{name: own[name] for name in configured.variables if name in own},
        "LINK_REGION": configured.config.region,
        "LINK_CONFIG": str((project.root / configured.file).resolve()),
    }


def undecided(config: Path, environ: Mapping[str, str]) -> list[str]:
    """The environments, if there are several and the shell names none by a variable. Raises `DeployError`."""
    if not config.is_file():
        return []
    source = load_yaml(config)
    names = list(read_environments(config, source)) if isinstance(source, dict) else []
    links = s_yaml.project_folder(config) / "links.toml"
    used = re.findall(r"\$\{([^}]*)\}", links.read_text("utf-8")) if links.is_file() else []
    is_chosen = any(environ.get(name) for name in ("LINK_CONFIG", *used))
    return [] if is_chosen or len(names) < 2 else names


def _only_reads(given: Sequence[str]) -> bool:
    """Whether a command changes nothing, or names its document itself."""
    return not READING.isdisjoint(given) or any(each.startswith("--keys") for each in given)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m deploy.operate",
        description="Run a command on the documents of an environment.",
    )
    parser.add_argument("--config", type=Path, help="the s.yaml that was deployed")
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument("command", choices=("keys", "notices"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments)
    given = parsed.arguments
    if parsed.env or parsed.config:
        os.environ.update(variables(parsed.config or DEFAULT, parsed.env))
    elif not _only_reads(given) and (names := undecided(DEFAULT, os.environ)):
        show(
            f"make {parsed.command}: env.yaml has the environments {' and '.join(names)}. "
            f"Name the one to change: ENV={names[0]}",
            file=sys.stderr,
        )
        return INVALID
    status: int = import_module(f"handler.commands.{parsed.command}").main(given)
    return status


if __name__ == "__main__":
    sys.exit(run("make keys or notices", main))
