"""What an earlier version left behind: files in their old places, functions and roles that no s.yaml names.

OSS's credentials show none of this, so the functions and roles come from the aliyun CLI.
Source: the Function Compute page "ListFunctions" (2023-03-30) and the RAM page "ListRoles".
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.errors import LocalError
from local.fc import s_yaml

from ..checks.functions import HANDLERS, functions_in, mapping
from ..environments import read_environments
from ..errors import DeployError
from .deployment import Deployment
from .findings import Finding, fault, ok, unknown, warning

TIMEOUT = 30  # seconds
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
    if shutil.which("aliyun") is None:
        yield unknown(
            "layout",
            "Functions and roles of an earlier layout were not looked for, because OSS's credentials do not show them: "
            "install the aliyun CLI, or compare the console with s.yaml.",
        )
        return
    try:
        known = names(deployment, config)
        findings = [
            *_functions(list(_deployed_functions(str(deployment.links.region))), known),
            *_roles(list(_deployed_roles()), known),
        ]
    except (DeployError, LocalError) as error:
        yield unknown("layout", f"Functions and roles of an earlier layout were not looked for: {error}")
        return
    yield from findings or [ok("layout", "s.yaml names every function and role of this project that is deployed.")]


def names(deployment: Deployment, config: Path) -> Names:
    """Raises `DeployError` or `LocalError` for a file that cannot be read: what it names is then not known."""
    resources = [deployment.web, *([deployment.events[1]] if deployment.events else [])]
    for path in dict.fromkeys([config.resolve(), *(deployment.root / name for name in CONFIGS)]):
        if not path.is_file():
            continue
        functions = functions_in(s_yaml.load(path, os.environ))
        overlays = read_environments(path).values()
        for name, function in functions.items():
            resources.append(function["props"])
            for overlay in overlays:
                changes = mapping(mapping(mapping(overlay.get("overlays")).get("resources")).get(name))
                resources.append({**function["props"], **changes})
    triggers = [trigger for props in resources for trigger in props.get("triggers") or []]
    roles = {_role_name(props.get("role")) for props in resources}
    roles |= {_role_name(trigger.get("invocationRole")) for trigger in triggers}
    return Names(
        {str(props.get("functionName")): _role_name(props.get("role")) for props in resources}, frozenset(roles)
    )


def arguments(props: Mapping[str, Any]) -> list[str]:
    """The start command of a custom runtime, empty for a built-in one."""
    custom = mapping(props.get("customRuntimeConfig"))
    return [str(part) for name in ("command", "args") for part in custom.get(name) or []]


def _functions(deployed: list[Mapping[str, Any]], known: Names) -> Iterator[Finding]:
    for function in deployed:
        name, role = str(function.get("functionName")), _role_name(function.get("role"))
        if not _is_ours(function):
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


def _roles(deployed: list[str], known: Names) -> Iterator[Finding]:
    for name in deployed:
        if name.startswith(ROLE_PREFIX) and name not in known.roles:
            yield warning(
                "layout",
                f"Role {name} is not named in any s.yaml: if it is of an earlier layout and nothing uses it, delete it "
                "and the policy of the same name.",
            )


def _is_ours(function: Mapping[str, Any]) -> bool:
    initializer = mapping(mapping(function.get("instanceLifecycleConfig")).get("initializer")).get("handler")
    return bool({function.get("handler"), initializer} & set(HANDLERS)) or SERVER in arguments(function)


def _role_name(role: object) -> str:
    """The name in an ARN, or the name itself."""
    return str(role or "").rpartition("role/")[2]


def _deployed_functions(region: str) -> Iterator[Mapping[str, Any]]:
    token = ""
    for _ in range(MAX_PAGES):
        page = _aliyun(
            *("fc", "GET", FUNCTIONS, "--region", region, "--limit=100"), *([f"--nextToken={token}"] if token else [])
        )
        yield from page.get("functions") or []
        token = str(page.get("nextToken") or "")
        if not token:
            return


def _deployed_roles() -> Iterator[str]:
    marker = ""
    for _ in range(MAX_PAGES):
        page = _aliyun("ram", "ListRoles", "--MaxItems", "100", *(["--Marker", marker] if marker else []))
        yield from (str(role.get("RoleName")) for role in mapping(page.get("Roles")).get("Role") or [])
        marker = str(page.get("Marker") or "") if page.get("IsTruncated") else ""
        if not marker:
            return


def _aliyun(*command: str) -> Mapping[str, Any]:
    """Raises `DeployError`, which names the command."""
    try:
        done = subprocess.run(
            ["aliyun", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False
        )
        document = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        document = None
    if not isinstance(document, dict):
        raise DeployError(
            f"aliyun {' '.join(command[:3])} failed: allow fc:ListFunctions and ram:ListRoles, or compare the console "
            "with s.yaml."
        )
    return document
