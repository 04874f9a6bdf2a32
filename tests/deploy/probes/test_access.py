"""The doctor says whether s finds the key with which it deploys."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import s_preview
from deploy.probes import access
from deploy.probes.findings import Finding
from tests.deploy.deployments import readable

CREDENTIALS = {"AccountID": "1000000000000001", "AccessKeyID": "LTAI5tEXAMPLE", "AccessKeySecret": "secretEXAMPLE"}
VARIABLE = "links_serverless_devs_key"


def examined(alias: object, home: Path, **environ: str) -> Finding:
    (finding,) = readable([access.key(alias, {"HOME": str(home), **environ})])
    assert "EXAMPLE" not in finding.sentence
    return finding


def configure(home: Path, keys: Mapping[str, object]) -> None:
    (home / ".s").mkdir(exist_ok=True)
    (home / ".s/access.yaml").write_text(json.dumps(keys), encoding="utf-8")  # JSON is YAML


@pytest.mark.skipif(not s_preview.INSTALLED_FOR_TESTS.exists(), reason="s is not installed: npm ci in tests/node")
def test_a_key_that_s_config_add_stored_is_found(tmp_path: Path) -> None:
    options = [part for name, value in CREDENTIALS.items() for part in (f"--{name}", value)]
    subprocess.run(
        [str(s_preview.INSTALLED_FOR_TESTS), "config", "add", "-a", "default", *options],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NODE_ENV": "test"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert examined("default", tmp_path) == Finding("ok", "access", "s deploys with the key default.")
    assert examined("other", tmp_path).level == "fault"


def test_a_variable_of_exactly_that_name_is_found(tmp_path: Path) -> None:
    variables = {VARIABLE: json.dumps({**CREDENTIALS, "SecurityToken": "CAISexample"})}
    assert examined(VARIABLE, tmp_path, **variables).level == "ok"
    # s does not add the ending to an alias.
    assert examined("links", tmp_path, **variables).sentence == (
        "Key links not found, so s cannot deploy: run s config add -a links, or in CI set the variable "
        f"{VARIABLE} and pass its name, s deploy -a {VARIABLE}."
    )


@pytest.mark.parametrize("value", ["not JSON", "[]", json.dumps({**CREDENTIALS, "AccountID": ""})])
def test_a_variable_without_what_s_needs_is_a_fault(value: str, tmp_path: Path) -> None:
    finding = examined(VARIABLE, tmp_path, **{VARIABLE: value})
    assert finding.level == "fault"
    assert finding.sentence.startswith(f"Key {VARIABLE} is incomplete (AccountID")
    assert finding.sentence.endswith("it must hold the JSON of AccountID, AccessKeyID, AccessKeySecret.")


def test_a_stored_key_without_its_account_is_a_fault(tmp_path: Path) -> None:
    configure(tmp_path, {"default": {"AccessKeyID": "U2FsEXAMPLE", "AccessKeySecret": "U2FsEXAMPLE"}})
    sentence = "Key default is incomplete (AccountID): run s config add -a default -f."
    assert examined("default", tmp_path) == Finding("fault", "access", sentence)


@pytest.mark.parametrize("alias", ["undefined", None, ""])
def test_a_template_without_a_key_is_a_fault(alias: object, tmp_path: Path) -> None:
    configure(tmp_path, {"undefined": CREDENTIALS})
    finding = examined(alias, tmp_path)
    assert finding.level == "fault"
    assert finding.sentence.startswith("access must be the name of a key (got ")


def test_three_variables_that_s_prefers_to_every_key_are_a_warning(tmp_path: Path) -> None:
    configure(tmp_path, {"default": CREDENTIALS})
    finding = examined("default", tmp_path, **CREDENTIALS)
    assert finding.level == "warning"
    assert "of the environment instead of default: unset them" in finding.sentence


def test_a_file_of_keys_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".s").mkdir()
    (tmp_path / ".s/access.yaml").write_text("default: [", encoding="utf-8")
    assert examined("default", tmp_path).level == "unknown"
    assert examined("default", tmp_path / "elsewhere", serverless_devs_config_home=str(tmp_path)).level == "unknown"
