"""s.yaml outside its functions: its key, and what runs before a deployment; and the environments in env.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deploy.checks import document
from deploy.errors import DeployError
from deploy.model import Environment, Resource, load_yaml, read_environments
from tests.deploy.checks import shipped
from tests.deploy.project_copy import ROOT, ProjectCopy

NESTED = "deploy/custom-runtime/s.yaml"
CHECK_FIRST = (
    "actions.pre-deploy must run make check{0}, then make build{0}, each with path {1}/ and nothing else, as in the "
    "file that the project comes with: otherwise s deploys what was not checked or an earlier build."
)


def faults(path: str = "s.yaml", **changes: object) -> list[str]:
    content = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return list(document.faults({**content, **changes}, path))


def hooks(*commands: str, path: str = "./", **more: object) -> dict[str, object]:
    return {"pre-deploy": [{"run": command, "path": path, **more} for command in commands]}


@pytest.mark.parametrize(
    "actions",
    [
        None,
        {"pre-deploy": 5},
        hooks("make build", "make check"),
        hooks("make check || true", "make build"),
        hooks("make check", "make build", path="../other"),
        hooks("make check", "make build", allow_failure=True),
        {"pre-deploy": [{"run": "make check"}, {"run": "make build"}]},
    ],
)
def test_other_actions_are_a_fault(actions: object) -> None:
    assert faults(actions=actions) == [CHECK_FIRST.format("", ".")]


def test_a_file_in_a_folder_is_checked_and_built_itself() -> None:
    actions = hooks("make check", f"make build CONFIG={NESTED}", path="../..")
    assert faults(NESTED, actions=actions) == [CHECK_FIRST.format(f" CONFIG={NESTED}", "../..")]


@pytest.mark.parametrize("access", ["", None, 7, "${env('KEY', 'x')}"])
def test_the_key_must_have_a_plain_name(access: object) -> None:
    assert faults(access=access) == [
        f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    ]


RESOURCES = tuple(
    Resource(name, "fc3@0.1.22", props) for name, props in shipped.functions().items()
)
ENVIRONMENT = Environment("prod", ("links_http", "links_events", "site"), RESOURCES)


def environment_faults(**fields: object) -> list[str]:
    """Those of an environment in a s.yaml that also has a resource of another component."""
    return list(
        document.environment_faults({"name": "prod", "type": "production", **fields}, ENVIRONMENT)
    )


@pytest.mark.parametrize("kind", [None, "", "prod", "Production", ["production"]])
def test_an_environment_without_a_known_type_is_a_fault(kind: object) -> None:
    assert environment_faults(type="staging") == []
    assert environment_faults(type=kind) == [
        f"type must be testing, staging or production (got {kind!r}): only testing may be like s.yaml alone."
    ]


def test_each_overlay_without_effect_is_named_whatever_its_key() -> None:
    choose = "does not exist in s.yaml: choose one of links_http, links_events, site."
    assert environment_faults(
        overlays={"vars": {"bucket": "mine"}, 5: {}, "resources": {"other": {}, 7: {}}}
    ) == [
        "overlays.5 has no effect: use overlays.resources.",
        "overlays.vars has no effect: use overlays.resources.",
        f"overlays.resources.7 {choose}",
        f"overlays.resources.other {choose}",
    ]


def test_overlays_that_are_not_mappings_are_named() -> None:
    assert environment_faults(overlays=["a"]) == [
        "overlays must be a mapping (got ['a']): it has no effect."
    ]
    assert environment_faults(overlays={"resources": ["a"]}) == [
        "overlays.resources must be a mapping (got ['a']): it has no effect."
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (
            "s.yaml",
            "./env.yaml",
            "5",
            r"env must be the path of a file, such as \./env\.yaml \(got 5\)\.$",
        ),
        (
            "s.yaml",
            "./env.yaml",
            "[a]",
            r"env must be the path of a file, such as \./env\.yaml \(got \['a'\]\)\.$",
        ),
        (
            "env.yaml",
            "prod",
            "dev",
            r"more than one environment is named dev: each needs its own name\.$",
        ),
        *(
            (
                "env.yaml",
                "prod",
                name,
                "an environment is named '.*': use only letters, digits, - and _",
            )
            for name in ('"prod\\necho PWNED #"', "pr.od", '"prod "', "生产", "[1]")
        ),
    ],
)
def test_environments_that_s_confuses_are_refused(
    file: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    key = "env" if file == "s.yaml" else "name"
    config = ProjectCopy.of(tmp_path).edit(f"{key}: {old}", f"{key}: {new}", file)
    with pytest.raises(DeployError, match=rf"^{re.escape(file)}: {sentence}"):
        read_environments(config, load_yaml(config))
