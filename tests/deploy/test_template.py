"""What `s init` makes of the application template can be built, checked and deployed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy import build, check, s_preview, template
from deploy.errors import DeployError
from tests.deploy.project_copy import ROOT

pytestmark = pytest.mark.skipif(
    not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node"
)

VALUES = {
    "region": "cn-shanghai",
    "bucket": "my-private-bucket",
    "folder": "press/2026",
    "role": "links-reader",
    "functionPrefix": "links-x1",
    "logProject": "my-logs",
}
# Validates against the registry's schema, as the registry's own client does.
VALIDATE = """
const { publishSchema } = require('@serverless-devs/registry/lib/actions/constant');
const Ajv = require('ajv').default;
const validate = new Ajv({ allErrors: true }).compile(publishSchema);
validate(JSON.parse(process.argv[1]));
console.log(JSON.stringify(validate.errors));
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "template"
    template.assemble(folder)
    return folder


def initialised(package: Path, folder: Path, values: dict[str, str]) -> Path:
    """The `s.yaml` that the real `s init` writes. The tool deletes its source, so it gets a copy."""
    shutil.copytree(package, folder / "copy")
    command = [str(s_preview.s_command()), "init", "--uri", "copy", "-y", "-d", "made"]
    done = subprocess.run(
        [*command, "-a", "default", "--parameters", json.dumps(values)],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "NODE_ENV": "test"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder / "made/s.yaml"


@pytest.fixture(scope="module")
def config(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `s.yaml` after `s init`."""
    return initialised(package, tmp_path_factory.mktemp("initialised"), VALUES)


def schema_errors(publish: object) -> object:
    done = subprocess.run(
        ["node", "-e", VALIDATE, json.dumps(publish)],
        cwd=ROOT / "tests/node",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_schema_of_the_registry_accepts_the_package_and_refuses_a_broken_one(package: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    assert schema_errors(publish) is None
    assert schema_errors({**publish, "Category": "Links"})
    assert schema_errors({name: value for name, value in publish.items() if name != "Effective"})


def test_the_package_has_the_version_of_the_project_and_every_part(package: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    version = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert version
    assert publish["Version"] == version[1]
    assert f"- {version[1]}:" in (package / "version.md").read_text(encoding="utf-8")
    assert {"publish.yaml", "readme.md", "version.md", "hook", "src"} == {path.name for path in package.iterdir()}
    assert not [path for path in package.rglob("*") if path.name in ("__pycache__", "tests", "node_modules", ".git")]


def test_every_parameter_is_used_and_every_placeholder_has_a_parameter(package: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    used = set(re.findall(r"\{\{ (\w+) \}\}", (package / "src/s.yaml").read_text(encoding="utf-8")))
    assert used == {*publish["Parameters"]["properties"], "access"}
    assert set(publish["Parameters"]["required"]) == set(VALUES) == used - {"access"}


def test_the_result_of_s_init_passes_preview_and_the_strict_check(config: Path) -> None:
    assert "{{" not in config.read_text(encoding="utf-8")
    props = s_preview.render(config)["resources"]["links_http"]["props"]
    assert (props["functionName"], props["region"], props["role"]) == ("links-x1-http", "cn-shanghai", "links-reader")
    assert props["environmentVariables"]["LINK_BUCKET"] == "my-private-bucket"
    assert check.check(config) == []


def test_the_result_of_s_init_can_be_built_alone_with_the_chosen_folder(config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.build"],
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    links = (config.parent / "build/code/links.toml").read_text(encoding="utf-8")
    assert 'target      = "oss://${LINK_BUCKET}/${LINK_FOLDER}/"' in links
    assert "exampledir" not in links


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("bucket", "My_Bucket", "Invalid bucket name 'My_Bucket'"),
        ("bucket", "", "the variable LINK_BUCKET is not set or empty"),
        ("folder", "../secret", "(/../secret/): path is invalid: it has a segment . or .."),
    ],
)
def test_an_invalid_value_is_reported_before_anything_is_deployed(
    name: str, value: str, sentence: str, package: Path, tmp_path: Path
) -> None:
    config = initialised(package, tmp_path, {**VALUES, name: value})
    with pytest.raises(DeployError, match=re.escape(sentence)):
        build.plan(config)
    assert [line for line in check.check(config) if sentence in line]


def test_the_template_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert template.main([str(tmp_path)]) == 1


def test_an_s_yaml_without_the_variable_of_a_parameter_is_refused() -> None:
    content = (ROOT / "s.yaml").read_text(encoding="utf-8")
    with pytest.raises(DeployError, match=r"s\.yaml: vars\.log_project is missing"):
        template.s_yaml(content.replace("  log_project:", "  logs:"))
