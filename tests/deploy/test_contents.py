"""What must not be deployed, or is not locked, stops the build."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.errors import DeployError
from deploy.package import contents, vendor
from deploy.runtimes import RUNTIMES, Runtime
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy
from tools import sbom

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PEM = "-----BEGIN {}-----\n" + "A" * 64
SHARE_KEY = '{"share": [{"id": "a", "secret": "' + "k" * 43 + '"}]}'
STRAY = {
    "handler/test_links.py": ("", "handler/test_links.py is a test"),
    "handler/tests/data.json": ("{}", "handler/tests/data.json is a test"),
    "signer/conftest.py": ("", "signer/conftest.py is a test"),
    "signer/pem.py": (
        PEM.format("PRIVATE KEY"),
        "signer/pem.py contains what looks like a private key",
    ),
    "handler/robot.py": (
        "hooks.slack.com/services/T0",
        "handler/robot.py contains what looks like a slack secret",
    ),
    "handler/notes.md": ("", "handler/notes.md is a development file"),
    "handler/.env": ("", "handler/.env is a development file"),
    "signer/Makefile": ("", "signer/Makefile is a development file"),
    "handler/s.yaml": ("", "handler/s.yaml is a development file"),
    "handler/keys.json": (SHARE_KEY, "handler/keys.json contains what looks like"),
    "handler/who.py": (
        'KEY = "LTAI5tEXAMPLEEXAMPLE00"',
        "handler/who.py contains what looks like an access key id",
    ),
    **{
        name: (
            "",
            f"{name} is not one of the files that are deployed, .html, .js, .json, .py, .toml, .typed: move it",
        )
        for name in ("handler/ci.key", "handler/LICENSE.pem", "signer/prod.env", "handler/k")
    },
    "click/data.bin": (
        "\0whsec_" + "a" * 40,
        "click/data.bin contains what looks like a webhook secret",
    ),
    "_cffi_backend.cpython-310-x86_64-linux-gnu.so": ("", ""),
    "certifi/cacert.pem": (PEM.format("CERTIFICATE"), ""),
    "click-8.0.dist-info/METADATA": ("Name: click\n", ""),
    "boto3-1.0.dist-info/METADATA": (
        "Name: boto3\n",
        "boto3 is locked, but not required by anything: run make lock.",
    ),
}


@pytest.mark.parametrize("name", STRAY)
def test_what_must_not_be_deployed_stops_the_build(name: str, tmp_path: Path) -> None:
    content, sentence = STRAY[name]
    for module in contents.OURS:
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text("")
    (tmp_path / "links.toml").write_text("")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    if not name.startswith("click"):
        (tmp_path / "click-8.0.dist-info").mkdir()
        (tmp_path / "click-8.0.dist-info/METADATA").write_text("Name: click\n")
    if not sentence:
        contents.check_package(tmp_path, ["click"])
        return
    with pytest.raises(DeployError, match=re.escape(sentence)):
        contents.check_package(tmp_path, ["click"])


def test_a_zip_file_over_the_maximum_is_refused_except_for_cryptography(tmp_path: Path) -> None:
    contents.check_size(contents.MAX_ZIP, tmp_path)
    with pytest.raises(DeployError, match=r"The zip file has 5\.0 MB"):
        contents.check_size(contents.MAX_ZIP + 1, tmp_path)
    (tmp_path / "cryptography-45.0.dist-info").mkdir()
    contents.check_size(contents.MAX_ZIP + 1, tmp_path)


def locked(lock: Path) -> set[str]:
    """The packages of a lock that is pinned, hashed, and free of markers and addresses."""
    lines = re.sub(r" \\\n\s*", " ", lock.read_text(encoding="utf-8")).splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [
        pin
        for pin in pins
        if not re.fullmatch(r"[\w.-]+==[\w.!+]+( --hash=sha256:[0-9a-f]{64})+", pin)
    ] == []
    return {pin.partition("==")[0] for pin in pins}


def test_a_release_is_built_with_what_its_lock_pins() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    runs = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert runs == [
        "python -m pip install --require-hashes --only-binary=:all: -r deploy/requirements/release.lock",
        "python -m build --no-isolation",
    ]
    assert locked(ROOT / "deploy/requirements/release.lock") >= {"build", "setuptools"}


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=str)
def test_a_lock_is_current_pinned_hashed_and_free_of_markers_and_addresses(
    runtime: Runtime,
) -> None:
    vendor.require_lock(ROOT, runtime)
    names = locked(ROOT / runtime.lock)
    assert "certifi" in names
    assert ("tomli" in names) == (runtime.python == "3.10")


def test_what_deploys_is_locked_within_its_ranges() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    ranges = [
        *groups["local"],
        *re.findall(r"(?m)^[^#\n]+", (ROOT / "requirements.txt").read_text("utf-8")),
    ]
    for python in ("3.10", "3.12"):
        lock = ROOT / f"deploy/requirements/deploy-{python}.lock"
        names = locked(lock)
        pins = dict(re.findall(r"(?m)^([\w.-]+)==([\w.!+]+)", lock.read_text("utf-8")))
        for requirement in map(Requirement, ranges):
            name = canonicalize_name(requirement.name)
            if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
                assert name not in names
            else:
                assert requirement.specifier.contains(pins[name]), (lock.name, name)


def test_the_bill_of_materials_has_what_each_lock_pins() -> None:
    """By the schema of CycloneDX, and without an address of an index."""
    bill = json.dumps(sbom.document())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert "://" not in bill
    components = json.loads(bill)["components"]
    for lock in (ROOT / "deploy/requirements").glob("*.lock"):
        of_lock = [
            each["name"]
            for each in components
            if lock.name in [entry["value"] for entry in each["properties"]]
        ]
        assert set(of_lock) == locked(lock)
    (cli,) = [each for each in components if each["name"] == "build"]
    assert cli["purl"] == f"pkg:pypi/build@{cli['version']}"


def test_requirements_that_changed_since_the_lock_stop_the_build(tmp_path: Path) -> None:
    copy = ProjectCopy.of(tmp_path, BUILT)
    with (copy.folder / "requirements.txt").open("a") as file:
        file.write("boto3>=1\n")
    with pytest.raises(
        DeployError,
        match=r"deploy/requirements/3\.10\.lock does not match requirements\.txt: run make",
    ):
        vendor.require_lock(copy.folder, RUNTIMES["python3.10"])
