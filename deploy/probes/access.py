"""Whether `s` finds the key with which it deploys.

Serverless Devs 3.1.10 takes the key from a variable whose name is exactly the alias and ends with `SUFFIX`, else from
access.yaml in its home, where `s config add` writes it. It takes the three variables of `MEMBERS` instead of any alias.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from .aliyun import mapping
from .findings import Finding, fault, ok, unknown, warning

SUFFIX = "_serverless_devs_key"
MEMBERS = ("AccountID", "AccessKeyID", "AccessKeySecret")


def key(alias: object, environ: Mapping[str, str]) -> Finding:
    """`alias` is access in s.yaml, or what `s deploy -a` gets."""
    name = str(alias or "")
    if name in ("", "undefined"):
        return fault("access", f"access must be the name of a key (got {name or 'nothing'}): set it in s.yaml.")
    if all(environ.get(member) for member in MEMBERS):
        used = f"{', '.join(MEMBERS)} of the environment instead of {name}"
        return warning("access", f"s uses {used}: unset them if this is not what you want.")
    if name.endswith(SUFFIX) and name in environ:
        return _complete(name, _read_json(environ[name]), f"it must hold the JSON of {', '.join(MEMBERS)}")
    # s looks for its home in the same way.
    file = Path(environ.get("serverless_devs_config_home") or environ.get("HOME") or Path.home(), ".s", "access.yaml")
    try:
        keys = mapping(yaml.safe_load(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        keys = {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return unknown("access", f"{file} cannot be read: make it readable, or run s config add -a {name}.")
    if name in keys:
        return _complete(name, keys[name], f"run s config add -a {name} -f")
    variable = name if name.endswith(SUFFIX) else name + SUFFIX
    in_ci = f"in CI set the variable {variable} and pass its name, s deploy -a {variable}"
    return fault("access", f"Key {name} not found, so s cannot deploy: run s config add -a {name}, or {in_ci}.")


def _complete(name: str, members: object, advice: str) -> Finding:
    missing = [member for member in MEMBERS if not mapping(members).get(member)]
    if missing:
        return fault("access", f"Key {name} is incomplete ({', '.join(missing)}): {advice}.")
    return ok("access", f"s deploys with the key {name}.")


def _read_json(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return None
