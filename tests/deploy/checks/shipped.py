"""The functions of the repository's own files, which a test may change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.model import ConfiguredFunction, configure
from local.fc import functions as local_functions
from local.fc import s_yaml
from tests.deploy.project_copy import ROOT

Props = dict[str, Any]


def functions(config: str = "s.yaml") -> dict[str, Props]:
    """Properties by resource, in dev."""
    return {
        name: resource["props"]
        for name, resource in s_yaml.load(ROOT / config, {})["resources"].items()
    }


def web() -> Props:
    return functions()["links_http"]


def events() -> Props:
    return functions()["links_events"]


def custom(**changes: object) -> Props:
    """The function of the custom runtime, with changes to `customRuntimeConfig`; None removes a key."""
    props = functions("deploy/custom-runtime/s.yaml")["links_traffic"]
    changed = {**props["customRuntimeConfig"], **changes}
    props["customRuntimeConfig"] = {
        name: value for name, value in changed.items() if value is not None
    }
    return props


def read(props: Props, resource: str = "links") -> local_functions.Function:
    """What the checks of one function get."""
    return local_functions.function_of(resource, props, ROOT)


def configured(
    props: Props, folder: Path = ROOT, environment: str | None = None, resource: str = "links"
) -> ConfiguredFunction:
    """A function with the links.toml of a folder."""
    return configure(folder, local_functions.function_of(resource, props, folder), environment)


def with_more(props: Props, folder: Path, more: str, resource: str = "links") -> ConfiguredFunction:
    """A function with the repository's links.toml, to which tables are added in a folder."""
    content = (ROOT / "links.toml").read_text(encoding="utf-8")
    (folder / "links.toml").write_text(content + more, encoding="utf-8")
    return configured(props, folder, resource=resource)
