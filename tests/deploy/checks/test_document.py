"""s.yaml outside its functions: its key, and what runs before a deployment."""

from __future__ import annotations

import pytest
import yaml

from deploy.checks import document
from tests.deploy.project_copy import ROOT

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


def test_the_shipped_files_check_before_they_build() -> None:
    assert faults() == faults(NESTED) == []


@pytest.mark.parametrize(
    "actions",
    [
        *({}, None, {"pre-deploy": 5}, {"pre-deploy": []}, {"pre-deploy": [5, {"path": "./"}]}),
        hooks("make build"),
        hooks("make build", "make check"),
        hooks("make check || true", "make build"),
        hooks("make check ENV=dev", "make build"),
        hooks("make check && make build"),
        hooks("make check", "make build", path="../other"),
        hooks("make check", "make build", allow_failure=True),
        {"pre-deploy": [{"run": "make check"}, {"run": "make build"}]},
    ],
)
def test_other_actions_are_a_fault(actions: object) -> None:
    assert faults(actions=actions) == [CHECK_FIRST.format("", ".")]


@pytest.mark.parametrize(
    "commands",
    [("make check", f"make build CONFIG={NESTED}"), (f"make check CONFIG={NESTED}", "make build")],
)
def test_a_file_in_a_folder_is_checked_and_built_itself(commands: tuple[str, ...]) -> None:
    assert faults(NESTED, actions=hooks(*commands, path="../..")) == [CHECK_FIRST.format(f" CONFIG={NESTED}", "../..")]


@pytest.mark.parametrize("access", ["", None, 7, "${env('KEY', 'x')}"])
def test_the_key_must_have_a_plain_name(access: object) -> None:
    assert faults(access=access) == [
        f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    ]


def test_a_key_that_is_called_undefined_is_refused() -> None:
    assert faults(access="undefined") == [
        "access must not be undefined: s itself saves keys under this name by mistake. Choose another name."
    ]
