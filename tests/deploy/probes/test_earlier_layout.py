"""The doctor lists what an earlier version left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import s_preview
from deploy.environments import Rendered
from deploy.probes import earlier_layout
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from tests.deploy.deployments import deployed, install_aliyun, levels
from tests.deploy.project_copy import ROOT, ProjectCopy

HTTP = {
    "functionName": "links-http",
    "handler": "handler.on_http",
    "role": "acs:ram::1000000000000001:role/links-http-role",
}
EVENTS = {"functionName": "links-events", "handler": "handler.on_event", "role": "links-events-role"}
CALLER = {"triggerType": "oss", "invocationRole": "acs:ram::${config('AccountID')}:role/links-events-caller"}
TRAFFIC = {
    "functionName": "links-traffic",
    "role": "links-traffic-role",
    "customRuntimeConfig": {"args": ["-c", "python:handler.gunicorn_conf", "handler.wsgi:app"]},
}
OTHER = {"functionName": "shop", "handler": "index.handler", "role": "shop"}
ROLES = ["links-http-role", "links-events-role", "links-events-caller", "links-traffic-role", "shop"]
# Of the release before.
EARLIER_ROLES = ["links-http", "links-http-dev", "links-events", "links-events-dev", "links-caller", "links-caller-dev"]


def install(folder: Path, functions: list[Mapping[str, object]], roles: list[str], *, ends: bool = True) -> None:
    """An aliyun CLI that lists them, in two pages each."""
    listed = "fc GET /2023-03-30/functions --region cn-hangzhou --limit=100"
    last = {} if ends else {"nextToken": "next"}
    named = [{"RoleName": name} for name in roles]
    install_aliyun(
        folder,
        {
            listed: {"functions": functions[:1], "nextToken": "next"},
            f"{listed} --nextToken=next": {"functions": functions[1:], **last},
            "ram ListRoles --MaxItems 100": {"Roles": {"Role": named[:1]}, "IsTruncated": True, "Marker": "next"},
            "ram ListRoles --MaxItems 100 --Marker next": {"Roles": {"Role": named[1:]}, "IsTruncated": False},
        },
    )


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment whose files name the functions and roles above in prod."""

    def render(config: Path) -> Iterator[Rendered]:
        traffic = {"links_traffic": TRAFFIC}
        plain: Mapping[str, Mapping[str, object]] = {
            "links_http": HTTP,
            "links_events": {**EVENTS, "triggers": [CALLER]},
        }
        yield Rendered(config, "prod", plain if config == ROOT / "s.yaml" else traffic)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(earlier_layout, "render_environments", render)
    return deployed("http://127.0.0.1:9", None)


def find(deployment: Deployment) -> list[Finding]:
    return list(earlier_layout.functions_and_roles(deployment, ROOT / "s.yaml"))


def test_functions_and_roles_of_every_environment_and_runtime_are_known(deployment: Deployment, tmp_path: Path) -> None:
    install(tmp_path, [HTTP, {**deployment.web}, EVENTS, TRAFFIC, OTHER], [*ROLES, "links-http-dev-role"])
    assert levels(iter(find(deployment))) == [("ok", "layout")]


def test_roles_of_the_release_before_are_listed(deployment: Deployment, tmp_path: Path) -> None:
    install(tmp_path, [HTTP], [*ROLES, *EARLIER_ROLES])
    sentences = [finding.sentence for finding in find(deployment)]
    assert [sentence.split()[1] for sentence in sentences] == EARLIER_ROLES


def test_a_function_and_a_role_that_no_file_names_are_listed_with_what_to_do(
    deployment: Deployment, tmp_path: Path
) -> None:
    install(tmp_path, [HTTP, OTHER, {**HTTP, "functionName": "presign", "role": "old"}], [*ROLES, "links-old"])
    function, role = find(deployment)
    assert function.level == role.level == "warning"
    assert function.sentence.startswith(
        "Function presign (role old) has the code of this project, but no s.yaml here names"
    )
    assert function.sentence.endswith("nothing uses it, delete it.")
    assert role.sentence.startswith("Role links-old is not named in any s.yaml")


def test_another_application_in_the_account_is_left_alone(deployment: Deployment, tmp_path: Path) -> None:
    other = {**HTTP, "functionName": "links-x1-http", "role": "acs:ram::1000000000000001:role/links-x1-http-role"}
    install(tmp_path, [HTTP, other], [*ROLES, "links-x1-http-role", "links-x1-http-caller"])
    assert levels(iter(find(deployment))) == [("ok", "layout")]


def test_a_function_with_the_role_or_the_start_command_of_an_earlier_version_is_listed(
    deployment: Deployment, tmp_path: Path
) -> None:
    started = {"args": ["-c", "python:handler.server", "--threads", "20", "handler.wsgi:app"]}
    install(tmp_path, [{**EVENTS, "role": "links-http-role"}, {**TRAFFIC, "customRuntimeConfig": started}], ROLES)
    role, command = find(deployment)
    assert role.sentence == "Function links-events has the role links-http-role, not links-events-role: run s deploy."
    assert "python:handler.server, which moved: write python:handler.gunicorn_conf" in command.sentence


def test_without_its_permissions_the_doctor_says_what_it_needs(deployment: Deployment, tmp_path: Path) -> None:
    install_aliyun(tmp_path, {})
    (refused,) = find(deployment)
    assert refused.level == "unknown"
    assert (
        "aliyun fc GET /2023-03-30/functions --region cn-hangzhou --limit=100 failed (NoPermission)" in refused.sentence
    )
    assert refused.sentence.endswith("allow fc:ListFunctions.")
    install_aliyun(tmp_path, {"fc GET /2023-03-30/functions --region cn-hangzhou --limit=100": "InternalServerError"})
    (failed,) = find(deployment)
    assert failed.sentence.endswith("--limit=100 failed (InternalServerError): run it to see why.")


@pytest.mark.parametrize("triggers", [5, "http", ["http"]])
def test_triggers_of_another_environment_that_are_invalid_name_no_role(
    triggers: object, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalid = Rendered(ROOT / "s.yaml", "prod", {"links_http": {**HTTP, "triggers": triggers}})
    monkeypatch.setattr(earlier_layout, "render_environments", lambda config: [invalid])
    assert earlier_layout.names(deployment, ROOT / "s.yaml").roles >= {"links-http-role"}


@pytest.mark.skipif(not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node")
def test_names_are_those_that_s_renders_in_each_environment(tmp_path: Path) -> None:
    project = ProjectCopy.of(tmp_path)
    deployment = replace(deployed("http://127.0.0.1:9", None, functionName="links-test", role=""), root=project.folder)
    names = earlier_layout.names(deployment, project.config)
    functions = ("links-http", "links-events", "links-http-dev", "links-events-dev")
    assert names.functions == {"links-test": "", **{name: f"{name}-role" for name in functions}}
    callers = {"links-events-caller", "links-events-dev-caller"}
    assert {name for name in names.roles if name.startswith("links-")} == {
        f"{name}-role" for name in functions
    } | callers


def test_where_a_file_cannot_be_read_nothing_is_said_to_be_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    project = ProjectCopy.of(tmp_path / "project")
    (project.folder / "env.yaml").write_text("environments: [", "utf-8")
    deployment = replace(deployed("http://127.0.0.1:9", None), root=project.folder)
    install(tmp_path, [HTTP, {**HTTP, "functionName": "other"}], ROLES)
    (finding,) = earlier_layout.functions_and_roles(deployment, project.folder / "s.yaml")
    assert finding.level == "unknown"
    assert "env.yaml is not valid YAML" in finding.sentence


def test_a_list_that_never_ends_is_given_up(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier_layout, "MAX_PAGES", 3)
    install(tmp_path, [HTTP, HTTP], ROLES, ends=False)
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
