"""The real `s deploy`, with a component that only records its calls."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deploy import build, s_preview
from deploy.command import output_of
from tests.deploy.project_copy import CHECKED, ProjectCopy, install

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(
        not s_preview.INSTALLED_FOR_TESTS.exists(),
        reason="s is not installed: npm ci in tests/node",
    ),
]

COMPONENT = """
exports.default = class {
  async deploy({ props }) {
    require('fs').appendFileSync('calls', `deploy ${props.functionName} from ${props.code}\\n`);
    return {};
  }
};
"""
COMPONENT_WITH_PROPS = COMPONENT.replace(
    "`deploy ${props.functionName} from ${props.code}\\n`", "JSON.stringify(props) + '\\n'"
)
PROJECT = (*CHECKED, "deploy/custom-runtime")
KEY = {
    "AccountID": "1000000000000001",
    "AccessKeyID": "LTAI5tEXAMPLE",
    "AccessKeySecret": "EXAMPLE",
}


def deploy(
    project: ProjectCopy,
    *arguments: str,
    component: str = COMPONENT,
    make: str = "",
    status: int = 0,
) -> list[str]:
    """Runs `s`, which must exit with `status`; returns the commands and deployments in order."""
    (project.folder / "component").mkdir()
    (project.folder / "component/index.js").write_text(component)
    (project.folder / "component/package.json").write_text(
        '{"name": "component", "main": "index.js"}'
    )
    for config in (project.config, project.folder / "deploy/custom-runtime/s.yaml"):
        content = config.read_text(encoding="utf-8")
        config.write_text(
            content.replace("fc3@0.1.22", str(project.folder / "component")), encoding="utf-8"
        )
    commands = project.folder / "commands"
    install(commands / "make", f'echo "make $*" >> calls\n{make}')
    done = output_of(
        [str(s_preview.s_command()), *arguments, "-y", "-a", "links_serverless_devs_key"],
        60,
        cwd=project.folder,
        env={
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(project.folder),
            "NODE_ENV": "test",
            "links_serverless_devs_key": json.dumps(KEY),
        },
    )
    assert done.returncode == status, done.stdout
    return (project.folder / "calls").read_text().splitlines()


def test_a_deployment_is_built_once_and_first(tmp_path: Path) -> None:
    calls = deploy(ProjectCopy.of(tmp_path, PROJECT), "deploy", "--env", "prod")
    assert calls[:2] == ["make check", "make build"]
    assert sorted(calls[2:]) == [
        "deploy links-events from ./build/code",
        "deploy links-http from ./build/code",
    ]


def test_the_event_function_alone_gets_region_and_bucket_of_the_http_function(
    tmp_path: Path,
) -> None:
    project = ProjectCopy.of(tmp_path, PROJECT)
    calls = deploy(
        project, "links_events", "deploy", "--env", "prod", component=COMPONENT_WITH_PROPS
    )
    assert calls[:-1] == ["make check", "make build"]
    props = json.loads(calls[-1])
    bucket = "examplebucket-prod"
    assert props["environmentVariables"] == {"LINK_BUCKET": bucket, "LINK_REGION": "cn-hangzhou"}
    assert props["triggers"][0]["sourceArn"] == f"acs:oss:cn-hangzhou:{KEY['AccountID']}:{bucket}"
    assert (
        props["triggers"][0]["invocationRole"]
        == f"acs:ram::{KEY['AccountID']}:role/links-events-caller"
    )
    destination = props["asyncInvokeConfig"]["destinationConfig"]["onFailure"]["destination"]
    assert (
        destination
        == f"acs:mns:cn-hangzhou:{KEY['AccountID']}:/queues/links-events-failures/messages"
    )


def test_a_misspelt_environment_deploys_dev_and_never_prod(tmp_path: Path) -> None:
    calls = deploy(ProjectCopy.of(tmp_path, PROJECT), "deploy", "--env", "prdo")
    assert sorted(calls[2:]) == [
        "deploy links-events-dev from ./build/code",
        "deploy links-http-dev from ./build/code",
    ]


def test_a_failing_check_stops_the_deployment_before_anything_is_sent(tmp_path: Path) -> None:
    calls = deploy(
        ProjectCopy.of(tmp_path, PROJECT), "deploy", "--env", "prod", make="exit 1", status=101
    )
    assert calls == ["make check"]


def test_the_custom_runtime_is_deployed_from_the_projects_folder(tmp_path: Path) -> None:
    """`code` and the `path` of an action are relative to the folder of `s.yaml`."""
    project = ProjectCopy.of(tmp_path, PROJECT)
    assert (
        build.plan(project.folder / "deploy/custom-runtime/s.yaml").code
        == tmp_path / "build/custom"
    )
    calls = deploy(project, "deploy", "-t", "deploy/custom-runtime/s.yaml", "--env", "dev")
    assert calls == [
        "make check CONFIG=deploy/custom-runtime/s.yaml",
        "make build CONFIG=deploy/custom-runtime/s.yaml",
        "deploy links-traffic-dev from ../../build/custom",
    ]
