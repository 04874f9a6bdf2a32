"""What `s init` makes of the application template can be built, checked and deployed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import signer
from deploy import build, check, policies, s_preview
from deploy.command import output_of
from deploy.errors import DeployError
from local.fc import s_yaml, schema
from tests.deploy.project_copy import ROOT
from tools import template

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(
        not s_preview.INSTALLED_FOR_TESTS.exists(),
        reason="s is not installed: npm ci in tests/node",
    ),
]

VALUES = {
    "region": "cn-shanghai",
    "bucket": "my-private-bucket",
    "endpoint": "https://static.example.com",
    "folder": "press/2026",
    "functionPrefix": "links-x1",
    "logProject": "my-logs",
}
# What a build does before and after pip.
PREPARE = """
from pathlib import Path
from deploy import build
from deploy.package import contents, vendor
planned = build.plan(Path("s.yaml"))
vendor.require_lock(planned.root, planned.runtime)
assert vendor.requirements(planned.root, planned.runtime)
contents.copy_ours(planned.root, Path("copied"), custom=planned.runtime.custom)
"""
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
    done = output_of(
        [*command, "-a", "default", "--parameters", json.dumps(values)],
        60,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "NODE_ENV": "test"},
    )
    assert done.returncode == 0, done.stdout
    return folder / "made/s.yaml"


@pytest.fixture(scope="module")
def config(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `s.yaml` after `s init`."""
    return initialised(package, tmp_path_factory.mktemp("initialised"), VALUES)


@pytest.fixture(scope="module")
def rendered(config: Path) -> dict[str, Any]:
    """The `s.yaml` after `s init`, as s renders it."""
    return s_preview.render(config)


def schema_errors(publish: object) -> object:
    return json.loads(
        output_of(["node", "-e", VALIDATE, json.dumps(publish)], 60, cwd=ROOT / "tests/node").stdout
    )


def test_the_schema_of_the_registry_accepts_the_package_and_refuses_a_broken_one(
    package: Path,
) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    assert schema_errors(publish) is None
    assert schema_errors({**publish, "Category": "Links"})
    assert schema_errors({name: value for name, value in publish.items() if name != "Effective"})


def test_the_package_has_the_version_of_the_project_and_every_part(package: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    assert publish["Version"] == signer.__version__
    assert f"- {signer.__version__}:" in (package / "version.md").read_text(encoding="utf-8")
    assert {"publish.yaml", "readme.md", "version.md", "hook", "src"} == {
        path.name for path in package.iterdir()
    }
    assert not [
        path
        for path in package.rglob("*")
        if path.name in ("__pycache__", "tests", "node_modules", ".git")
    ]


def test_the_result_of_s_init_passes_preview_and_the_strict_check(
    config: Path, rendered: dict[str, Any]
) -> None:
    assert "{{" not in config.read_text(encoding="utf-8")
    props = rendered["resources"]["links_http"]["props"]
    assert (props["functionName"], props["region"]) == ("links-x1-http", "cn-shanghai")
    assert props["environmentVariables"]["LINK_BUCKET"] == "my-private-bucket"
    assert [*check.check(config).faults, *check.check(config).placeholders] == []


def test_all_names_of_an_application_begin_with_its_prefix(rendered: dict[str, Any]) -> None:
    """Two of them in one account share none."""
    found: set[str] = set()
    for props in (resource["props"] for resource in rendered["resources"].values()):
        found |= {props["functionName"], props["role"], props["logConfig"]["logstore"]}
        found |= {
            trigger["invocationRole"]
            for trigger in props["triggers"]
            if "invocationRole" in trigger
        }
        if "asyncInvokeConfig" in props:
            found.add(props["asyncInvokeConfig"]["destinationConfig"]["onFailure"]["destination"])
    suffixes = ("http", "http-role", "http-logs", "events", "events-role", "events-logs")
    assert {re.sub(r"^acs:.*:(role/|/queues/)|/messages$", "", name) for name in found} == {
        f"links-x1-{suffix}" for suffix in (*suffixes, "events-caller", "events-failures")
    }


def test_a_prefix_leaves_room_in_the_names_of_roles_and_is_valid_in_all(package: Path) -> None:
    """Source: the limits of RAM (roles, 64), Simple Log Service (logstores) and Function Compute (functions)."""
    properties = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))[
        "Parameters"
    ]["properties"]
    accepted = re.compile(properties["functionPrefix"]["pattern"]).search
    assert accepted("a" * 40)
    assert not any(map(accepted, ("a" * 41, "Links", "links_x1", "-links", "")))


def test_the_authorities_are_those_of_the_deployers_policy(config: Path, package: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    authorities = {
        action for service in publish["Service"].values() for action in service["Authorities"]
    }
    deployer = policies.policies(check.check(config).functions)["deployer"]["Statement"]
    needed = {action for statement in deployer for action in statement["Action"]}
    assert {
        action for action in needed if not any(fnmatch(action, known) for known in authorities)
    } == set()
    assert {
        known for known in authorities if not any(fnmatch(action, known) for action in needed)
    } == set()


def test_the_result_of_s_init_can_be_built_alone_with_the_chosen_folder(config: Path) -> None:
    done = output_of([sys.executable, "-c", PREPARE], 120, cwd=config.parent)
    assert done.returncode == 0, done.stderr
    links = (config.parent / "links.toml").read_text(encoding="utf-8")
    assert 'target      = "oss://${LINK_BUCKET}/${LINK_FOLDER}/"' in links
    assert "exampledir" not in links


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("bucket", "", "the variable LINK_BUCKET is not set or empty"),
        ("folder", "../secret", "(/../secret/): path is invalid: it has a segment . or .."),
    ],
)
def test_an_invalid_value_is_reported_before_anything_is_deployed(
    name: str,
    value: str,
    sentence: str,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = initialised(package, tmp_path, {**VALUES, name: value})
    # As s renders it, in less time.
    monkeypatch.setattr(check, "render", lambda config, environment: s_yaml.load(config, {}))
    with pytest.raises(DeployError, match=re.escape(sentence)):
        build.plan(config)
    assert [line for line in check.check(config).faults if sentence in line]


def test_the_makefile_of_the_made_project_has_no_target_that_it_cannot_make(package: Path) -> None:
    makefile = (package / "src/Makefile").read_text(encoding="utf-8")
    targets = {
        name for line in re.findall(r"(?m)^([a-z][a-z -]*):", makefile) for name in line.split()
    }
    assert {"run", "check", "keys", "explain", "clean"} < targets
    assert targets.isdisjoint(
        {
            "demo",
            "test",
            "test-long",
            "lint",
            "bench",
            "lock",
            "audit",
            "docs",
            "reference",
            "template",
        }
    )
    assert set(re.findall(r"(?m)^##   make (\S+)", makefile)) <= targets


def test_pages_are_shipped_as_they_are_and_link_to_each_other(package: Path) -> None:
    docs = package / "src/docs"
    pages = sorted(docs.glob("*.md"))
    assert {"api.md", "deploy.md", "events.md", "library.md", "operations.md"} <= {
        page.name for page in pages
    }
    for page in pages:
        assert page.read_bytes() == (ROOT / "docs" / page.name).read_bytes()
        links = re.findall(r"\]\(([\w./-]+)[)#]", page.read_text(encoding="utf-8"))
        # A page may name the custom runtime, which only the repository has.
        missing = {
            link for link in links if not (docs / link).exists() and "custom-runtime" not in link
        }
        assert missing == set(), page.name


def test_no_placeholder_of_the_repository_is_left(package: Path) -> None:
    for name in ("s.yaml", "links.toml"):
        content = (package / "src" / name).read_text(encoding="utf-8")
        assert not re.search(
            r"examplebucket|exampledir|example-logs|env\.yaml|links-\w+-dev", content
        ), name


def test_the_custom_domain_of_the_readme_is_valid(rendered: dict[str, Any], package: Path) -> None:
    page = (package / "src/README.md").read_text(encoding="utf-8")
    snippet = re.search(r"(?ms)^```yaml\n(.*?)^```$", page)
    assert snippet
    props = rendered["resources"]["links_http"]["props"]
    assert list(schema.faults({**props, **yaml.safe_load(snippet[1])})) == []


def test_publishers_name_their_own_home_page(package: Path, tmp_path: Path) -> None:
    publish = yaml.safe_load((package / "publish.yaml").read_text(encoding="utf-8"))
    assert publish["HomePage"].startswith("https://")
    assert (
        template.main([str(tmp_path / "own"), "--home-page", "https://example.com/links#about"])
        == 0
    )
    own = yaml.safe_load((tmp_path / "own/publish.yaml").read_text(encoding="utf-8"))
    assert own == {**publish, "HomePage": "https://example.com/links#about"}


@pytest.mark.parametrize(
    "address", ["", "example.com", "http://example.com", "https://", "https://a b.example.com"]
)
def test_a_home_page_must_be_an_https_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="Invalid --home-page"):
        template.main([str(tmp_path / "new"), "--home-page", address])
    assert not (tmp_path / "new").exists()


def test_the_template_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DeployError, match="is not empty: name a new folder"):
        template.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        *(
            (f"src/{name}", "", f"{name} is not one of")
            for name in ("handler/ci.key", "docs/.env", "deploy/id.pem")
        ),
        (
            "hook/robot.cfg",
            "",
            "hook/robot.cfg is not one of the files that a template has, .html, .js, .json, ",
        ),
        (
            "src/docs/a.js",
            "LTAI5tEXAMPLEEXAMPLE00",
            "docs/a.js contains what looks like an access key id: remove it.",
        ),
        (
            "hook/a.js",
            "LTAI5tEXAMPLEEXAMPLE00",
            "hook/a.js contains what looks like an access key id: remove it.",
        ),
    ],
)
def test_only_known_files_without_a_secret_are_published(
    name: str, content: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(DeployError, match=f"^{re.escape(sentence)}"):
        template.check_files(tmp_path, tmp_path / "src")


def test_an_s_yaml_without_the_variable_of_a_parameter_is_refused() -> None:
    content = (ROOT / "s.yaml").read_text(encoding="utf-8")
    with pytest.raises(DeployError, match=r"s\.yaml: vars\.log_project is missing"):
        template.s_yaml(content.replace("  log_project:", "  logs:"))
