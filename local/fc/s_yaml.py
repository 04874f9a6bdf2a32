"""`s.yaml`, rendered as Serverless Devs renders it, as far as local use needs.

Supported are `${vars.x}`, `${env('X')}`, `${env('X', 'default')}`, `${config('AccountID')}`,
`${resources.r.props.x}`, `${this.props.x}` and `${this.name}`. A placeholder that is the entire value keeps the type
of what it refers to; inside a longer string it becomes part of the string. Any other placeholder is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from signer.emulator.ram import ACCOUNT

from ..errors import LocalError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that in C is seven times as fast
_PLACEHOLDER = re.compile(r"""\$\{((?:[^{}'"]|'[^']*'|"[^"]*")*)\}""")
_CALL = re.compile(
    r"""\s*(?P<name>\w+)\(\s*(?P<q1>['"])(?P<first>.*?)(?P=q1)\s*(?:,\s*(?P<q2>['"])(?P<second>.*?)(?P=q2)\s*)?\)\s*"""
)
_PATH = re.compile(r"\s*(?P<root>vars|resources|this)(?P<rest>(?:\.[\w-]+)+)\s*")


class TemplateError(LocalError):
    """`s.yaml` cannot be read or rendered."""


class _Scope(NamedTuple):
    """Where a placeholder stands: its document, the resource around it, and the expressions being resolved."""

    document: Mapping[str, Any]
    environ: Mapping[str, str]
    resource: str | None = None
    trail: tuple[str, ...] = ()


def load(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The rendered document: `{"vars": {…}, "resources": {name: {"component", "props", …}}}`.

    Raises `TemplateError`, which names the file.
    """
    document = read_yaml(path)
    try:
        return render(document, environ)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None


def read_yaml(path: Path) -> object:
    """The content of a file. Raises `TemplateError`, which names it."""
    try:
        content = path.read_text(encoding="utf-8")
        with suppress(yaml.YAMLError):
            return yaml.load(content, _LOADER)  # noqa: S506
        return yaml.safe_load(content)  # says better what is wrong, and in which line
    except FileNotFoundError:
        raise TemplateError(f"{path} does not exist. Name the file with --config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise TemplateError(f"{path} is not valid YAML{where}: {problem}.") from None


def project_folder(path: Path) -> Path:
    """The folder whose code and links.toml a `s.yaml` deploys: the nearest, from its own up, that holds links.toml."""
    folder = path.resolve().parent
    return next(
        (parent for parent in (folder, *folder.parents) if (parent / "links.toml").is_file()),
        folder,
    )


def render(document: object, environ: Mapping[str, str]) -> dict[str, Any]:
    """`document` with every placeholder of `vars` and `resources` replaced. Raises `TemplateError`."""
    if not isinstance(document, dict):
        raise TemplateError(
            "the file must hold a mapping that begins with `edition: 3.0.0` and `resources:`."
        )
    if "extend" in document:
        raise TemplateError("`extend` is not supported locally. Name a file that holds everything.")
    resources = document.get("resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("`resources` is required, with at least one function.")
    variables = document.get("vars") or {}
    if not isinstance(variables, dict):
        raise TemplateError("`vars` must be a mapping, with one `name: value` on each line.")
    return {
        "vars": _render_value(variables, _Scope(document, environ)),
        "resources": {
            str(name): _render_value(resource, _Scope(document, environ, str(name)))
            for name, resource in resources.items()
        },
    }


def _render_value(value: object, scope: _Scope) -> Any:
    if isinstance(value, str):
        return _render_string(value, scope)
    if isinstance(value, dict):
        return {name: _render_value(item, scope) for name, item in value.items()}
    if isinstance(value, list):
        return [_render_value(item, scope) for item in value]
    return value


def _render_string(string: str, scope: _Scope) -> Any:
    if placeholder := _PLACEHOLDER.fullmatch(string):
        return _resolve(placeholder[1], scope)
    if "${" in _PLACEHOLDER.sub("", string):
        raise TemplateError(f"{string!r} has an unclosed placeholder. Close it with a brace.")
    return _PLACEHOLDER.sub(lambda match: _to_string(_resolve(match[1], scope), match[0]), string)


def _to_string(value: object, placeholder: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    if value is None:
        raise TemplateError(f"{placeholder} is empty: give it a value.")
    raise TemplateError(f"{placeholder} is a list or a mapping and must be the entire value.")


def _resolve(expression: str, scope: _Scope) -> Any:
    call = _CALL.fullmatch(expression)
    if call and call["name"] == "env":
        name = call["first"]
        value = scope.environ.get(call["first"], call["second"])
        if value is None:
            advice = f"Set it, or write ${{env('{name}', 'default')}}."
            raise TemplateError(f"environment variable {name} is required. {advice}")
        return value
    if call and call["name"] == "config" and call["second"] is None:
        if call["first"] == "AccountID":
            return ACCOUNT
        raise TemplateError(
            f"${{{expression}}} is not supported locally; only config('AccountID') is."
        )
    path = _PATH.fullmatch(expression)
    if not path:
        raise TemplateError(
            f"${{{expression}}} is not supported. Use vars, env('NAME', 'default'), config('AccountID'), "
            "this.props or resources."
        )
    return _look_up(path["root"], path["rest"].split(".")[1:], expression.strip(), scope)


def _look_up(root: str, names: list[str], expression: str, scope: _Scope) -> Any:
    if expression in scope.trail:
        raise TemplateError(
            f"${{{expression}}} refers to itself. Give one of {', '.join(scope.trail)} a value."
        )
    resource = scope.resource
    if root == "this":
        if resource is None:
            raise TemplateError(f"${{{expression}}} is allowed inside a resource only.")
        if names == ["name"]:
            return resource
        names = ["resources", resource, *names]
    elif root == "resources":
        resource = names[0]
        names = ["resources", *names]
    else:
        resource = None
        names = ["vars", *names]
    value: Any = scope.document
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise TemplateError(f"${{{expression}}}: {name!r} not found.")
        value = value[name]
    return _render_value(
        value, _Scope(scope.document, scope.environ, resource, (*scope.trail, expression))
    )
