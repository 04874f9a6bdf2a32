"""What must not be deployed stops the build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy import locks
from deploy.errors import DeployError
from deploy.package import contents

STRAY = {
    "handler/test_links.py": ("", "handler/test_links.py is a test"),
    "handler/tests/data.json": ("{}", "handler/tests/data.json is a test"),
    "signer/conftest.py": ("", "signer/conftest.py is a test"),
    "handler/notes.md": ("", "handler/notes.md is a development file"),
    "handler/.env": ("", "handler/.env is a development file"),
    "signer/Makefile": ("", "signer/Makefile is a development file"),
    "handler/s.yaml": ("", "handler/s.yaml is a development file"),
    "handler/keys.json": (
        '{"share": [{"id": "a", "secret": "' + "k" * 43 + '"}]}',
        "handler/keys.json contains what looks like",
    ),
    "handler/who.py": ('KEY = "LTAI5tEXAMPLEEXAMPLE00"', "handler/who.py contains what looks like an access key id"),
    "signer/pem.py": (
        "-----BEGIN PRIVATE KEY-----\n" + "A" * 64,
        "signer/pem.py contains what looks like a private key",
    ),
    "handler/robot.py": (
        '"https://hooks.slack.com/services/T0"',
        "handler/robot.py contains what looks like a chat robot's",
    ),
    "colorama/__init__.py": ("", "colorama does not belong to a locked package"),
    "stray.py": ("", "stray.py does not belong to a locked package"),
    "click-8.0.dist-info/METADATA": ("Name: click\n", ""),
    "boto3-1.0.dist-info/METADATA": ("Name: boto3\n", "boto3 is not locked: run make lock."),
}


@pytest.mark.parametrize("name", STRAY)
def test_what_must_not_be_deployed_stops_the_build(name: str, tmp_path: Path) -> None:
    content, sentence = STRAY[name]
    for module in contents.OURS:
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text("")
    (tmp_path / "links.toml").write_text("")
    pins = [locks.Pin("click", "8.0")]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    if not name.startswith("click"):
        (tmp_path / "click-8.0.dist-info").mkdir()
        (tmp_path / "click-8.0.dist-info/METADATA").write_text("Name: click\n")
    if not sentence:
        contents.check_package(tmp_path, pins, ["click"], {"click"})
        return
    with pytest.raises(DeployError, match=re.escape(sentence)):
        contents.check_package(tmp_path, pins, ["click"], {"click"})


def test_a_zip_file_over_the_maximum_is_refused_except_for_cryptography() -> None:
    pins = [locks.Pin("jinja2", "3.1")]
    contents.check_size(contents.MAX_ZIP, pins)
    contents.check_size(contents.MAX_ZIP + 1, [*pins, locks.Pin("cryptography", "45.0")])
    with pytest.raises(DeployError, match=r"The zip file has 5\.0 MB"):
        contents.check_size(contents.MAX_ZIP + 1, pins)
