"""The workflow in docs/examples deploys as its comments say, without a key that lasts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import s_preview
from deploy.command import output_of
from tests.deploy.project_copy import ROOT

FILE = ROOT / "docs/examples/github-actions.yml"
CONTENT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(CONTENT)
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job.get("steps", ())]
# The component prints nothing: it writes the credentials that s gives it, and what is deployed.
COMPONENT = """
exports.default = class {
  async deploy(inputs) {
    const credentials = await inputs.getCredential();
    require('fs').writeFileSync('received', JSON.stringify({ credentials, props: inputs.props }));
    return {};
  }
};
"""
TEMPORARY = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.EXAMPLE",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret/+EXAMPLE==",
    "ALIBABA_CLOUD_SECURITY_TOKEN": 'token/+"$EXAMPLE==',
    "ROLE_ARN": "acs:ram::1000000000000001:role/links-deployer-dev",
}


def step(job: str, words: str) -> str:
    """The command of the only step of a job that contains the words."""
    (run,) = [step["run"] for step in JOBS[job]["steps"] if words in step.get("run", "")]
    assert isinstance(run, str)
    return run


def run(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a step as GitHub does."""
    return output_of(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        60,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GITHUB_ENV": str(folder / "github.env"),
            **variables,
        },
    )


def variables_for_later_steps(folder: Path) -> dict[str, str]:
    lines = (folder / "github.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_main_goes_to_dev_and_only_a_tag_goes_to_prod_after_tests_and_check() -> None:
    # YAML 1.1 reads the key `on` as true.
    assert WORKFLOW[True] == {"push": {"branches": ["main"], "tags": ["v*"]}}
    conditions = {
        "dev": "github.ref == 'refs/heads/main'",
        "prod": "startsWith(github.ref, 'refs/tags/v')",
    }
    deploying = {name for name, job in JOBS.items() if "s deploy" in json.dumps(job)}
    assert deploying == {"dev", "prod"}
    for name, condition in conditions.items():
        job = JOBS[name]
        assert (job["if"], job["environment"], job["env"]) == (
            condition,
            name,
            {"ENVIRONMENT": name},
        )
        assert job["needs"] == ["test", "check"]
        assert job["concurrency"] == {"group": f"deploy-{name}"}


def test_the_tests_do_not_read_the_files_that_whoever_deploys_has_changed() -> None:
    command = step("test", "make test")
    (marker,) = re.findall(r"-m '([^']+)'", command)
    assert marker == "not long and not shipped_files"
    folders = re.findall(r"tests/\w+", command)
    assert folders == ["tests/signer", "tests/handler"]
    for folder in folders:
        for file in (ROOT / folder).rglob("test_*.py"):
            content = file.read_text(encoding="utf-8")
            if re.search(
                r'ROOT / "(?:s\.yaml|links\.toml|env\.yaml|deploy/custom-runtime)', content
            ):
                assert "pytest.mark.shipped_files" in content, file


def test_only_jobs_that_deploy_have_an_identity_and_nobody_has_a_key_that_lasts() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for name, job in JOBS.items():
        identity = {"contents": "read", "id-token": "write"} if name in ("dev", "prod") else None
        assert job.get("permissions") == identity, name
    assert not re.search(r"secrets\.|secrets\[|LTAI|access-key-(id|secret):", CONTENT)


def test_actions_are_pinned_to_commits_and_s_and_its_components_to_versions() -> None:
    actions = re.findall(r"uses: (?!\./)(.+)", CONTENT)
    assert [
        a for a in actions if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", a)
    ] == []
    assert len(actions) == 9
    assert re.fullmatch(
        r"fc3-domain@\d+\.\d+\.\d+", WORKFLOW["env"]["core_load_serverless_devs_component"]
    )
    installs = {step["run"] for step in STEPS if "npm" in step.get("run", "")}
    assert installs == {"npm install --global --ignore-scripts @serverless-devs/s@3.1.10"}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_doctor_gets_environment_address_and_key(environment: str, tmp_path: Path) -> None:
    command = step(environment, "make doctor")
    (tmp_path / "Makefile").write_text("doctor:\n\t@echo '$(ENV)' '$(URL)' '$(ARGS)'\n")
    url = "https://links.example.com"
    done = run(command, tmp_path, ENVIRONMENT=environment, SERVICE_URL=url)
    assert (
        done.stdout == f"{environment} {url} --access links_serverless_devs_key --allow-unknown\n"
    ), done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_credentials_are_masked_before_later_steps_get_them(tmp_path: Path) -> None:
    done = run(step("dev", "jq"), tmp_path, **TEMPORARY)
    assert done.returncode == 0, done.stderr
    key = variables_for_later_steps(tmp_path)["links_serverless_devs_key"]
    assert json.loads(key) == {
        "AccountID": "1000000000000001",
        "AccessKeyID": TEMPORARY["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        "AccessKeySecret": TEMPORARY["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        "SecurityToken": TEMPORARY["ALIBABA_CLOUD_SECURITY_TOKEN"],
    }
    # The runner prints *** for a command that masks; nothing else may be printed.
    assert done.stdout == f"::add-mask::{key}\n"
    assert done.stderr == ""


@pytest.mark.ci
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.skipif(
    not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node"
)
def test_the_real_s_deploys_the_environment_with_these_credentials(tmp_path: Path) -> None:
    run(step("prod", "jq"), tmp_path, **TEMPORARY)
    (tmp_path / "component").mkdir()
    (tmp_path / "component/index.js").write_text(COMPONENT)
    (tmp_path / "component/package.json").write_text('{"name": "component", "main": "index.js"}')
    function = {"component": "./component", "props": {"functionName": "links-http-dev"}}
    config = {"edition": "3.0.0", "name": "links", "access": "default", "env": "./env.yaml"}
    overlay = {"resources": {"links_http": {"functionName": "links-http"}}}
    environments = [{"name": "dev"}, {"name": "prod", "overlays": overlay}]
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({**config, "resources": {"links_http": function}})
    )
    (tmp_path / "env.yaml").write_text(yaml.safe_dump({"environments": environments}))
    path = f"{s_preview.INSTALLED_FOR_TESTS.parent}{os.pathsep}{os.environ['PATH']}"
    later = variables_for_later_steps(tmp_path)
    done = run(
        step("prod", "s deploy"), tmp_path, PATH=path, ENVIRONMENT="prod", NODE_ENV="test", **later
    )
    assert done.returncode == 0, done.stdout
    received = json.loads((tmp_path / "received").read_text(encoding="utf-8"))
    assert received["props"]["functionName"] == "links-http"
    expected = json.loads(later["links_serverless_devs_key"])
    assert {name: received["credentials"][name] for name in expected} == expected
    assert TEMPORARY["ALIBABA_CLOUD_SECURITY_TOKEN"] not in done.stdout
