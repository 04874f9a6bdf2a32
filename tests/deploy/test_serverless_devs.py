"""The real `s deploy`, with a component that only writes down what it was asked."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy import build, s_preview
from tests.deploy.project_copy import CHECKED, ProjectCopy

pytestmark = pytest.mark.skipif(not s_preview.OF_THE_CLONE.exists(), reason="npm ci in tests/node brings s")

COMPONENT = """
exports.default = class {
  async deploy({ props }) {
    require('fs').appendFileSync('asked', `deploy ${props.functionName} from ${props.code}\\n`);
    return {};
  }
};
"""
PROJECT = (*CHECKED, "deploy/custom-runtime")
KEY = {"AccountID": "1000000000000001", "AccessKeyID": "LTAI5tEXAMPLE", "AccessKeySecret": "EXAMPLE"}


def deploy(project: ProjectCopy, *arguments: str) -> list[str]:
    """What happened, in order."""
    (project.folder / "component").mkdir()
    (project.folder / "component/index.js").write_text(COMPONENT)
    (project.folder / "component/package.json").write_text('{"name": "component", "main": "index.js"}')
    for config in (project.config, project.folder / "deploy/custom-runtime/s.yaml"):
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("fc3@0.1.22", str(project.folder / "component")), encoding="utf-8")
    commands = project.folder / "commands"
    commands.mkdir()
    (commands / "make").write_text('#!/bin/sh\necho "make $*" >> asked\n')
    (commands / "make").chmod(0o755)
    done = subprocess.run(
        [s_preview.serverless_devs(), *arguments, "-y", "-a", "links_serverless_devs_key"],
        cwd=project.folder,
        env={
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(project.folder),
            "NODE_ENV": "test",
            "links_serverless_devs_key": json.dumps(KEY),
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return (project.folder / "asked").read_text().splitlines()


def test_a_deployment_is_built_once_and_first(tmp_path: Path) -> None:
    asked = deploy(ProjectCopy.of(tmp_path, PROJECT), "deploy", "--env", "prod")
    assert asked[0] == "make build"
    assert "deploy links-http from ./build/code" in asked[1:]
    assert not [line for line in asked[1:] if line.startswith("make")]


def test_one_function_alone_is_built_too(tmp_path: Path) -> None:
    asked = deploy(ProjectCopy.of(tmp_path, PROJECT), "links_http", "deploy", "--env", "dev")
    assert asked == ["make build", "deploy links-http-dev from ./build/code"]


def test_the_custom_runtime_is_deployed_from_the_projects_folder(tmp_path: Path) -> None:
    """The fc3 component reads `code` from the folder of its `s.yaml`, and an action runs in its `path` from there."""
    project = ProjectCopy.of(tmp_path, PROJECT)
    assert build.plan(project.folder / "deploy/custom-runtime/s.yaml").code == tmp_path / "build/custom"
    asked = deploy(project, "deploy", "-t", "deploy/custom-runtime/s.yaml", "--env", "dev")
    assert asked == [
        "make build CONFIG=deploy/custom-runtime/s.yaml",
        "deploy links-traffic-dev from ../../build/custom",
    ]
