"""What an earlier version left behind: files in their old places, functions and roles that no s.yaml names.

OSS's credentials show none of this, so the functions and roles come from the aliyun CLI.
Source: the Function Compute page "ListFunctions" (2023-03-30) and the RAM page "ListRoles".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..checks.functions import HANDLERS, mapping
from ..checks.names import role_name
from ..environments import render_environments
from ..errors import DeployError
from . import aliyun
from .deployment import Deployment
from .findings import Finding, fault, ok, unknown, warning

MAX_PAGES = 100  # of a list
FUNCTIONS = "/2023-03-30/functions"
CONFIGS = ("s.yaml", "deploy/custom-runtime/s.yaml")
MOVED_FILES = {
    "s.custom.yaml": "deploy/custom-runtime/s.yaml",
    "env.custom.yaml": "deploy/custom-runtime/env.yaml",
    "requirements-custom.txt": "deploy/requirements/custom.txt",
    "requirements-3.10.lock": "deploy/requirements/3.10.lock",
    "requirements-3.12.lock": "deploy/requirements/3.12.lock",
    "requirements-custom-3.10.lock": "deploy/requirements/custom-3.10.lock",
    "requirements-custom-3.12.lock": "deploy/requirements/custom-3.12.lock",
}
# The names in every s.yaml that this project shipped begin so.
ROLE_PREFIX = "links-"
SERVER = "handler.wsgi:app"
# What gunicorn reads its configuration from, before and now.
MOVED_MODULE, MODULE = "python:handler.server", "python:handler.gunicorn_conf"


class Names(NamedTuple):
    """What the project's files name, in all environments: each function with its role, and every role."""

    functions: Mapping[str, str]
    roles: frozenset[str]


def files(deployment: Deployment) -> Iterator[Finding]:
    """Files in places where nothing reads them any more, and a start command that names a module which moved."""
    for old, new in MOVED_FILES.items():
        if (deployment.root / old).exists():
            yield warning("layout", f"{old} is not read any more: move your changes to {new} and delete it.")
    if MOVED_MODULE in arguments(deployment.web):
        yield fault("layout", f"customRuntimeConfig.args names {MOVED_MODULE}, which moved: write {MODULE}.")


def functions_and_roles(deployment: Deployment, config: Path) -> Iterator[Finding]:
    """The deployed functions and roles that were this project's and that no file names any more."""
    try:
        known = names(deployment, config)
        deployed = list(_deployed_functions(str(deployment.links.region)))
        others = _other_applications(deployed, known)
        findings = [*_functions(deployed, known, others), *_roles(list(_deployed_roles()), known, others)]
    except DeployError as error:
        yield unknown("layout", f"Functions and roles of an earlier layout were not looked for: {error}")
        return
    yield from findings or [ok("layout", "s.yaml names every function and role of this project that is deployed.")]


def names(deployment: Deployment, config: Path) -> Names:
    """Raises `DeployError` for a file that cannot be rendered: what it names is then not known."""
    functions = list(deployment.functions.values())
    for path in dict.fromkeys([config.resolve(), *((deployment.root / name).resolve() for name in CONFIGS)]):
        if path.is_file():
            functions += [props for rendered in render_environments(path) for props in rendered.functions.values()]
    # Those of other environments may be invalid.
    triggers = [props["triggers"] for props in functions if isinstance(props.get("triggers"), list)]
    callers = [mapping(trigger).get("invocationRole") for trigger in chain.from_iterable(triggers)]
    roles = {str(props.get("functionName")): role_name(props.get("role")) for props in functions}
    return Names(roles, frozenset([*roles.values(), *map(role_name, callers)]))


def arguments(props: Mapping[str, Any]) -> list[str]:
    """The start command of a custom runtime, empty for a built-in one."""
    custom = mapping(props.get("customRuntimeConfig"))
    return [str(part) for name in ("command", "args") for part in custom.get(name) or []]


def _other_applications(deployed: list[Mapping[str, Any]], known: Names) -> frozenset[str]:
    """Functions whose role is called like them, as in this layout: they belong to another project in the account."""
    functions = {str(function.get("functionName")): role_name(function.get("role")) for function in deployed}
    return frozenset(name for name, role in functions.items() if role == f"{name}-role" and name not in known.functions)


def _functions(deployed: list[Mapping[str, Any]], known: Names, others: frozenset[str]) -> Iterator[Finding]:
    for function in deployed:
        name, role = str(function.get("functionName")), role_name(function.get("role"))
        if not _is_ours(function) or name in others:
            continue
        if name not in known.functions:
            yield warning(
                "layout",
                f"Function {name} (role {role or 'none'}) has the code of this project, but no s.yaml here names it: "
                "if it is of an earlier layout and nothing uses it, delete it.",
            )
        elif role != known.functions[name]:
            yield warning(
                "layout", f"Function {name} has the role {role or 'none'}, not {known.functions[name]}: run s deploy."
            )
        if MOVED_MODULE in arguments(function):
            yield warning(
                "layout", f"Function {name} is started with {MOVED_MODULE}, which moved: write {MODULE} in its s.yaml."
            )


def _roles(deployed: list[str], known: Names, others: frozenset[str]) -> Iterator[Finding]:
    named = known.roles.union(f"{name}-{kind}" for name in others for kind in ("role", "caller"))
    for name in deployed:
        if name.startswith(ROLE_PREFIX) and name not in named:
            yield warning(
                "layout",
                f"Role {name} is not named in any s.yaml: if it is of an earlier layout and nothing uses it, delete it "
                "and the policy of the same name.",
            )


def _is_ours(function: Mapping[str, Any]) -> bool:
    initializer = mapping(mapping(function.get("instanceLifecycleConfig")).get("initializer")).get("handler")
    return bool({function.get("handler"), initializer} & set(HANDLERS)) or SERVER in arguments(function)


def _deployed_functions(region: str) -> Iterator[Mapping[str, Any]]:
    token = ""
    for _ in range(MAX_PAGES):
        command = ["fc", "GET", FUNCTIONS, "--region", region, "--limit=100"]
        page = aliyun.call(*command, *([f"--nextToken={token}"] if token else []), permission="fc:ListFunctions")
        yield from page.get("functions") or []
        token = str(page.get("nextToken") or "")
        if not token:
            return


def _deployed_roles() -> Iterator[str]:
    marker = ""
    for _ in range(MAX_PAGES):
        command = ["ram", "ListRoles", "--MaxItems", "100", *(["--Marker", marker] if marker else [])]
        page = aliyun.call(*command, permission="ram:ListRoles")
        yield from (str(role.get("RoleName")) for role in mapping(page.get("Roles")).get("Role") or [])
        marker = str(page.get("Marker") or "") if page.get("IsTruncated") else ""
        if not marker:
            return
