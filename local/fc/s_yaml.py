"""`s.yaml`, rendered as Serverless Devs renders it, as far as a laptop needs.

Understood are `${vars.x}`, `${env('X')}`, `${env('X', 'default')}`, `${config('AccountID')}`,
`${resources.r.props.x}`, `${this.props.x}` and `${this.name}`. A placeholder that is the whole value keeps the
type of what it names; inside a longer text it becomes text. Anything else is refused rather than left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import LocalError

# No account is known on a laptop; this one stands in the events' documentation.
ACCOUNT_ID = "1000000000000001"

_PLACEHOLDER = re.compile(r"""\$\{((?:[^{}'"]|'[^']*'|"[^"]*")*)\}""")
_CALL = re.compile(
    r"""\s*(?P<name>\w+)\(\s*(?P<q1>['"])(?P<first>.*?)(?P=q1)\s*(?:,\s*(?P<q2>['"])(?P<second>.*?)(?P=q2)\s*)?\)\s*"""
)
_PATH = re.compile(r"\s*(?P<root>vars|resources|this)(?P<rest>(?:\.[\w-]+)+)\s*")


class TemplateError(LocalError):
    """`s.yaml` cannot be read or rendered."""


@dataclass(frozen=True)
class _Scope:
    """Where a placeholder stands: the whole document, the resource around it, and the names being resolved."""

    document: Mapping[str, Any]
    environ: Mapping[str, str]
    resource: str | None = None
    trail: tuple[str, ...] = ()


def load(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The rendered document: `{"vars": {…}, "resources": {name: {"component", "props", …}}}`.

    Raises `TemplateError`, whose text names the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TemplateError(f"{path} does not exist: name the file with --config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise TemplateError(f"{path} is not YAML{where}: {problem}.") from None
    try:
        return render(document, environ)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None


def project_folder(path: Path) -> Path:
    """The folder whose code and links.toml a `s.yaml` deploys: the nearest, from its own up, that holds links.toml."""
    folder = path.resolve().parent
    return next((parent for parent in (folder, *folder.parents) if (parent / "links.toml").is_file()), folder)


def render(document: object, environ: Mapping[str, str]) -> dict[str, Any]:
    """`document` with every placeholder of `vars` and `resources` filled in. Raises `TemplateError`."""
    if not isinstance(document, dict):
        raise TemplateError("it holds no mapping: begin with `edition: 3.0.0` and `resources:`.")
    if "extend" in document:
        raise TemplateError("`extend` is not followed on a laptop: name the file that holds everything.")
    resources = document.get("resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("there are no `resources`: name at least one function there.")
    variables = document.get("vars") or {}
    if not isinstance(variables, dict):
        raise TemplateError("`vars` is no mapping: write `vars:` and one `name: value` a line.")
    return {
        "vars": _filled(variables, _Scope(document, environ)),
        "resources": {
            str(name): _filled(resource, _Scope(document, environ, str(name))) for name, resource in resources.items()
        },
    }


def _filled(value: object, scope: _Scope) -> Any:
    if isinstance(value, str):
        return _text(value, scope)
    if isinstance(value, dict):
        return {name: _filled(item, scope) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, scope) for item in value]
    return value


def _text(text: str, scope: _Scope) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        return _named(whole[1], scope)
    if "${" in _PLACEHOLDER.sub("", text):
        raise TemplateError(f"{text!r} holds a placeholder that does not end: close it with a brace.")
    return _PLACEHOLDER.sub(lambda found: _as_text(_named(found[1], scope), found[0]), text)


def _as_text(value: object, placeholder: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TemplateError(f"{placeholder} names no text: it can only stand alone.")


def _named(expression: str, scope: _Scope) -> Any:
    called = _CALL.fullmatch(expression)
    if called and called["name"] == "env":
        return _variable(called["first"], called["second"], scope)
    if called and called["name"] == "config" and called["second"] is None:
        if called["first"] == "AccountID":
            return ACCOUNT_ID
        raise TemplateError(f"${{{expression}}} is not known on a laptop: only config('AccountID') is.")
    path = _PATH.fullmatch(expression)
    if not path:
        raise TemplateError(
            f"${{{expression}}} is not understood: use vars, env('NAME', 'default'), config('AccountID'), "
            "this.props or resources."
        )
    return _place(path["root"], path["rest"].split(".")[1:], expression.strip(), scope)


def _variable(name: str, default: str | None, scope: _Scope) -> str:
    value = scope.environ.get(name, default)
    if value is None:
        raise TemplateError(f"the environment has no {name}: set it, or write ${{env('{name}', 'a default')}}.")
    return value


def _place(root: str, names: list[str], expression: str, scope: _Scope) -> Any:
    if expression in scope.trail:
        raise TemplateError(f"${{{expression}}} needs itself: give one of {', '.join(scope.trail)} a value.")
    resource = scope.resource
    if root == "this":
        if resource is None:
            raise TemplateError(f"${{{expression}}} has meaning inside a resource only.")
        if names == ["name"]:
            return resource
        names = ["resources", resource, *names]
    elif root == "resources":
        resource, names = names[0], ["resources", *names]
    else:
        resource, names = None, ["vars", *names]
    value: Any = scope.document
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise TemplateError(f"${{{expression}}} names nothing: there is no {name!r}.")
        value = value[name]
    return _filled(value, _Scope(scope.document, scope.environ, resource, (*scope.trail, expression)))
