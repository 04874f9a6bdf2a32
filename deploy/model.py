"""A project as its files describe it: the functions of s.yaml in each environment, and links.toml as each reads it.

Nothing here needs Serverless Devs: whoever opens a project says how s.yaml is rendered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from handler.core.config import Config, InvalidConfig, Location, load
from local import rights
from local.fc import functions, s_yaml
from local.fc.functions import Function, InvalidFunction, Trigger
from local.fc.s_yaml import TemplateError

from .errors import DeployError
from .runtimes import APP

# Serverless Devs reads this file if s.yaml does not name one.
ENVIRONMENTS = "env.yaml"
# For how long logs are kept if vars.log_days does not say it; Simple Log Service keeps those of 3650 days for ever.
LOG_DAYS = 190
MAX_LOG_DAYS = 3650

Render = Callable[[Path, "str | None"], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ConfiguredFunction:
    """A function of this project in an environment, and the content of `file`, its links.toml, as it reads it there.

    `environment_name` is None for s.yaml alone. `variables` are those that the file uses. Logs are kept `log_days`.
    """

    function: Function
    environment_name: str | None
    file: str
    config: Config
    variables: frozenset[str]
    log_days: int = LOG_DAYS

    @property
    def statements(self) -> list[dict[str, Any]]:
        """What its role must allow; a custom runtime may be both web and event function. Raises `InvalidConfig`."""
        return rights.role_statements(
            self.config,
            web=self.function.http is not None,
            events=self.function.takes_events,
        )

    @property
    def signer_arns(self) -> list[str]:
        """The roles of `[assume_role]` and of mounts, each once."""
        first = self.config.assume_role
        roles = [first.role, *(mount.role_arn for mount in self.config.mounts)] if first else []
        return list(dict.fromkeys(filter(None, roles)))

    @property
    def used_buckets(self) -> list[tuple[str, str]]:
        """The buckets of links.toml and of oss triggers, each with its region."""
        triggers = self.function.triggers
        watched_buckets = [trigger.bucket for trigger in triggers if trigger.kind == "oss"]
        region = self.function.region
        return [*self.bucket_regions.items(), *((bucket, region) for bucket in watched_buckets)]

    @property
    def bucket_regions(self) -> dict[str, str]:
        """The buckets of links.toml, each with its region: that of the function, or the one that its mount names."""
        own = self.function.region
        regions = {
            mount.target.bucket: own if mount.region == self.config.region else mount.region
            for mount in self.config.mounts
        }
        reserved = (location.bucket for location in self.config.mounts.reserved)
        return {**dict.fromkeys(reserved, own), **regions}


class Resource(NamedTuple):
    """A function of this project in s.yaml as it is rendered, and what was read of it.

    `faults` are sentences about its props, and then `function` is None; `config_fault` is one about links.toml as the
    function reads it, and then `configured` is None.
    """

    name: str
    component: str
    props: Mapping[str, Any]
    faults: Sequence[str] = ()
    function: Function | None = None
    config_fault: str = ""
    configured: ConfiguredFunction | None = None


class Environment(NamedTuple):
    """One environment: the names of all resources in s.yaml, and those that are functions of this project."""

    name: str | None
    names: tuple[str, ...]
    resources: tuple[Resource, ...]


@dataclass(frozen=True)
class Project:
    """The folder of links.toml, one `s.yaml` in it, what env.yaml says of environments, and what was read of each."""

    root: Path
    config: Path
    source: Mapping[str, Any]
    known: Mapping[str, Mapping[str, Any]]
    environments: tuple[Environment, ...]

    @classmethod
    def load(
        cls, config: Path, render: Render, environment: str | None = None, *, base: bool = False
    ) -> Project:
        """With one environment, or s.yaml alone (`base`), or both that and all environments.

        Raises `DeployError` if a file cannot be read or rendered. Serverless Devs ignores an environment that does not
        exist, so that is refused.
        """
        source = load_yaml(config)
        if not isinstance(source, dict):
            raise DeployError(f"{config.name} must be a mapping: begin with edition: 3.0.0.")
        known = read_environments(config, source)
        if environment is not None and environment not in known:
            raise DeployError(
                f"Environment {environment!r} not found in env.yaml, and s would deploy without it: "
                f"choose one of {', '.join(known)}."
                if known
                else f"Environment {environment!r} not found: this project has no environments, so leave it out."
            )
        names = [environment] if environment or base else [None, *known]
        root = s_yaml.project_folder(config)
        environments = tuple(
            _environment(config, root, name, render(config, name)) for name in names
        )
        return cls(root=root, config=config, source=source, known=known, environments=environments)


def configure(
    root: Path, function: Function, environment: str | None, log_days: int = LOG_DAYS
) -> ConfiguredFunction:
    """With links.toml in `root`, as the function reads it. Raises `InvalidConfig`."""
    file = function.environment.get("LINK_CONFIG") or "links.toml"
    config = load.load(str(root / file), function.environment)
    content = (root / file).read_text(encoding="utf-8")
    return ConfiguredFunction(
        function=function,
        environment_name=environment,
        file=file,
        config=config,
        variables=frozenset(re.findall(r"\$\{([^}]*)\}", content)),
        log_days=log_days,
    )


def watched(trigger: Trigger) -> Location:
    """The objects whose events an oss trigger takes."""
    return Location(trigger.bucket, trigger.config["filter"]["key"]["prefix"])


def load_yaml(path: Path) -> Any:
    """Raises `DeployError` if the file is missing or is not YAML."""
    try:
        return s_yaml.read_yaml(path)
    except TemplateError as error:
        raise DeployError(str(error)) from None


def read_environments(config: Path, source: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The environments by name of a s.yaml with this content, empty if there is no file. Raises `DeployError`."""
    named = source.get("env")
    if named is not None and not isinstance(named, str):
        raise DeployError(
            f"{config.name}: env must be the path of a file, such as ./env.yaml (got {named!r})."
        )
    path = config.parent / (named or ENVIRONMENTS)
    if not path.is_file():
        if named:
            raise DeployError(f"{config.name}: env names {named}, which does not exist: create it.")
        return {}
    document = load_yaml(path)
    environments = document.get("environments") if isinstance(document, dict) else None
    if not isinstance(environments, list) or not all(
        isinstance(environment, dict) and environment.get("name") for environment in environments
    ):
        raise DeployError(
            f"{path.name}: environments must be a list, and each environment must have a name."
        )
    known: dict[str, Mapping[str, Any]] = {}
    for environment in environments:
        name = str(environment["name"])
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise DeployError(
                f"{path.name}: an environment is named {name!r}: use only letters, digits, - and _."
            )
        if known.setdefault(name, environment) is not environment:
            raise DeployError(
                f"{path.name}: more than one environment is named {name}: each needs its own name."
            )
    return known


def _environment(
    config: Path, root: Path, name: str | None, document: Mapping[str, Any]
) -> Environment:
    days = (document.get("vars") or {}).get("log_days", LOG_DAYS)
    try:
        entries = functions.functions_in(document)
    except TemplateError as error:
        raise DeployError(f"{config.name}: {error}") from None
    own = {
        resource: entry
        for resource, entry in entries.items()
        if isinstance(entry.get("props"), dict) and _is_own(root, config, entry["props"])
    }
    if not own:
        raise DeployError(
            f"{config.name} has no function with code below build/, such as code: ./build/code: add a resource with "
            "component: fc3@0.1.22 and props."
        )
    if not re.fullmatch("[0-9]{1,4}", str(days)) or not 1 <= int(days) <= MAX_LOG_DAYS:
        raise DeployError(
            f"{config.name}: vars.log_days must be 1 to {MAX_LOG_DAYS} (got {days!r}): set it to 190."
        )
    folder = config.resolve().parent
    resources = []
    for resource, entry in own.items():
        read = Resource(resource, str(entry["component"]), entry["props"])
        try:
            function = functions.function_of(resource, read.props, folder)
            read = read._replace(function=function)
            read = read._replace(configured=configure(root, function, name, int(days)))
        except InvalidFunction as error:
            read = read._replace(faults=error.faults)
        except InvalidConfig as error:
            read = read._replace(config_fault=error.sentence)
        resources.append(read)
    return Environment(name, tuple(document["resources"]), tuple(resources))


def _is_own(root: Path, config: Path, props: Mapping[str, Any]) -> bool:
    """Whether it is a function of this project: others may be deployed by the same file, and are not checked.

    It is ours if its code is below build/ or if it starts our handler, so that a misspelt folder is a fault.
    """
    custom = props.get("customRuntimeConfig")
    starts = str(props.get("handler")).startswith("handler.on_") or (
        isinstance(custom, dict) and APP in str(custom)
    )
    return starts or is_built(root, config, props.get("code"))


def is_built(root: Path, config: Path, code: object) -> bool:
    """Whether code is in a folder that the build makes."""
    return (
        isinstance(code, str)
        and root / "build" in (config.resolve().parent / code).resolve().parents
    )
