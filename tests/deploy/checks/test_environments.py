"""An environment of env.yaml has a type, and every entry has an effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.checks import document
from deploy.errors import DeployError
from deploy.model import Environment, Resource, load_yaml, read_environments
from tests.deploy.checks import shipped
from tests.deploy.project_copy import ROOT, ProjectCopy

RESOURCES = tuple(Resource(name, "fc3@0.1.22", props) for name, props in shipped.functions().items())
ENVIRONMENT = Environment("prod", ("links_http", "links_events", "site"), RESOURCES)


def faults(**fields: object) -> list[str]:
    """Those of an environment in a s.yaml that also has a resource of another component."""
    return list(document.environment_faults({"name": "prod", "type": "production", **fields}, ENVIRONMENT))


def test_the_shipped_environments_are_fine() -> None:
    for environment in yaml.safe_load((ROOT / "env.yaml").read_text(encoding="utf-8"))["environments"]:
        assert faults(**environment) == []


@pytest.mark.parametrize("kind", [None, "", "prod", "Production", ["production"]])
def test_an_environment_without_a_known_type_is_a_fault(kind: object) -> None:
    assert faults(type="staging") == []
    assert faults(type=kind) == [
        f"type must be testing, staging or production (got {kind!r}): only testing may be like s.yaml alone."
    ]


def test_an_overlay_of_another_resource_has_an_effect() -> None:
    assert faults(overlays={"resources": {"site": {}}, "components": {"fc3": {}}}) == []
    assert faults(overlays=None) == faults(overlays={"resources": None}) == []


def test_each_overlay_without_effect_is_named_whatever_its_key() -> None:
    choose = "does not exist in s.yaml: choose one of links_http, links_events, site."
    assert faults(overlays={"vars": {"bucket": "mine"}, 5: {}, "resources": {"other": {}, 7: {}}}) == [
        "overlays.5 has no effect: use overlays.resources.",
        "overlays.vars has no effect: use overlays.resources.",
        f"overlays.resources.7 {choose}",
        f"overlays.resources.other {choose}",
    ]


def test_overlays_that_are_not_mappings_are_named() -> None:
    assert faults(overlays=["a"]) == ["overlays must be a mapping (got ['a']): it has no effect."]
    assert faults(overlays={"resources": ["a"]}) == [
        "overlays.resources must be a mapping (got ['a']): it has no effect."
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("s.yaml", "env: ./env.yaml", "env: 5", "s.yaml: env must be the path of a file, such as ./env.yaml (got 5)."),
        (
            "s.yaml",
            "env: ./env.yaml",
            "env: [a]",
            "s.yaml: env must be the path of a file, such as ./env.yaml (got ['a']).",
        ),
        (
            "env.yaml",
            "name: prod",
            "name: dev",
            "env.yaml: more than one environment is named dev: each needs its own name.",
        ),
    ],
)
def test_environments_that_s_would_confuse_are_refused(
    file: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    config = ProjectCopy.of(tmp_path).edit(old, new, file)
    with pytest.raises(DeployError) as error:
        read_environments(config, load_yaml(config))
    assert str(error.value) == sentence
