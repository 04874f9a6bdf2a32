"""The doctor lists what an earlier version left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.probes import earlier_layout
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from tests.deploy.deployments import deployed, levels
from tests.deploy.project_copy import ROOT, ProjectCopy

HTTP = {"functionName": "links-http", "handler": "handler.on_http", "role": "acs:ram::1000000000000001:role/links-http"}
EVENTS = {"functionName": "links-events", "handler": "handler.on_event", "role": "links-events"}
TRAFFIC = {
    "functionName": "links-traffic",
    "role": "links-http",
    "customRuntimeConfig": {"args": ["-c", "python:handler.gunicorn_conf", "handler.wsgi:app"]},
}
OTHER = {"functionName": "shop", "handler": "index.handler", "role": "shop"}
ROLES = ["links-http", "links-http-dev", "links-events", "links-events-dev", "links-caller", "links-caller-dev", "shop"]
# Answers the commands from files: a page by its token, and then the first one.
ALIYUN = """#!/bin/sh
case "$*" in
  "fc GET /2023-03-30/functions --region cn-hangzhou --limit=100") /bin/cat {folder}/functions ;;
  "fc GET /2023-03-30/functions --region cn-hangzhou --limit=100 --nextToken=next") /bin/cat {folder}/more-functions ;;
  "ram ListRoles --MaxItems 100") /bin/cat {folder}/roles ;;
  "ram ListRoles --MaxItems 100 --Marker next") /bin/cat {folder}/more-roles ;;
  *) echo "ERROR: $*" >&2; exit 1 ;;
esac
"""


def install_aliyun(folder: Path, functions: list[Mapping[str, object]], roles: list[str]) -> None:
    """A command that lists them, in two pages each."""
    pages: dict[str, object] = {
        "functions": {"functions": functions[:1], "nextToken": "next"},
        "more-functions": {"functions": functions[1:]},
        "roles": {"Roles": {"Role": [{"RoleName": name} for name in roles[:1]]}, "IsTruncated": True, "Marker": "next"},
        "more-roles": {"Roles": {"Role": [{"RoleName": name} for name in roles[1:]]}, "IsTruncated": False},
    }
    for name, page in pages.items():
        (folder / name).write_text(json.dumps(page))
    (folder / "aliyun").write_text(ALIYUN.format(folder=folder))
    (folder / "aliyun").chmod(0o755)


@pytest.fixture
def deployment() -> Deployment:
    return deployed("http://127.0.0.1:9", None, functionName="links-http")


def find(deployment: Deployment) -> list[Finding]:
    return list(earlier_layout.functions_and_roles(deployment, ROOT / "s.yaml"))


def test_functions_and_roles_of_every_environment_and_runtime_are_known(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    dev = {**HTTP, "functionName": "links-http-dev", "role": "links-http-dev"}
    install_aliyun(tmp_path, [HTTP, dev, EVENTS, TRAFFIC, OTHER], ROLES)
    assert levels(iter(find(deployment))) == [("ok", "layout")]


def test_a_function_and_a_role_that_no_file_names_are_listed_with_what_to_do(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    install_aliyun(tmp_path, [HTTP, OTHER, {**HTTP, "functionName": "presign", "role": "old"}], [*ROLES, "links-old"])
    function, role = find(deployment)
    assert function.level == role.level == "warning"
    assert function.sentence.startswith(
        "Function presign (role old) has the code of this project, but no s.yaml here names"
    )
    assert function.sentence.endswith("nothing uses it, delete it.")
    assert role.sentence.startswith("Role links-old is not named in any s.yaml")


def test_a_function_with_the_role_or_the_start_command_of_an_earlier_version_is_listed(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    started = {"args": ["-c", "python:handler.server", "--threads", "20", "handler.wsgi:app"]}
    install_aliyun(tmp_path, [{**EVENTS, "role": "links-http"}, {**TRAFFIC, "customRuntimeConfig": started}], ROLES)
    role, command = find(deployment)
    assert role.sentence == "Function links-events has the role links-http, not links-events: run s deploy."
    assert "python:handler.server, which moved: write python:handler.gunicorn_conf" in command.sentence


def test_without_the_aliyun_command_or_its_permissions_the_doctor_says_what_it_needs(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (missing,) = find(deployment)
    assert missing.level == "unknown"
    assert "install the aliyun CLI" in missing.sentence
    (tmp_path / "aliyun").write_text("#!/bin/sh\necho AccessDenied >&2\nexit 1\n")
    (tmp_path / "aliyun").chmod(0o755)
    (refused,) = find(deployment)
    assert refused.level == "unknown"
    assert "aliyun fc GET /2023-03-30/functions failed: allow fc:ListFunctions" in refused.sentence


def test_functions_of_environments_in_another_file_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    project = ProjectCopy.of(tmp_path / "project")
    (project.folder / "env.yaml").rename(project.folder / "envs.yaml")
    config = project.folder / "s.yaml"
    config.write_text(config.read_text("utf-8").replace("env: ./env.yaml", "env: ./envs.yaml"), "utf-8")
    deployment = replace(deployed("http://127.0.0.1:9", None, functionName="links-http"), root=project.folder)
    install_aliyun(tmp_path, [HTTP, {**HTTP, "functionName": "links-http-dev", "role": "links-http-dev"}], ROLES)
    assert levels(earlier_layout.functions_and_roles(deployment, config)) == [("ok", "layout")]


def test_where_a_file_cannot_be_read_nothing_is_said_to_be_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    project = ProjectCopy.of(tmp_path / "project")
    (project.folder / "env.yaml").write_text("environments: [", "utf-8")
    deployment = replace(deployed("http://127.0.0.1:9", None, functionName="links-http"), root=project.folder)
    install_aliyun(tmp_path, [HTTP, {**HTTP, "functionName": "other"}], ROLES)
    (finding,) = earlier_layout.functions_and_roles(deployment, project.folder / "s.yaml")
    assert finding.level == "unknown"
    assert "env.yaml is not valid YAML" in finding.sentence


def test_a_list_that_never_ends_is_given_up(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(earlier_layout, "MAX_PAGES", 3)
    install_aliyun(tmp_path, [HTTP, HTTP], ROLES)
    (tmp_path / "more-functions").write_text(json.dumps({"functions": [HTTP], "nextToken": "next"}))
    assert levels(iter(find(deployment))) == [("ok", "layout")]


@pytest.mark.parametrize("name", earlier_layout.MOVED_FILES)
def test_a_file_in_its_earlier_place_is_named_with_its_new_one(
    name: str, deployment: Deployment, tmp_path: Path
) -> None:
    new = earlier_layout.MOVED_FILES[name]
    assert (ROOT / new).is_file()
    assert not (ROOT / name).exists()
    (tmp_path / name).write_text("")
    (finding,) = earlier_layout.files(replace(deployment, root=tmp_path))
    assert finding.level == "warning"
    assert finding.sentence == f"{name} is not read any more: move your changes to {new} and delete it."


def test_a_start_command_that_names_a_module_which_moved_is_a_fault() -> None:
    args = ["-c", "python:handler.server", "handler.wsgi:app"]
    old = deployed("http://127.0.0.1:9", None, customRuntimeConfig={"args": args})
    (finding,) = earlier_layout.files(old)
    assert finding.level == "fault"
    assert "write python:handler.gunicorn_conf" in finding.sentence
