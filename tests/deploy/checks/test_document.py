"""s.yaml outside its functions: its key, and what runs before a deployment."""

from __future__ import annotations

import pytest
import yaml

from deploy.checks import document
from tests.deploy.project_copy import ROOT

NESTED = "deploy/custom-runtime/s.yaml"
CHECK_FIRST = (
    "actions.pre-deploy must run make check, then make build, each with path ./ and no other option: otherwise s "
    "deploys what was not checked or an earlier build."
)
CHECK_FIRST_NESTED = (
    CHECK_FIRST.replace("make check", f"make check CONFIG={NESTED}")
    .replace("make build", f"make build CONFIG={NESTED}")
    .replace("path ./", "path ../../")
)


def faults(path: str = "s.yaml", **changes: object) -> list[str]:
    content = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return list(document.faults({**content, **changes}, path))


def hooks(*commands: str, path: str = "./") -> dict[str, object]:
    return {"pre-deploy": [{"run": command, "path": path} for command in commands]}


@pytest.mark.parametrize(
    "commands",
    [
        ("make check", "make build"),
        ("echo", "make check CONFIG=s.yaml", "make build CONFIG=s.yaml"),
        ("make check && make build\n",),
        ("make check build",),
    ],
)
def test_a_deployment_that_checks_before_it_builds_is_fine(commands: tuple[str, ...]) -> None:
    assert faults(actions=hooks(*commands)) == []


@pytest.mark.parametrize(
    "commands",
    [
        ("make build",),
        ("make build", "make check"),
        ("make check || true", "make build"),
        ("make check; true", "make build"),
        ("make check CONFIG=other.yaml", "make build"),
        ("echo make check", "make build"),
        ("make check ENV=dev", "make build"),
        ("make -n check", "make build"),
        ('make "# check"', "make build"),
        ("make # check", "make build"),
        ("cd ../other && make check", "make build"),
        ("make check", "true && make build"),
        ("make check '", "make build"),
        ("make check\nCONFIG=s.yaml", "make build"),
        ("make check",),
        (),
    ],
)
def test_a_deployment_that_does_not_check_first_is_a_fault(commands: tuple[str, ...]) -> None:
    assert faults(actions=hooks(*commands)) == [CHECK_FIRST]


@pytest.mark.parametrize("actions", [{}, None, {"pre-deploy": 5}, {"pre-deploy": [5, {"path": "./"}]}])
def test_a_deployment_without_hooks_is_a_fault(actions: object) -> None:
    assert faults(actions=actions) == [CHECK_FIRST]


@pytest.mark.parametrize(
    "option",
    [{"path": "../other"}, {"path": "./deploy"}, {"path": "/tmp"}, {"allow_failure": True}, {"allow_failure": False}],  # noqa: S108
)
def test_a_check_that_cannot_stop_the_deployment_or_runs_elsewhere_is_a_fault(option: dict[str, object]) -> None:
    for changed in (0, 1):
        steps: list[dict[str, object]] = [{"run": "make check", "path": "./"}, {"run": "make build", "path": "./"}]
        steps[changed] |= option
        assert faults(actions={"pre-deploy": steps}) == [CHECK_FIRST]


def test_the_folder_of_the_file_is_the_default_path() -> None:
    assert faults(actions={"pre-deploy": [{"run": "make check build"}]}) == []
    assert faults(NESTED, actions={"pre-deploy": [{"run": f"make check build CONFIG={NESTED}"}]}) == [
        CHECK_FIRST_NESTED
    ]


@pytest.mark.parametrize(
    "commands",
    [("make check", f"make build CONFIG={NESTED}"), (f"make check CONFIG={NESTED}", "make build")],
)
def test_a_file_in_a_folder_is_checked_and_built_itself(commands: tuple[str, ...]) -> None:
    assert faults(NESTED) == []
    assert faults(NESTED, actions=hooks(*commands, path="../..")) == [CHECK_FIRST_NESTED]


@pytest.mark.parametrize("access", ["", None, 7, "${env('KEY', 'x')}"])
def test_the_key_must_have_a_plain_name(access: object) -> None:
    assert faults(access=access) == [
        f"access must be the plain name of a key (got {access!r}); s deploy -a NAME takes another one."
    ]


def test_a_key_that_is_called_undefined_is_refused() -> None:
    assert faults(access="undefined") == [
        "access must not be undefined: s itself saves keys under this name by mistake. Choose another name."
    ]
