"""The functions of the repository's own files, which a test may change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.checks import links_toml
from deploy.checks.links_toml import Reader
from local.fc import s_yaml
from tests.deploy.project_copy import ROOT

Props = dict[str, Any]


def functions(config: str = "s.yaml") -> dict[str, Props]:
    """Properties by resource, in dev."""
    return {name: resource["props"] for name, resource in s_yaml.load(ROOT / config, {})["resources"].items()}


def web() -> Props:
    return functions()["links_http"]


def events() -> Props:
    return functions()["links_events"]


def custom(**changes: object) -> Props:
    """The function of the custom runtime, with changes to `customRuntimeConfig`."""
    props = functions("deploy/custom-runtime/s.yaml")["links_traffic"]
    props["customRuntimeConfig"] = {**props["customRuntimeConfig"], **changes}
    return props


def reader(props: Props, folder: Path | None = None, more: str = "") -> Reader:
    """What a function reads in the repository's links.toml, or in a copy of it with more tables."""
    if folder is None:
        return links_toml.read(ROOT, props)
    content = (ROOT / "links.toml").read_text(encoding="utf-8")
    (folder / "links.toml").write_text(content + more, encoding="utf-8")
    return links_toml.read(folder, props)
